"""How many workers this machine has room for."""

from __future__ import annotations

import os

from visualcnn_tf._utils.cores import cores

# Bytes: TensorFlow, a model, and a batch of large photos.
_WORKER = 2 * 1024**3


def room() -> int:
    """Return how many workers there should be: one for each core, and 2 GB of memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return cores()
    return max(1, min(cores(), memory // _WORKER))
