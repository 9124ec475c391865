"""Greedy and beam search in PyTorch: a loop over steps of the whole batch."""

import torch

from tangle.seq2seq import vocabulary


@torch.inference_mode()
def search(net, source, lengths, steps, beam_size):
  """Searches for the most probable symbols.

  Args:
    net: a `jobs_torch.Net`.
    source: `[B, S]` ids, longest first.
    lengths: `[B]` ints in numpy.
    steps: the most symbols to predict.
    beam_size: K, number of open sequences; 1 is greedy.

  Returns:
    The best symbols, an array `[B, T]`, EOS beyond the end.
  """
  encoded = net.encode(source, lengths)
  find = greedy if beam_size == 1 else beam
  return find(net, *encoded, steps, beam_size).numpy()


def greedy(net, memory, mask, state, steps, beam_size=1):
  """Takes the most probable symbol at each step, until all examples have ended.

  Args:
    net: a `jobs_torch.Net`.
    memory: as `Net.encode` returns it.
    mask: as `Net.encode` returns it.
    state: as `Net.encode` returns it.
    steps: the most symbols to predict.
    beam_size: 1.

  Returns:
    `[B, T]` ids.
  """
  del beam_size
  symbols = torch.full([len(memory), 1], vocabulary.GO_ID)
  ended = torch.zeros([len(memory), 1], dtype=torch.bool)
  found = []
  for _ in range(steps):
    logits, state = net.decode(memory, mask, state, symbols)
    symbols = logits[:, -1].argmax(-1, keepdim=True)
    symbols = symbols.masked_fill(ended, vocabulary.EOS_ID)
    found.append(symbols)
    ended = ended | (symbols == vocabulary.EOS_ID)
    if ended.all():
      break
  return torch.cat(found, 1)


def beam(net, memory, mask, state, steps, beam_size):
  """Keeps the K best sequences; one that has ended stays unchanged.

  Scores are sums of log probabilities, which can only decrease. So an example
  is done when its best sequence has ended.

  Args:
    net: a `jobs_torch.Net`.
    memory: as `Net.encode` returns it.
    mask: as `Net.encode` returns it.
    state: as `Net.encode` returns it.
    steps: the most symbols to predict.
    beam_size: K.

  Returns:
    `[B, T]` ids of the best sequence.
  """
  rows, k = len(memory), beam_size
  state = tuple(part.repeat_interleave(k, 1) for part in state)
  scores = torch.full([rows, k], -torch.inf)
  scores[:, 0] = 0
  symbols = torch.full([rows * k, 1], vocabulary.GO_ID)
  ended = torch.zeros([rows, k], dtype=torch.bool)
  found = torch.empty([rows, k, 0], dtype=torch.long)
  first = torch.arange(rows)[:, None]
  memory = memory.repeat_interleave(k, 0)
  mask = None if mask is None else mask.repeat_interleave(k, 0)
  for _ in range(steps):
    logits, state = net.decode(memory, mask, state, symbols)
    log_probs = logits[:, -1].log_softmax(-1).view(rows, k, -1)
    size = log_probs.shape[-1]
    stay = torch.full([size], -torch.inf)
    stay[vocabulary.EOS_ID] = 0
    log_probs = torch.where(ended[..., None], stay, log_probs)
    totals = (scores[..., None] + log_probs).view(rows, -1)
    scores, places = totals.topk(k, -1)
    parents, chosen = places // size, places % size
    found = torch.cat([found[first, parents], chosen[..., None]], -1)
    ended = ended[first, parents] | (chosen == vocabulary.EOS_ID)
    if ended[:, 0].all():
      break
    order = (first * k + parents).flatten()
    state = tuple(part[:, order] for part in state)
    symbols = chosen.view(-1, 1)
  return found[:, 0]
