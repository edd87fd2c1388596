"""TFRecord files: an example for each image, with its maps as bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.data.explainer import Columns
from visualcnn_tf.data.job import Job
from visualcnn_tf.data.saved_model import VALID, Output
from visualcnn_tf.data.shards import Shard
from visualcnn_tf.data.sinks.sink import Keep, Sink, without_maps
from visualcnn_tf.data.sources.reader import Image


class TFRecordSink(Sink):
    """Writes ``tfrecord/part-000000.tfrecord.gz``, with all outputs; shapes and types are in ``plan.json``."""

    def in_table(self, outputs: dict[str, Output]) -> dict[str, Output]:
        """Return the outputs that are no maps."""
        return without_maps(outputs)

    def files(self, index: int) -> tuple[str, ...]:
        """Return the records and the table."""
        return (f"tfrecord/part-{index:06d}.tfrecord.gz", *super().files(index))

    @contextmanager
    def open(self, job: Job, shard: Shard) -> Iterator[Keep]:
        """Yield what writes the examples of a batch."""
        # TensorFlow writes to this machine alone, and not to every cloud storage.
        with TemporaryDirectory(prefix="visualcnn-") as folder:
            path = Path(folder, "part")
            with tf.io.TFRecordWriter(str(path), "GZIP") as records:

                def keep(first: int, images: Sequence[Image], columns: Columns) -> None:
                    for index, image in enumerate(images):
                        records.write(_example(first + index, image, index, columns, job.outputs))

                yield keep
            (job.folder / "tfrecord").make_folder()
            with path.open("rb") as written, (job.folder / self.files(shard.index)[0]).written(job.scratch) as file:
                shutil.copyfileobj(written, file)


def _example(row: int, image: Image, index: int, columns: Columns, outputs: dict[str, Output]) -> bytes:
    features = {
        "row": _feature(np.array([row])),
        "valid": _feature(columns[VALID][index : index + 1].astype(np.int64)),
        "path": _bytes((image.path or "").encode(errors="replace")),
    }
    for name, output in outputs.items():
        value = columns[name][index]
        if output.dtype == "string":
            features[name] = _bytes(bytes(value))
        else:
            features[name] = _bytes(value.tobytes()) if output.is_map else _feature(np.atleast_1d(value))
    example: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return example


def _feature(values: NDArray[np.generic]) -> tf.train.Feature:
    if np.issubdtype(values.dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values.astype(np.float32).tolist()))


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
