"""Sequence to sequence: vocabularies, buckets, batches, metrics."""

from tangle.seq2seq import (
  attention_model,
  batches,
  bucketing,
  buckets,
  corpora,
  decoding,
  encoding,
  feeding,
  legacy,
  metrics,
  planner,
  rows,
  search,
  searching,
  tutorial_batches,
  vocabulary,
)

__all__ = [
  "attention_model",
  "batches",
  "bucketing",
  "buckets",
  "corpora",
  "decoding",
  "encoding",
  "feeding",
  "legacy",
  "metrics",
  "planner",
  "rows",
  "search",
  "searching",
  "tutorial_batches",
  "vocabulary",
]
