"""Sessions of these tests do not rewrite graphs.

Other directories, and the runs of scripts, have TensorFlow's own setting.
"""

import pytest

from tests import case


@pytest.fixture(scope="module", autouse=True)
def plain_sessions():
  """Holds for a module, with what its classes set up."""
  with case.plain_sessions():
    yield
