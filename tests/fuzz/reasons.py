"""Short, stable names for the reasons for which tangle refuses a program."""

# The first part that a message has tells why. Messages that quote others, such
# as those of store="auto", come to the reason of what they quote first.
_PARTS = (
  ("budget below the least", "residuals take at least"),
  ("repeats a random or stateful op", "may draw or change something"),
  ("output depends on no input", "depends on none of the"),
  ("input leads to no output", "so that no gradient would reach it"),
  ("variable given as a tensor", "must hold tensors of a graph"),
  ("gradient is not stopped", "does not stop a gradient"),
  ("one output of a split", "one output of"),
  ("reference variable assigned", "changes in the forward pass"),
  ("reference variable in a loop", "inside a loop or conditional"),
  ("reference variable not copied", "cannot be copied before the variable"),
  ("TF1 loop with several losses", "one loss"),
  ("TF1 loop", "TensorFlow 1 style"),
  ("TF1 loop", "tensor array"),
  ("variant on the host", "variant, which cannot be fetched"),
  ("handle of one run", "lives for one run only"),
  ("may not be fed", "does not allow to feed"),
  ("graph optimizer would bypass a fed tensor", "may bypass it"),
  ("fed, but computed again", "computes it again"),
  ("no output is floating", "no gradient can enter"),
)


def key(text):
  """Returns the name of the reason that a message of a refusal gives.

  Args:
    text: what the exception said.

  Returns:
    A few words; those of the message itself, without names and numbers, if
    the reason is not known here.
  """
  for name, part in _PARTS:
    if part in text:
      return name
  words = text.partition(": ")[2].split()
  words = [word for word in words if word.isalpha()]
  return "other: " + " ".join(words[:12])
