"""Columns, features and elements that hold images: found where only one can, asked for where several could."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.hostile_files import IMAGES

import visualcnn_tf as vc
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.find import dump_reader, find_source, load_reader
from visualcnn_tf.data.sources.staged import StagedImages, stage

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
GOOD = IMAGES["good.png"]


def images(source: Any, column: str | None = None) -> list[tuple[str | None, bytes, str | None]]:
    found = find_source(str(source), column, locate("elsewhere"))
    reader = load_reader(dump_reader(found.reader))
    return [(image.path, image.content, image.error) for image in reader.read(found.pieces)]


# Parquet -----------------------------------------------------------------------------------------------------------


def write(file: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def test_the_only_column_of_bytes_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", file_name=["x", "y"], photo=[GOOD, None], size=[1, 2])
    assert images(path) == [("x", GOOD, None), ("y", b"", "The row holds no image")]


def test_of_several_columns_one_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", one=[b"1"], other=[b"2"])
    with pytest.raises(vc.InvalidArgumentError, match=r"'one', 'other'.*several could hold the images"):
        images(path)
    with pytest.raises(vc.InvalidArgumentError, match=r"Received: 'otter'. Did you mean 'other'"):
        images(path, "otter")
    assert images(path, "other") == [(None, b"2", None)]


def test_without_bytes_there_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"In 'a.parquet' there is none"):
        images(write(tmp_path / "a.parquet", path=["a.png"]))


@pytest.mark.parametrize(("start", "count"), [(0, 10), (3, 4), (4, 1), (9, 1), (0, 1), (2, 8)])
def test_a_piece_of_a_file_with_row_groups(tmp_path: Path, start: int, count: int) -> None:
    pq.write_table(pa.table({"image": [bytes([n]) for n in range(10)]}), tmp_path / "a.parquet", row_group_size=3)
    found = find_source(str(tmp_path), None, locate("elsewhere"))
    read = list(found.reader.read([Piece("a.parquet", start, count)]))
    assert [image.content for image in read] == [bytes([n]) for n in range(start, start + count)]
    assert [image.source_row for image in read] == list(range(start, start + count))


# TFRecord ----------------------------------------------------------------------------------------------------------


def record(**features: bytes) -> bytes:
    lists = {name: tf.train.BytesList(value=[value]) for name, value in features.items()}
    feature = {name: tf.train.Feature(bytes_list=value) for name, value in lists.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def records(path: Path, *contents: bytes) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return path


def test_the_feature_that_looks_like_an_image_is_taken(tmp_path: Path) -> None:
    path = records(tmp_path / "a.tfrecord", record(label=b"cat", x=GOOD, filename=b"1.png"), record(label=b"dog"))
    assert images(path) == [("1.png", GOOD, None), (None, b"", "The record has no feature 'x'")]


def test_records_may_be_images(tmp_path: Path) -> None:
    assert images(records(tmp_path / "a.tfrecord", GOOD, b"no")) == [(None, GOOD, None), (None, b"no", None)]


def test_a_feature_may_have_to_be_named(tmp_path: Path) -> None:
    path = records(tmp_path / "a.tfrecord", record(one=GOOD, other=IMAGES["good.jpg"], text=b"cat"))
    with pytest.raises(vc.InvalidArgumentError, match=r"\('one', 'other'\)"):
        images(path)
    assert images(path, "other") == [(None, IMAGES["good.jpg"], None)]
    with pytest.raises(vc.InvalidArgumentError, match="Did you mean 'other'"):
        images(path, "othr")


@pytest.mark.parametrize("cut", [1, 4, 20, 60])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = records(tmp_path / "a.tfrecord", GOOD, GOOD)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(vc.InvalidArgumentError, match=r"whole TFRecord files. Received: '.*a.tfrecord'"):
        images(path)


def test_what_is_no_tfrecord_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"a text that is no record at all" * 10)
    with pytest.raises(vc.InvalidArgumentError, match="or no TFRecord file"):
        images(tmp_path)


# tf.data -----------------------------------------------------------------------------------------------------------


def staged(dataset: tf.data.Dataset, folder: Path, column: str | None = None, rows: int = 2) -> list[Any]:
    pieces = list(stage(dataset, column, locate(str(folder)), rows, lambda index: True))
    read = list(StagedImages(str(folder)).read(pieces))
    assert [image.source_row for image in read] == list(range(len(read)))
    return [(image.path, image.content) for image in read]


def test_elements_of_a_dataset(tmp_path: Path) -> None:
    contents = [b"1", b"2", b"3"]
    texts = tf.data.Dataset.from_tensor_slices(contents)
    plain = [(None, content) for content in contents]
    named = tf.data.Dataset.from_tensor_slices({"path": ["a", "b", "c"], "x": contents})
    named_images = [("a", b"1"), ("b", b"2"), ("c", b"3")]
    for number, (dataset, expected) in enumerate(
        [
            (texts, plain),
            (texts.batch(2), plain),
            (tf.data.Dataset.zip((texts, tf.data.Dataset.range(3))), plain),
            (named, named_images),
            (named.batch(2), named_images),
        ]
    ):
        assert staged(dataset, tmp_path / str(number)) == expected


def test_pixels_of_a_dataset_are_kept_without_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3)).astype(np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices((pixels, [0, 1, 2]))
    for number, each in enumerate((dataset, dataset.batch(2))):
        found = staged(each, tmp_path / str(number))
        np.testing.assert_array_equal([tf.io.decode_png(content) for _, content in found], pixels)


def test_what_is_kept_of_one_dataset_is_not_taken_for_another(tmp_path: Path) -> None:
    staged(tf.data.Dataset.from_tensor_slices([b"1", b"2"]), tmp_path)
    assert staged(tf.data.Dataset.from_tensor_slices([b"3", b"4"]), tmp_path) == [(None, b"3"), (None, b"4")]


@pytest.mark.parametrize(
    ("dataset", "column", "message"),
    [
        (tf.data.Dataset.from_tensor_slices([b"1"]).repeat(), None, "a dataset that ends"),
        (tf.data.Dataset.from_tensor_slices([0.5]), None, "`source` must be a dataset of encoded images"),
        (tf.data.Dataset.from_tensor_slices(np.ones((1, 4, 4, 3))), None, "or images before scaling"),
        (tf.data.Dataset.from_tensor_slices({"a": [b"1"], "b": [b"2"]}), None, "'a', 'b'"),
        (tf.data.Dataset.from_tensor_slices([b"1"]), "a", "`column` must be None for a dataset whose elements are no"),
    ],
)
def test_other_datasets_are_refused(tmp_path: Path, dataset: tf.data.Dataset, column: str, message: str) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=message):
        staged(dataset, tmp_path, column)
