"""Where maps go: into the tables of the shards, Zarr arrays, PNG files or TFRecord files."""

from __future__ import annotations

from visualcnn_tf.data.sinks.png import PngSink
from visualcnn_tf.data.sinks.sink import Sink
from visualcnn_tf.data.sinks.tfrecord import TFRecordSink
from visualcnn_tf.data.sinks.zarr import ZarrSink

#: By their names; of ``"parquet"`` the maps stay in the table.
SINKS: dict[str, Sink] = {"parquet": Sink(), "zarr": ZarrSink(), "png": PngSink(), "tfrecord": TFRecordSink()}
