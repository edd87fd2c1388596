"""Every source into every sink, in this process: each row is what the model itself predicts for the image."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.photos import COUNT, MAPS, SHARD_ROWS, Photos, as_dataset, as_parquet, as_tfrecords

import visualcnn_tf as vc

pq = pytest.importorskip("pyarrow.parquet")

SOURCES: dict[str, Callable[[Photos, Path], Any]] = {
    "folder": lambda photos, path: photos.folder,
    "pattern": lambda photos, path: f"{photos.folder}/**/*.*",
    "list": lambda photos, path: [photos.folder / name for name in photos.names],
    "parquet": as_parquet,
    "parquet structs": lambda photos, path: as_parquet(photos, path, struct=True),
    "tfrecord": as_tfrecords,
    "tfrecord.gz": lambda photos, path: as_tfrecords(photos, path, compressed=True),
    "tf.data": lambda photos, path: as_dataset(photos),
}
SINKS = ("parquet", "zarr", "png", "tfrecord")
PAIRS = [(source, "parquet") for source in SOURCES]
PAIRS += [(source, sink) for source in ("folder", "parquet", "tfrecord", "tf.data") for sink in SINKS[1:]]


def explained(photos: Photos, source: Any, out: Path, **options: Any) -> dict[str, Any]:
    """The rows of the tables that a job has written."""
    report = vc.explain_dataset(photos.exported, source, out, workers=0, shard_rows=SHARD_ROWS, **options)
    assert (report.rows, report.computed) == (COUNT, COUNT)
    assert report.errors == sum(one is None for one in photos.truth)
    assert sorted(path.name for path in (out / "data").iterdir()) == [f"part-{n:06d}.parquet" for n in range(8)]
    assert (out / "_SUCCESS").exists()
    assert not (out / "_temporary").exists()
    assert not (out / "_staged").exists()
    return pq.read_table(out / "data").to_pydict()


def maps_in(out: Path, sink: str, photos: Photos, rows: dict[str, Any]) -> dict[str, np.ndarray]:
    """The maps of a job, read as somebody without this package would."""
    if sink == "parquet":
        return {name: np.stack([np.frombuffer(m, np.uint8).reshape(12, 12) for m in rows[name]]) for name in MAPS}
    if sink == "zarr":
        group = pytest.importorskip("zarr").open_group(out / "maps.zarr", mode="r")
        return {name: group[name][:] for name in MAPS}
    if sink == "tfrecord":
        return records_in(out, rows)
    maps = {name: np.zeros((COUNT, 12, 12), np.uint8) for name in MAPS}
    for name in MAPS:
        for row, valid in enumerate(rows["valid"]):
            stem = photos.names[row] if rows["source"][row].endswith(photos.names[row]) else f"{row:09d}"
            picture = out / "png" / name / f"{stem}.png"
            assert picture.exists() == valid
            if valid:
                maps[name][row] = tf.io.decode_png(picture.read_bytes()).numpy()[..., 0]
    return maps


def records_in(out: Path, rows: dict[str, Any]) -> dict[str, np.ndarray]:
    outputs = json.loads((out / "plan.json").read_text())["outputs"]
    files = sorted(str(path) for path in (out / "tfrecord").iterdir())
    maps: dict[str, list[np.ndarray]] = {name: [] for name in MAPS}
    for row, record in enumerate(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()):
        feature = tf.train.Example.FromString(record).features.feature
        assert feature["row"].int64_list.value[0] == row
        assert feature["path"].bytes_list.value[0].decode() == (rows["path"][row] or "")
        np.testing.assert_allclose(feature["predictions"].float_list.value, rows["predictions"][row])
        for name in MAPS:
            content, how = feature[name].bytes_list.value[0], outputs[name]
            maps[name].append(np.frombuffer(content, how["dtype"]).reshape(how["shape"]))
    return {name: np.stack(values) for name, values in maps.items()}


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_a_source_into_a_sink(photos: Photos, tmp_path: Path, source: str, sink: str) -> None:
    if sink == "zarr":
        pytest.importorskip("zarr")
    rows = explained(photos, SOURCES[source](photos, tmp_path / "source"), tmp_path / "out", sink=sink)
    photos.check(rows, maps_in(tmp_path / "out", sink, photos, rows))
    check_names(rows, source, photos)


def check_names(rows: dict[str, Any], source: str, photos: Photos) -> None:
    """``path`` is the name of the image, ``source`` and ``source_row`` tell where it was."""
    if source == "tf.data":
        assert rows["path"] == [None] * COUNT
        assert rows["source_row"] == list(range(COUNT))
        return
    assert rows["path"] == photos.names
    for row, (file, number) in enumerate(zip(rows["source"], rows["source_row"], strict=True)):
        if source.startswith("parquet"):
            assert pq.read_table(file).num_rows > number
        elif not source.startswith("tfrecord"):
            assert (Path(file), number) == (photos.folder / photos.names[row], 0)
    assert len(set(zip(rows["source"], rows["source_row"], strict=True))) == COUNT


def test_maps_as_png_are_smaller_and_the_same(photos: Photos, tmp_path: Path) -> None:
    raw = explained(photos, photos.folder, tmp_path / "raw")
    png = explained(photos, photos.folder, tmp_path / "png", encoding="png")
    photos.check(png)
    for name in MAPS:
        maps = vc.read_maps(tmp_path / "png")[name]
        np.testing.assert_array_equal(maps, vc.read_maps(tmp_path / "raw")[name])
        valid = [tf.io.decode_png(png[name][row]).numpy()[..., 0] for row in range(COUNT) if raw["valid"][row]]
        np.testing.assert_array_equal(maps[raw["valid"]], valid)


def test_why_images_could_not_be_read(photos: Photos, tmp_path: Path) -> None:
    rows = explained(photos, photos.folder, tmp_path / "out")
    errors = dict(zip(rows["path"], rows["error"], strict=True))
    assert errors["cats/empty.png"] == "The file is empty"
    assert errors["cats/text.png"] == errors["cats/picture.webp"] == "This is no JPEG, PNG, GIF or BMP image"
    assert errors["cats/truncated.jpg"] == errors["cats/truncated.png"] == "The image is damaged"
    assert errors["cats/huge.png"] == "The image has more than 67,108,864 pixels"
    assert errors["cats/bomb.gif"] is not None
    readable = ("good.png", "cmyk.jpg", "turned.jpg", "sixteen.png", "animated.gif", "transparent.png")
    assert [errors[f"cats/{name}"] for name in readable] == [None] * len(readable)


def test_zarr_chunks_begin_where_shards_begin(photos: Photos, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    explained(photos, as_parquet(photos, tmp_path / "source"), tmp_path / "out", sink="zarr")
    for _, array in zarr.open_group(tmp_path / "out" / "maps.zarr").arrays():
        assert SHARD_ROWS % array.chunks[0] == 0
        assert array.shape[0] == COUNT
