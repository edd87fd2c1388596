"""Whether this process is a worker of a batch job, which runs exported models and loads no Keras."""

from __future__ import annotations

import os

#: The environment variable that says so.
WORKER = "VISUALCNN_TF_WORKER"


def is_worker() -> bool:
    """Return whether this process is a worker of a batch job."""
    return WORKER in os.environ
