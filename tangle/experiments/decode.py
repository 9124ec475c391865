"""Decoding of files with trained weights."""

import time

from tangle import errors
from tangle.experiments import run_folder, tasks
from tangle.seq2seq import corpora, metrics


def decode_file(
  run_dir,
  in_path,
  out_path,
  references=(),
  progress=None,
  direction=None,
  **search,
):
  """Decodes a file, and measures the result.

  Args:
    run_dir: the folder of a training.
    in_path: text file, one source a line; gzip-compressed if it ends in .gz;
      for a direction from several sources a list with one file for each.
    out_path: the file to write, with one line per input line, or an n-best
      list, see `decoding.LineDecoder.write`.
    references: text files with as many lines, to measure the best against.
    progress: called after each batch with the number of lines done and the
      total.
    direction: as for `run_folder.decoder`.
    **search: settings of `run_folder.decoders`.

  Returns:
    A dict of figures: `lines`, `left_out` (lines with nothing found),
    `seconds`, `lines_per_s`, `out`, and with references `bleu` and its
    `signature`.

  Raises:
    ArgumentError: if there are more or fewer files than sources.
    DataError: if a file cannot be read, or a reference has another number of
      lines.
  """
  cut = tasks.TOKENS[run_folder.load(run_dir)["tokens"][1]]
  accepted = [
    [" ".join(cut(line)) for line in corpora.read_lines(path)]
    for path in references or ()
  ]
  paths = [in_path] if isinstance(in_path, str) else list(in_path)
  lines = sum(1 for _ in corpora.read_lines(paths[0]))
  for path, found in zip(references or (), accepted):
    if len(found) != lines:
      raise errors.DataError(
        f"decode_file: {paths[0]} has {lines:,} lines, {path} has "
        f"{len(found):,}. Line n of one must belong to line n of the other."
      )
  n_best = search.get("n_best", 1) > 1
  with run_folder.decoder(run_dir, direction, **search) as decoder:
    begin = time.perf_counter()
    report = decoder.decode_file(paths, out_path, n_best, progress)
    seconds = time.perf_counter() - begin
  figures = {
    "lines": lines,
    "left_out": report.dropped,
    "seconds": seconds,
    "lines_per_s": lines / seconds,
    "out": out_path,
  }
  if accepted:
    hypotheses = [" ".join(cut(text)) for text in _best_of(out_path, n_best)]
    bleu = metrics.bleu(hypotheses, list(zip(*accepted)))
    figures.update(bleu=bleu.score, signature=bleu.signature)
  return figures


def _best_of(path, n_best):
  """Reads the best text for each input line from the written file."""
  lines = list(corpora.read_lines(path))
  if not n_best:
    return lines
  best = {}
  for line in lines:
    index, text = line.split(" ||| ", 1)
    best.setdefault(int(index), text.rsplit(" ||| ", 1)[0])
  return [best[index] for index in sorted(best)]
