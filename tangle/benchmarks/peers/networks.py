"""The networks of the tasks, for any framework.

A network is two functions, `lower(net, sizes, feeds)`, which returns a list of
tensors, the boundary, and `upper(net, sizes, boundary, feeds)`, which returns
the loss. `net` is a framework's implementation of a few layers. All compute in
float32, batch-major:

    dense(name, x, units)      x kernel + bias; kernel [D, units]
    normalize(name, x)         gain (x - mean) / sqrt(variance + 1e-5) + offset,
                               mean and variance over the last axis
    relu(x), tanh(x), add(x, y), concat(x, y) along the last axis
    lstm(name, x, units, state=None): outputs [B, T, U] and [c, h]
        [i, g, f, o] = [x_t, h] kernel + bias, kernel [D + U, 4 U]
        c' = sigmoid(f) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c')
    gru(name, x, units, state=None): outputs [B, T, U] and [h]
        [r, z, n] = x_t kernel + bias, kernel [D, 3 U]
        [r', z', n'] = h kernel', kernel' [U, 3 U] of `<name>_cell`
        h' = (1 - s) tanh(n + sigmoid(r + r') n') + s h,  s = sigmoid(z + z')
    attend(queries, keys, values, heads=1, scale=1.0, causal=False)
        softmax(scale q k^T) v in each head; heads are equal parts of the last
        axis; causal: query t sees keys up to t only
    cross_entropy(logits, targets): the mean over all targets, a scalar

The recurrent networks are an encoder over T steps, whose last state is the
first state of a decoder over S steps; each output h of the decoder attends to
all outputs of the encoder by dot products, and softmax(V tanh(W [h, context] +
b) + d) is the distribution of the target. The context is not fed to the next
step, so that a framework may use its fastest layer over whole sequences.

Sources: Luong, Pham & Manning 2015, "Effective Approaches to Attention-based
Neural Machine Translation", eq. 5 and 7 ("dot"); Vaswani et al. 2017,
"Attention Is All You Need", section 3. Departures: no embeddings, as the inputs
are features; the Transformer is normalized before each part, and has no
dropout. The GRU multiplies by the reset gate after the product, as cuDNN's; it
has one bias.
"""

CLASSES = 10


def mlp_lower(net, sizes, feeds):
  """Four hidden layers.

  Args:
    net: the layers of a framework.
    sizes: a `tasks.Sizes`.
    feeds: `source` `[B, D]`.

  Returns:
    A list of one tensor `[B, U]`.
  """
  x = feeds["source"]
  for k in range(4):
    x = net.relu(net.dense(f"lower_{k}", x, sizes.units))
  return [x]


def mlp_upper(net, sizes, boundary, feeds):
  """Two hidden layers and a classifier.

  Args:
    net: the layers of a framework.
    sizes: a `tasks.Sizes`.
    boundary: what `mlp_lower` returns.
    feeds: `targets` `[B]`.

  Returns:
    The loss, a scalar.
  """
  x = boundary[0]
  for k in range(2):
    x = net.relu(net.dense(f"upper_{k}", x, sizes.units))
  return net.cross_entropy(net.dense("logits", x, CLASSES), feeds["targets"])


def recurrent(kind):
  """Makes an encoder and a decoder with attention.

  Args:
    kind: lstm or gru, a layer of `net`.

  Returns:
    A pair of functions, lower and upper, as `mlp_lower` and `mlp_upper`. The
    feeds are `source` `[B, T, D]`, `inputs` `[B, S, D]`, `targets` `[B, S]`.
  """

  def lower(net, sizes, feeds):
    layer = getattr(net, kind)
    outputs, state = layer("encoder", feeds["source"], sizes.units)
    return [outputs] + list(state)

  def upper(net, sizes, boundary, feeds):
    memory, state = boundary[0], boundary[1:]
    layer = getattr(net, kind)
    outputs, _ = layer("decoder", feeds["inputs"], sizes.units, state)
    contexts = net.attend(outputs, memory, memory)
    both = net.concat(outputs, contexts)
    joined = net.tanh(net.dense("joined", both, sizes.units))
    logits = net.dense("logits", joined, sizes.symbols)
    return net.cross_entropy(logits, feeds["targets"])

  return lower, upper


def _attention(net, sizes, name, x, memory, causal):
  """Returns `x` plus attention to `memory`; self-attention if it is `None`."""
  found = net.normalize(f"{name}_norm", x)
  memory = found if memory is None else memory
  queries = net.dense(f"{name}_queries", found, sizes.units)
  keys = net.dense(f"{name}_keys", memory, sizes.units)
  values = net.dense(f"{name}_values", memory, sizes.units)
  scale = (sizes.units // sizes.heads) ** -0.5
  found = net.attend(queries, keys, values, sizes.heads, scale, causal)
  return net.add(x, net.dense(f"{name}_out", found, sizes.units))


def _hidden(net, sizes, name, x):
  found = net.dense(
    f"{name}_wide", net.normalize(f"{name}_norm", x), 4 * sizes.units
  )
  found = net.dense(f"{name}_narrow", net.relu(found), sizes.units)
  return net.add(x, found)


def transformer_lower(net, sizes, feeds):
  """The encoder of a Transformer.

  Args:
    net: the layers of a framework.
    sizes: a `tasks.Sizes`.
    feeds: `source` `[B, T, D]`, D equal to the units.

  Returns:
    A list of one tensor `[B, T, U]`.
  """
  x = feeds["source"]
  for k in range(sizes.layers):
    x = _attention(net, sizes, f"encoder_{k}_self", x, None, False)
    x = _hidden(net, sizes, f"encoder_{k}_hidden", x)
  return [net.normalize("encoder_norm", x)]


def transformer_upper(net, sizes, boundary, feeds):
  """The decoder of a Transformer.

  Args:
    net: the layers of a framework.
    sizes: a `tasks.Sizes`.
    boundary: what `transformer_lower` returns.
    feeds: `inputs` `[B, S, D]`, `targets` `[B, S]`.

  Returns:
    The loss, a scalar.
  """
  x = feeds["inputs"]
  for k in range(sizes.layers):
    x = _attention(net, sizes, f"decoder_{k}_self", x, None, True)
    x = _attention(net, sizes, f"decoder_{k}_cross", x, boundary[0], False)
    x = _hidden(net, sizes, f"decoder_{k}_hidden", x)
  x = net.normalize("decoder_norm", x)
  logits = net.dense("logits", x, sizes.symbols)
  return net.cross_entropy(logits, feeds["targets"])


NETWORKS = {
  "lstm": recurrent("lstm"),
  "gru": recurrent("gru"),
  "mlp": (mlp_lower, mlp_upper),
  "transformer": (transformer_lower, transformer_upper),
}
"""Name → lower and upper function."""
