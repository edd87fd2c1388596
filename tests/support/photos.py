"""A folder of small photos, some of them unreadable, the same as other sources, and what a model says about them."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from support.hostile_files import IMAGES, encoded
from support.small_cnn import small_cnn
from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.pixels.photos import read_photos

COUNT, SHARD_ROWS = 200, 25
MAPS = ("heatmap_first", "heatmap_second")


@dataclass(frozen=True)
class Photos:
    """Images in a folder.

    Attributes:
        folder: Where they are.
        names: Their names, in order.
        explained: A model of 12×12 pixels with heatmaps of type uint8.
        exported: The same as a SavedModel.
        truth: The outputs of the model for those that can be read, in order; None for others.
    """

    folder: Path
    names: list[str]
    explained: vc.ExplainedModel
    exported: Path
    truth: list[dict[str, np.ndarray] | None] = field(repr=False)

    @property
    def contents(self) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in self.names]

    def check(self, rows: dict[str, Any], maps: dict[str, np.ndarray] | None = None) -> None:
        """Compare the rows of a job with the model's own predictions."""
        assert list(rows["row"]) == list(range(len(self.names)))
        assert list(rows["valid"]) == [one is not None for one in self.truth]
        for row, one in enumerate(self.truth):
            assert (rows["error"][row] is None) == (one is not None), rows["error"][row]
            want = one or {"predictions": np.zeros(3), **{name: np.zeros((12, 12), np.uint8) for name in MAPS}}
            np.testing.assert_allclose(rows["predictions"][row], want["predictions"], atol=1e-6)
            for name in MAPS if maps is not None else ():
                assert abs(maps[name][row].astype(int) - want[name]).max() <= 1, (row, name)


def make_photos(folder: Path) -> Photos:
    """Write 200 images in two folders, the files that nobody should trust among them."""
    photos, rng = folder / "photos", np.random.default_rng(0)
    for name in ("cats", "dogs/old"):
        (photos / name).mkdir(parents=True)
    for name, content in IMAGES.items():
        (photos / "cats" / name).write_bytes(content)
    kinds = (("PNG", "png", 3), ("JPEG", "jpg", 3), ("PNG", "PNG", 1), ("BMP", "bmp", 3))
    for number in range(COUNT - len(IMAGES)):
        kind, ending, channels = kinds[number % 4]
        size = rng.integers(9, 40, 2)
        pixels = rng.integers(0, 256, (*size, channels)).astype(np.uint8)
        place = photos / ("dogs/old" if number % 3 else "cats")
        (place / f"{number}.{ending}").write_bytes(encoded(pixels[..., 0] if channels == 1 else pixels, kind))
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file())
    assert len(names) == COUNT
    explained = vc.attach(small_cnn(), ["first", "second"], heatmap_dtype="uint8", pixels="0..255")
    exported = vc.export_saved_model(explained, folder / "exported", on_error="blank", verify=False)
    return Photos(photos, names, explained, exported, [_truth(explained, photos / name) for name in names])


def _truth(explained: vc.ExplainedModel, path: Path) -> dict[str, np.ndarray] | None:
    try:
        images = read_photos([path], (None, 12, 12, 3), vc.Pixels())
    except ImageReadError:
        return None
    return {name: value.numpy()[0] for name, value in explained(images).items()}


# The same images as other sources ---------------------------------------------------------------------------------


def as_parquet(photos: Photos, folder: Path, struct: bool = False) -> Path:
    """Three files of 77, 60 and 63 rows, in row groups of 20: they end where no shard ends."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    for number, (start, stop) in enumerate([(0, 77), (77, 137), (137, COUNT)]):
        contents, names = photos.contents[start:stop], photos.names[start:stop]
        table = pa.table({"jpg": pa.array(contents, pa.binary()), "path": names, "label": list(range(start, stop))})
        if struct:
            rows = [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]
            table = pa.table({"image": rows})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=20)
    return folder


def as_tfrecords(photos: Photos, folder: Path, compressed: bool = False) -> Path:
    """Two files of examples, the first with 90 of them."""
    folder.mkdir()
    for number, (start, stop) in enumerate([(0, 90), (90, COUNT)]):
        path = folder / f"photos.tfrecord-{number:05d}-of-00002"
        with tf.io.TFRecordWriter(str(path)) as records:
            for name, content in list(zip(photos.names, photos.contents, strict=True))[start:stop]:
                features = {"image/encoded": content, "image/filename": name.encode(), "image/format": b"any"}
                lists = {key: tf.train.BytesList(value=[value]) for key, value in features.items()}
                feature = {key: tf.train.Feature(bytes_list=value) for key, value in lists.items()}
                records.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
        if compressed:
            with path.open("rb") as plain, gzip.open(folder / f"{number}.tfrecord.gz", "wb") as file:
                shutil.copyfileobj(plain, file)
            path.unlink()
    return folder


def as_dataset(photos: Photos) -> tf.data.Dataset:
    """Batches of encoded images and labels."""
    return tf.data.Dataset.from_tensor_slices((photos.contents, np.arange(COUNT))).batch(17)
