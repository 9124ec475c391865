"""Sequence to sequence: vocabularies, buckets, batches, metrics."""
