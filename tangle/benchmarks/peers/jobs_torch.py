"""PyTorch on the real jobs, with an attention model as its users write it.

Batches have similar lengths, and are padded to their longest example. The
encoder reads packed sequences, longest first, or plain ones if all lengths are
equal. Adam is the fused version. Training is joint, without a cut. Decoding is
a Python loop over steps of the whole batch.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

from tangle import errors
from tangle.benchmarks.peers import jobs, jobs_contender, jobs_torch_search
from tangle.seq2seq import vocabulary

_POOL = 50  # batches whose examples are sorted together
# TensorFlow adds 1e-8 before its correction of the second moment, not after:
# at the first step that is this, so that first losses can be compared.
_EPSILON = 1e-8 / 0.001**0.5


class Net(nn.Module):
  """The network of `seq2seq.attention_model`, of one layer."""

  def __init__(self, sizes, rate):
    """Makes the modules.

    Args:
      sizes: a `jobs.Sizes`.
      rate: dropout rate.
    """
    super().__init__()
    units, depth = sizes.units, sizes.depth
    self.source_embedding = nn.Embedding(sizes.source_symbols, depth)
    self.target_embedding = nn.Embedding(sizes.target_symbols, depth)
    self.encoder = nn.LSTM(depth, units, batch_first=True, bidirectional=True)
    self.decoder = nn.LSTM(depth, units, batch_first=True)
    self.bridge = nn.Linear(2 * units, 2 * units)
    self.query = nn.Linear(units, 2 * units, bias=False)
    self.attentional = nn.Linear(3 * units, units, bias=False)
    self.logits = nn.Linear(units, sizes.target_symbols)
    self.dropout = nn.Dropout(rate)
    for name, bias in self.named_parameters():
      if "bias_hh" in name:  # one bias, as the other frameworks have
        nn.init.zeros_(bias)
        bias.requires_grad_(False)

  def encode(self, source, lengths):
    """Encodes a batch.

    Args:
      source: `[B, S]` ids, longest first.
      lengths: `[B]` ints in numpy.

    Returns:
      The memory `[B, S, 2 U]`, its mask `[B, 1, S]`, and the decoder's first
      state, a pair `[1, B, U]`.
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
    """Predicts the symbols after each of `inputs` `[B, T]`.

    Args:
      memory: as `encode` returns it.
      mask: as `encode` returns it.
      state: as `encode` or `decode` returns it.
      inputs: ids `[B, T]`.

    Returns:
      Logits `[B, T, V]` and the state after the last step.
    """
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

  def places(self):
    """Returns name in `jobs.make_shapes` → parameter, except the layers'."""
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

  def layers(self):
    """Returns prefix of `jobs.LAYERS` → parameters of both kernels and bias."""
    ends = [(self.encoder, ""), (self.encoder, "_reverse"), (self.decoder, "")]
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"
    return {
      prefix: [getattr(layer, name + end) for name in names]
      for prefix, (layer, end) in zip(jobs.LAYERS, ends)
    }

  def load(self, weights):
    """Loads `weights`, as `jobs.Task.draw` returns them."""
    with torch.no_grad():
      for name, parameter in self.places().items():
        array = weights[name]
        _set(parameter, array.T if name.endswith("kernel") else array)
      for prefix, (below, across, bias) in self.layers().items():
        kernel = _swap(weights[f"{prefix}/kernel"]).T
        _set(below, kernel[:, : below.shape[1]])
        _set(across, kernel[:, below.shape[1] :])
        _set(bias, _swap(weights[f"{prefix}/bias"]) + _forget(bias))

  def weights(self):
    """Returns the weights as `load` takes them."""
    found = {}
    for name, parameter in self.places().items():
      array = parameter.detach().numpy()
      found[name] = array.T if name.endswith("kernel") else array
    for prefix, (below, across, bias) in self.layers().items():
      kernel = torch.cat([below, across], 1).detach().numpy().T
      found[f"{prefix}/kernel"] = _swap(kernel)
      found[f"{prefix}/bias"] = _swap(bias.detach().numpy() - _forget(bias))
    return found


def _set(parameter, array):
  parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _swap(array):
  """Reorders the gates i, g, f, o to PyTorch's i, f, g, o, or back."""
  i, one, other, o = np.split(array, 4, axis=-1)
  return np.concatenate([i, other, one, o], axis=-1)


def _forget(bias):
  """Returns the bias that tangle adds to the forget gate, PyTorch's second."""
  found = np.zeros(bias.shape, np.float32)
  units = len(found) // 4
  found[units : 2 * units] = 1
  return found


class Contender(jobs_contender.Contender):
  """PyTorch's modules, run eagerly."""

  def __init__(self, task, optimizer):
    """Keeps the settings.

    Args:
      task: a `jobs.Task`.
      optimizer: a `tasks.Optimizer`.
    """
    super().__init__(task)
    self._optimizer = optimizer

  def plan(self):
    """Returns `None`: batches are padded to their longest example."""

  def batches(self, plan):
    """Sorts the examples of some batches at a time, and shuffles the batches.

    Args:
      plan: not used.

    Yields:
      Each `rows.Batch` of an epoch.
    """
    del plan
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
    """Builds the training; see the base class."""
    del plan
    net = self._net(weights, rate)
    return _Trainer(net, self._optimizer)

  def _net(self, weights, rate):
    net = Net(self.task.sizes, rate)
    net.load(self.task.draw() if weights is None else weights)
    return net

  def searcher(self, weights, beam_size):
    """Builds the decoding; see the base class."""
    examples, size = self.task.test, self.task.sizes.decode_batch
    net = self._net(weights, 0.0).eval()
    order = np.argsort(-examples.sources.lengths, kind="stable")

    def search():
      for begin in range(0, len(order), size):
        indices = order[begin : begin + size]
        batch = jobs.pad(examples, indices)
        yield (
          indices,
          jobs_torch_search.search(
            net,
            torch.from_numpy(batch.source),
            batch.source_lengths,
            self.task.longest[1],
            beam_size,
          ),
        )

    return search


class _Trainer:
  """A network and its optimizer."""

  def __init__(self, net, optimizer):
    self._net, self._clip_norm = net, optimizer.clip_norm
    self._parameters = [p for p in net.parameters() if p.requires_grad]
    self._update = torch.optim.Adam(
      self._parameters, lr=optimizer.learning_rate, eps=_EPSILON, fused=True
    )

  def train(self, batch, number):
    """Makes a step on a `rows.Batch`, `batch`; returns the loss."""
    del number
    self._update.zero_grad(set_to_none=True)
    loss = self._net(
      torch.from_numpy(batch.source),
      batch.source_lengths,
      torch.from_numpy(batch.decoder_inputs),
      torch.from_numpy(batch.targets).long(),
    )
    loss.backward()
    nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
    self._update.step()
    return loss.detach()

  def weights(self):
    """Returns name → array."""
    return self._net.weights()


def build(task, optimizer, threads, mode="joint"):
  """Returns a contender.

  Args:
    task: a `jobs.Task`.
    optimizer: a `tasks.Optimizer`, Adam.
    threads: threads within an op.
    mode: joint, the only mode.

  Returns:
    A `Contender`, and a dict of versions.

  Raises:
    ArgumentError: for another mode.
  """
  if mode != "joint":
    raise errors.ArgumentError(
      f"peers.jobs_torch.build: the mode must be joint, got {mode!r}."
    )
  torch.set_num_threads(threads)
  torch.manual_seed(task.seed)
  versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
  return Contender(task, optimizer), versions
