"""Whether this process is a worker of a batch job, which runs exported models and loads no Keras."""

from __future__ import annotations

import os
import sys

#: The environment variable that says so.
WORKER = "VISUALCNN_TF_WORKER"


def is_worker() -> bool:
    """Return whether this process is a worker of a batch job."""
    return WORKER in os.environ


def import_tensorflow() -> None:
    """Import TensorFlow without Keras, which it imports for those who load models of Keras, if Keras can be found."""
    if "keras" in sys.modules:
        return
    sys.modules["keras"] = None  # type: ignore[assignment] # as if it were not installed
    try:
        import tensorflow  # noqa: F401
    finally:
        del sys.modules["keras"]
