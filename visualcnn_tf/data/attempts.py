"""Count how often a shard was begun and not ended, because its worker died: marks in the folder of the job."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from visualcnn_tf.data.files import Location

#: A shard that has killed so many workers is not tried again.
MOST = 3


@contextmanager
def attempt(scratch: Location, index: int) -> Iterator[int]:
    """Yield how many workers have died with a shard before; mark it as begun until the ``with`` block ends.

    Args:
        scratch: The folder for files that are not whole yet, in which the driver clears the marks when it starts.
        index: The number of the shard.
    """
    folder = scratch / f"begun-{index:06d}"
    deaths = len(folder.listing())
    mark = folder / f"{os.getpid()}-{uuid.uuid4().hex}"
    folder.make_folder()
    mark.write(b"", scratch)
    try:
        yield deaths
    finally:
        mark.remove()
