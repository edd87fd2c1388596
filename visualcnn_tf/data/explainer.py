"""BatchExplainer: from encoded images to predictions and heatmaps, on a worker that has TensorFlow but no Keras."""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._utils.checks import as_path, bad_value, is_count
from visualcnn_tf.data.columns import output_columns, output_fields
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.saved_model import IMAGES, SIGNATURE, VALID, Output, outputs_of

if TYPE_CHECKING:
    import pyarrow as pa

#: Values by the names of outputs, the batch first.
Columns = dict[str, NDArray[np.generic]]


class BatchExplainer:
    """Explain batches of encoded images with an exported model, in your own pipeline.

    It can be pickled, and is small then: each process loads the model once, at its first batch. It needs TensorFlow,
    and pyarrow for :meth:`record_batch`; to keep Keras out of a worker, set ``VISUALCNN_TF_WORKER=1`` there before
    anything is unpickled.

    Args:
        path: A folder that ``export_saved_model(..., on_error="blank")`` wrote, or its address in cloud storage, which
            each process copies.
        threads: How many threads TensorFlow takes; by default one for each core.

    Raises:
        IncompatibleModelError: If it is no SavedModel of a model of images of a known size.
        InvalidArgumentError: If it raises an error for images that can't be read.

    Example:
        >>> explain = vc.BatchExplainer("export/1")                                     # doctest: +SKIP
        >>> columns = explain([open("cat.jpg", "rb").read()])                           # doctest: +SKIP
        >>> columns["valid"], columns["predictions"].shape                              # doctest: +SKIP
        (array([ True]), (1, 1000))
    """

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        if threads is not None and not is_count(threads):
            raise bad_value("threads", "a number of at least 1, or None", threads)
        self.path = str(as_path("path", path)) if "://" not in str(path) else str(path)
        self.threads = threads
        self.outputs: dict[str, Output] = outputs_of(local_folder(self.path))

    def __call__(self, images: Sequence[bytes] | NDArray[np.object_]) -> Columns:
        """Return the outputs of the model.

        Args:
            images: Encoded JPEG, PNG, GIF or BMP images, of any sizes.

        Returns:
            Arrays by the names of the model's outputs, the batch first, and under ``"valid"`` whether each image could
            be read. One that could not has zeros everywhere, and -1 as its explained class.
        """
        run = _loaded(self.path, self.threads)
        found = run(**{IMAGES: tf.constant(list(images), tf.string)})
        return {name: found[name].numpy() for name in (VALID, *self.outputs)}

    @property
    def schema(self) -> pa.Schema:
        """What :meth:`record_batch` returns."""
        import pyarrow as pa

        return pa.schema([pa.field(VALID, pa.bool_(), nullable=False), *output_fields(self.outputs)])

    def record_batch(self, images: Sequence[bytes] | NDArray[np.object_]) -> pa.RecordBatch:
        """Return the outputs as columns of Arrow, heatmaps as bytes; see :func:`visualcnn_tf.read_maps`.

        Args:
            images: Encoded images.
        """
        import pyarrow as pa

        columns = self(images)
        arrays = [pa.array(columns[VALID]), *output_columns(columns, self.outputs)]
        return pa.record_batch(arrays, schema=self.schema)


@lru_cache(maxsize=4)
def _loaded(path: str, threads: int | None) -> Callable[..., dict[str, tf.Tensor]]:
    """Return the signature of a model, which is loaded once in a process."""
    if threads is not None:
        _limit_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # several workers share it, if it is not in use yet
            tf.config.experimental.set_memory_growth(gpu, True)
    model = tf.saved_model.load(str(local_folder(path)))
    signature: Callable[..., dict[str, tf.Tensor]] = model.signatures[SIGNATURE]
    signature._model = model  # type: ignore[attr-defined] # it dies with the last reference to it, and its variables
    return signature


def _limit_threads(threads: int) -> None:
    """Let TensorFlow take so many threads, unless it runs already."""
    with suppress(RuntimeError):  # it has started, and is what it is
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


@lru_cache(maxsize=4)
def _copied(address: str) -> str:
    """Return a copy of a folder in cloud storage, which TensorFlow can't read, until the process ends."""
    from pyarrow.fs import LocalFileSystem, copy_files

    location, copy = locate(address), mkdtemp(prefix="visualcnn-model-")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy_files(location.path, copy, source_filesystem=location.files, destination_filesystem=LocalFileSystem())
    return copy


def local_folder(path: str) -> Path:
    """Return a folder on this machine that holds the model."""
    return Path(_copied(path)) if "://" in path else Path(path)
