"""Ops of random programs: linear algebra, Fourier transforms, complex numbers.

Where a letter gives the size of a square matrix, it is that of `positive`.
"""

from tangle import compat
from tangle.compat import tf1
from tests.fuzz.tables import FLOW, KINK, op, unary


def positive(x, shift=2.0):
  """Gives the positive definite `x^T x + shift I`, entries far from large."""
  x = tf1.tanh(x)
  size = tf1.shape(x)[-1]
  found = tf1.matmul(x, x, transpose_a=True)
  return found + shift * tf1.eye(size, dtype=x.dtype)


def spread(x, size):
  """Gives a symmetric matrix whose eigenvalues are far apart."""
  steps = tf1.linalg.diag(tf1.range(1.0, size + 1.0) * 40.0)
  return positive(x) + tf1.cast(steps, x.dtype)


def singular(x):
  """Gives the singular values of a matrix."""
  return tf1.linalg.svd(x, compute_uv=False)


def eigenvalues(x, size):
  """Gives the largest parts of the eigenvectors of a symmetric matrix."""
  values, vectors = tf1.linalg.eigh(spread(x, size))
  return 0.1 * values + tf1.reduce_sum(tf1.square(vectors), 0)


def complex_eigenvalues(x, size, dtype):
  """Gives real parts of the eigenvalues of a matrix."""
  found = tf1.raw_ops.Eig(input=spread(x, size), compute_v=True, Tout=dtype)
  return 0.01 * tf1.real(found.e)


def factors(x, size):
  """Gives an orthogonal factor times a triangular one, and the latter."""
  q, r = tf1.linalg.qr(positive(x))
  del size
  return tf1.matmul(q, r), tf1.abs(r)


def lu(x):
  """Scales by triangular factors of a matrix, which have no gradient."""
  y = positive(x)
  return y * tf1.stop_gradient(tf1.tanh(tf1.linalg.lu(y)[0]))


def least_squares(x, y):
  """Solves `min |x z - y|` with small `z`."""
  return tf1.linalg.lstsq(x, y, l2_regularizer=1.0)


def tridiagonal(x, size, product=False):
  """Solves with, or multiplies by, a matrix of three diagonals."""
  rest = tf1.cast(tf1.fill([3, size], 0.2), x.dtype)
  main = 2.0 + tf1.sigmoid(tf1.reduce_mean(x, -1))
  diagonals = tf1.stack([rest[0], main, rest[2]])
  if product:
    return tf1.linalg.tridiagonal_matmul(diagonals, x)
  return tf1.linalg.tridiagonal_solve(diagonals, x)


def banded(x):
  """Solves with a triangular matrix of two diagonals."""
  main = 2.0 + tf1.sigmoid(tf1.reduce_mean(x, -1))
  bands = tf1.stack([main, 0.3 * tf1.ones_like(main)])
  return tf1.raw_ops.BandedTriangularSolve(matrix=bands, rhs=x)


def cross(x):
  """Gives cross products of rows and their shifts, of three."""
  rows = tf1.stack([x, tf1.sin(x), tf1.cos(x)], -1)
  return tf1.reduce_sum(tf1.linalg.cross(rows, tf1.roll(rows, 1, -1)), -1)


def sparse_product(x, y):
  """Multiplies in float32, expecting zeros."""
  found = tf1.matmul(
    tf1.cast(x, tf1.float32), tf1.cast(y, tf1.float32), a_is_sparse=True
  )
  return tf1.cast(found, x.dtype)


def real_transform(x, name):
  """Transforms real numbers and back, with a filter in between."""
  spectrum = getattr(tf1.signal, name)(x)
  spectrum = spectrum * tf1.cast(0.5 + 0.2j, spectrum.dtype)
  return getattr(tf1.signal, "i" + name)(spectrum)


def scaled_by_parts(z):
  """Scales a complex tensor by a function of its parts."""
  rate = tf1.sigmoid(tf1.real(z)) + 0.3 * tf1.tanh(tf1.imag(z))
  return z * tf1.complex(rate, 0.1 * rate)


LINEAR = (
  op("solve", "f a b, f b c", "tf1.linalg.solve(matrices.positive({0}), {1})",
    "f b c", "q * b"),
  op("triangular", "f a b, f b c", "tf1.linalg.triangular_solve("
    "tf1.linalg.cholesky(matrices.positive({0})), {1})", "f b c", "q * b"),
  op("cholesky_solve", "f a b, f b c", "tf1.linalg.cholesky_solve("
    "tf1.linalg.cholesky(matrices.positive({0})), {1})", "f b c", "q * b"),
  op("determinant", "f a b",
    "tf1.log(tf1.linalg.det(matrices.positive({0})))", "f", "4 * b"),
  op("log_determinant", "f a b",
    "tf1.linalg.slogdet(matrices.positive({0}))[1]", "f", "4 * b"),
  op("logdet", "f a b", "tf1.linalg.logdet(matrices.positive({0}))", "f",
    "4 * b"),
  op("qr", "f a b", "matrices.factors({0}, {b})", "f b b, f b b", "3 * a",
    KINK),
  op("svd", "f a b", "tf1.reduce_sum(matrices.singular({0} + 0.1))", "f",
    "2 * p * a * b", KINK),
  op("eigh", "f a b", "matrices.eigenvalues({0}, {b})", "f b", "4 * b + 6"),
  op("trace", "f a b", "tf1.linalg.trace({0})", "f", "p * a"),
  op("set_diag", "f a a, f a", "tf1.linalg.set_diag({0}, {1})", "f a a",
    "p + q"),
  op("cross", "f a b", "matrices.cross({0})", "f a b", "6 * p"),
  op("sparse_product", "f a b, f b c", "matrices.sparse_product({0}, {1})",
    "f a c", "p * q * b", (KINK, "narrow")),
  op("least_squares", "f a b, f a c", "matrices.least_squares({0}, {1})",
    "f b c", "q * a", FLOW),
  op("tridiagonal", "f a b", "matrices.tridiagonal({0}, {a})", "f a b", "2 * p",
    when="a > 1"),
  op("raw_batch_matmul", "f a b c",
    "tf1.raw_ops.BatchMatMul(x={0}, y={0}, adj_y=True)", "f a b b",
    "p * p * c"),
  op("raw_diag", "f a", "tf1.raw_ops.MatrixDiag(diagonal={0})", "f a a"),
  op("raw_diag_part", "f a a", "tf1.raw_ops.MatrixDiagPart(input={0})", "f a"),
  op("raw_set_diag", "f a a, f a",
    "tf1.raw_ops.MatrixSetDiag(input={0}, diagonal={1})", "f a a", "p + q"),
  op("tensor_diag", "f a", "tf1.linalg.tensor_diag({0})", "f a a"),
  op("tensor_diag_part", "f a a", "tf1.linalg.tensor_diag_part({0})", "f a"),
  op("exponential", "f a a", "tf1.linalg.expm(0.3 * tf1.tanh({0}))", "f a a",
    "4", FLOW, "a > 1"),
  op("einsum_dot", "f a b c, f a b c", "tf1.einsum('abc,abc->ab', {0}, {1})",
    "f a b", "p * q * c"),
)  # fmt: skip

COMPLEX = (
  op("complex", "f *, f *", "tf1.complex({0}, {1})", "z *", "p + q", KINK),
  op("to_complex", "f *", "tf1.cast({0}, {z})", "z *", "p", KINK),
  op("real", "z *", "tf1.real({0})", "f *", "p", KINK),
  op("imag", "z *", "tf1.imag({0})", "f *", "p", KINK),
  op("complex_abs", "z *", "tf1.abs({0} + 2.5)", "f *", "p + 3", KINK),
  op("angle", "z *", "tf1.angle({0} + 1.5)", "f *", "4", KINK),
  op("conj", "z *", "tf1.conj({0}) * 0.5", "z *", "p", KINK),
  op("complex_multiply", "z *, z *", "{0} * {1}", "z *", "p * q", KINK),
  op("complex_add", "z *, z *", "{0} - 0.5 * {1}", "z *", "p + q", KINK),
  op("complex_exp", "z *", "tf1.exp({0})", "z *", "math.exp(p)", KINK, "p < 3"),
  op("complex_tanh", "z *", "{0} / (tf1.cast(tf1.abs({0}), {0}.dtype) + 2.0)",
    "z *", "1", KINK),
  op("complex_parts", "z *", "matrices.scaled_by_parts({0})", "z *", "2 * p",
    KINK),
  op("complex_sum", "z * a", "tf1.reduce_sum({0}, -1)", "z *", "p * a", KINK),
  op("complex_matmul", "z a b, z c b",
    "tf1.matmul({0}, {1}, adjoint_b=True)", "z a c", "p * q * b", KINK),
  op("adjoint", "z a b", "tf1.linalg.adjoint({0})", "z b a", "p", KINK),
  op("fft", "z * a", "tf1.signal.fft({0})", "z * a", "p * a", KINK),
  op("ifft", "z * a", "tf1.signal.ifft({0})", "z * a", "p", KINK),
  op("fft2d", "z a b", "tf1.signal.fft2d({0})", "z a b", "p * a * b", KINK),
  op("ifft2d", "z a b", "tf1.signal.ifft2d({0})", "z a b", "p", KINK),
  op("fft3d", "z a b", "tf1.signal.fft3d({0}[None])[0]", "z a b",
    "p * a * b", KINK),
  op("ifft3d", "z a b", "tf1.signal.ifft3d({0}[None])[0]", "z a b", "p", KINK),
)  # fmt: skip

# Of real numbers: the transforms are of float32 on 1.15.
_WIDE = "float32" if compat.IS_TF1 else "f"
REAL = (
  op("rfft", f"{_WIDE} * 4", "matrices.real_transform({0}, 'rfft')",
    f"{_WIDE} * 4", "p * 4"),
  op("rfft2d", f"{_WIDE} a 4", "matrices.real_transform({0}, 'rfft2d')",
    f"{_WIDE} a 4", "p * 4 * a"),
  op("dct", f"{_WIDE} * 4", "tf1.signal.dct({0})", f"{_WIDE} * 4", "p * 8"),
)  # fmt: skip

# What TensorFlow 1.15 does not have, or has no gradient for.
_MODERN = (
  op("eig", "f a b", "matrices.complex_eigenvalues({0}, {b}, {z})", "f b",
    "4 * b", KINK),
  op("lu", "f a b", "matrices.lu({0})", "f b b", "3 * a", KINK),
  op("square_root", "f a b", "tf1.linalg.sqrtm(matrices.positive({0}))",
    "f b b", "2 * b"),
  op("banded", "f a b", "matrices.banded({0})", "f a b", "2 * p", when="a > 1"),
  op("tridiagonal_product", "f a b",
    "matrices.tridiagonal({0}, {a}, product=True)", "f a b", "4 * p",
    when="a > 1"),
  unary("tf1.math.real(tf1.math.sin(tf1.complex({0}, 0.1 * {0})))", "3", KINK),
)  # fmt: skip

OPS = LINEAR + REAL
if not compat.IS_TF1:
  OPS += _MODERN
