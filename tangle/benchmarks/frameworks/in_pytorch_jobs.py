"""PyTorch on jobs, with an attention model as its users write it.

Training is joint, without a cut. Batches have similar lengths, and are padded
to their longest example. The encoder reads packed sequences, longest first, or
plain ones if all lengths are equal. Adam is the fused version. Decoding is a
Python loop over steps of the whole batch.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

from tangle import errors
from tangle.benchmarks import names
from tangle.benchmarks.frameworks import in_pytorch, job_training, jobs
from tangle.seq2seq import vocabulary

_POOL = 50  # batches whose examples are sorted together
# TensorFlow adds 1e-8 before its correction of the second moment, not after:
# at the first step that is this, so that first losses can be compared.
_EPSILON = 1e-8 / 0.001**0.5


class Translator(nn.Module):
  """The network of `seq2seq.attention_model`, of one layer."""

  def __init__(self, sizes, weights, rate=0.0):
    """Makes the modules.

    Args:
      sizes: a `jobs.Sizes`.
      weights: name in `jobs.make_shapes` → array.
      rate: dropout rate.
    """
    super().__init__()
    units, width = sizes.units, sizes.embedding_dim
    self.source_embedding = nn.Embedding(sizes.source_symbols, width)
    self.target_embedding = nn.Embedding(sizes.target_symbols, width)
    self.encoder = nn.LSTM(width, units, batch_first=True, bidirectional=True)
    self.decoder = nn.LSTM(width, units, batch_first=True)
    self.bridge = nn.Linear(2 * units, 2 * units)
    self.query = nn.Linear(units, 2 * units, bias=False)
    self.attentional = nn.Linear(3 * units, units, bias=False)
    self.logits = nn.Linear(units, sizes.target_symbols)
    self.dropout = nn.Dropout(rate)
    in_pytorch.fill(self)
    for name, parameter in self._places().items():
      array = weights[name]
      in_pytorch.assign(
        parameter, array.T if name.endswith("kernel") else array
      )
    for prefix, (below, across, bias) in self._lstms().items():
      kernel = in_pytorch.swap(weights[f"{prefix}/kernel"]).T
      in_pytorch.assign(below, kernel[:, : below.shape[1]])
      in_pytorch.assign(across, kernel[:, below.shape[1] :])
      in_pytorch.assign(
        bias, in_pytorch.swap(weights[f"{prefix}/bias"]) + _forget(bias)
      )

  def _places(self):
    """Returns name of a weight → parameter, except the LSTMs'."""
    return {
      "source_embedding/table": self.source_embedding.weight,
      "target_embedding/table": self.target_embedding.weight,
      "decoder_bridge_0/kernel": self.bridge.weight,
      "decoder_bridge_0/bias": self.bridge.bias,
      "attention/kernel": self.query.weight,
      "attentional/kernel": self.attentional.weight,
      "logits/kernel": self.logits.weight,
      "logits/bias": self.logits.bias,
    }

  def _lstms(self):
    """Returns prefix of `jobs.LAYERS` → parameters of both kernels and bias."""
    ends = [(self.encoder, ""), (self.encoder, "_reverse"), (self.decoder, "")]
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"
    return {
      prefix: [getattr(layer, name + end) for name in names]
      for prefix, (layer, end) in zip(jobs.LAYERS, ends)
    }

  def weights(self):
    """Returns name → array, as `jobs.make_shapes` names and shapes them.

    Some are views of the parameters.
    """
    found = {}
    for name, parameter in self._places().items():
      array = parameter.detach().numpy()
      found[name] = array.T if name.endswith("kernel") else array
    for prefix, (below, across, bias) in self._lstms().items():
      kernel = torch.cat([below, across], 1).detach().numpy().T
      found[f"{prefix}/kernel"] = in_pytorch.swap(kernel)
      found[f"{prefix}/bias"] = in_pytorch.swap(
        bias.detach().numpy() - _forget(bias)
      )
    return found

  def encode(self, source, lengths):
    """Returns memory `[B, S, 2 U]`, mask `[B, 1, S]` and the decoder's state.

    Args:
      source: `[B, S]` ids, longest first.
      lengths: `[B]` ints in numpy.
    """
    inputs = self.dropout(self.source_embedding(source))
    lengths = torch.from_numpy(np.asarray(lengths, np.int64))
    if lengths[-1] == source.shape[1]:
      memory, (h, _) = self.encoder(inputs)
      mask = None
    else:
      packed = rnn.pack_padded_sequence(inputs, lengths, batch_first=True)
      memory, (h, _) = self.encoder(packed)
      memory, _ = rnn.pad_packed_sequence(memory, batch_first=True)
      mask = torch.arange(source.shape[1]) >= lengths[:, None]
      mask = mask[:, None]
    summary = torch.cat([h[0], h[1]], 1)
    c, h = torch.tanh(self.bridge(summary)).chunk(2, 1)
    return memory, mask, (h[None].contiguous(), c[None].contiguous())

  def decode(self, memory, mask, state, inputs):
    """Returns logits after each of `inputs`, `[B, T]`, and the last state."""
    outputs, state = self.decoder(
      self.dropout(self.target_embedding(inputs)), state
    )
    scores = self.query(outputs) @ memory.transpose(1, 2)
    if mask is not None:
      scores = scores.masked_fill(mask, -torch.inf)
    context = scores.softmax(-1) @ memory
    joined = torch.tanh(self.attentional(torch.cat([context, outputs], -1)))
    return self.logits(self.dropout(joined)), state

  def forward(self, source, lengths, inputs, targets):
    """Returns the mean cross entropy of the targets, without PAD."""
    logits, _ = self.decode(*self.encode(source, lengths), inputs)
    return functional.cross_entropy(
      logits.flatten(0, 1), targets.flatten(), ignore_index=vocabulary.PAD_ID
    )


def _forget(bias):
  """Returns the bias that tangle adds to the forget gate, PyTorch's second."""
  found = np.zeros(bias.shape, np.float32)
  units = len(found) // 4
  found[units : 2 * units] = 1
  return found


@torch.inference_mode()
def search(net, source, lengths, steps, beam_size):
  """Returns the most probable symbols, an array `[B, T]`, EOS beyond the end.

  Args:
    net: a `Translator`.
    source: `[B, S]` ids, longest first.
    lengths: `[B]` ints in numpy.
    steps: the most symbols to predict.
    beam_size: K, number of open sequences; 1 is greedy.
  """
  find = _greedy if beam_size == 1 else _beam
  return find(net, *net.encode(source, lengths), steps, beam_size).numpy()


def _greedy(net, memory, mask, state, steps, beam_size):
  """Takes the most probable symbol at each step, until all have ended."""
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


def _beam(net, memory, mask, state, steps, beam_size):
  """Keeps the K best sequences; one that has ended stays unchanged.

  Scores are sums of log probabilities, which can only decrease. So an example
  is done when its best sequence has ended.
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


class _Training(job_training.Training):
  """PyTorch's modules, run eagerly."""

  def plan(self):
    return None  # batches are padded to their longest example

  def batches(self, plan):
    """Sorts the examples of some batches of `plan`, and shuffles batches."""
    examples, size = self.task.train, self.task.sizes.batch
    rng = np.random.RandomState(self.task.seed)
    order = rng.permutation(len(examples))
    sources, targets = (
      side.lengths for side in (examples.sources, examples.targets)
    )
    parts = []
    for begin in range(0, len(order), _POOL * size):
      pool = order[begin : begin + _POOL * size]
      pool = pool[np.lexsort((targets[pool], sources[pool]))]
      parts += [pool[k : k + size] for k in range(0, len(pool), size)]
    for k in rng.permutation(len(parts)):
      yield jobs.pad(examples, parts[k])

  def make(self, plan, weights, rate):
    weights = self.task.draw() if weights is None else weights
    net = Translator(self.task.sizes, weights, rate)
    parameters = [p for p in net.parameters() if p.requires_grad]
    update = torch.optim.Adam(
      parameters, lr=self.optimizer.learning_rate, eps=_EPSILON, fused=True
    )

    def train(batch, number):
      update.zero_grad(set_to_none=True)
      loss = net(
        torch.from_numpy(batch.source),
        batch.source_lengths,
        torch.from_numpy(batch.decoder_inputs),
        torch.from_numpy(batch.targets).long(),
      )
      loss.backward()
      nn.utils.clip_grad_norm_(parameters, self.optimizer.clip_norm)
      update.step()
      return loss.detach()

    return train, net.weights

  def searcher(self, weights, beam_size):
    examples, size = self.task.test, self.task.sizes.decode_batch
    net = Translator(self.task.sizes, weights).eval()
    order = np.argsort(-examples.sources.lengths, kind="stable")
    longest = self.task.longest[1]

    def run():
      for begin in range(0, len(order), size):
        indices = order[begin : begin + size]
        batch = jobs.pad(examples, indices)
        source, lengths = torch.from_numpy(batch.source), batch.source_lengths
        yield indices, search(net, source, lengths, longest, beam_size)

    return run


@errors.named("in_pytorch_jobs.build")
def build(task, optimizer, threads, mode="joint"):
  """Returns the training of a `jobs.Task`; see `candidates`."""
  names.check("the mode", mode, ["joint"])
  torch.set_num_threads(threads)
  torch.manual_seed(task.seed)
  versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
  return _Training(task, optimizer), versions
