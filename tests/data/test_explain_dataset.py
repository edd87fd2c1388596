"""The promises of a job: what is done stays, what is missing is made, what is another job is refused by name."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.photos import COUNT, SHARD_ROWS, Photos, as_dataset
from support.small_cnn import small_cnn

import visualcnn_tf as vc
from visualcnn_tf._utils.worker import WORKER
from visualcnn_tf.data import work
from visualcnn_tf.data.engines import NAMES
from visualcnn_tf.data.sinks import SINKS

pq = pytest.importorskip("pyarrow.parquet")


def explain(photos: Photos, out: Path, **options: Any) -> vc.BatchReport:
    given = {"model": photos.exported, "source": photos.folder, "workers": 0, "shard_rows": SHARD_ROWS, **options}
    return vc.explain_dataset(out=out, **given)


@pytest.fixture(scope="module")
def finished(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("job") / "out"
    explain(photos, out)
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A job that is done, to be changed."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file, and whether it is another one than before."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


# Resuming ----------------------------------------------------------------------------------------------------------


def test_the_same_call_again_computes_nothing(photos: Photos, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: value for name, value in state(out).items() if name != "_SUCCESS"}
    monkeypatch.setattr(work, "_explainer", None)
    report = explain(photos, out)
    assert (report.rows, report.computed) == (COUNT, 0)
    assert {name: value for name, value in state(out).items() if name != "_SUCCESS"} == before
    assert str(report).endswith("; 200 were there")


def test_a_deleted_part_is_made_again_and_no_other(photos: Photos, out: Path) -> None:
    table, before = pq.read_table(out / "data"), state(out)
    (out / "data" / "part-000003.parquet").unlink()
    report = explain(photos, out, batch_size=7)
    assert (report.rows, report.computed) == (COUNT, SHARD_ROWS)
    changed = {name for name, value in state(out).items() if before[name] != value}
    assert changed == {"data/part-000003.parquet", "_SUCCESS"}
    again = pq.read_table(out / "data")
    assert again.drop_columns("predictions") == table.drop_columns("predictions")
    np.testing.assert_allclose(
        np.stack(again["predictions"].to_numpy()), np.stack(table["predictions"].to_numpy()), atol=1e-6
    )


def test_records_that_were_deleted_are_made_again(photos: Photos, tmp_path: Path) -> None:
    explain(photos, tmp_path, sink="tfrecord")
    (tmp_path / "tfrecord" / "part-000002.tfrecord.gz").unlink()
    assert explain(photos, tmp_path, sink="tfrecord").computed == SHARD_ROWS
    assert (tmp_path / "tfrecord" / "part-000002.tfrecord.gz").exists()


def test_arrays_that_were_deleted_are_named(photos: Photos, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    explain(photos, tmp_path, sink="zarr")
    shutil.rmtree(tmp_path / "maps.zarr")
    with pytest.raises(vc.InvalidArgumentError, match=r"`out` must be a folder whose `maps.zarr` is whole"):
        explain(photos, tmp_path, sink="zarr")


def test_while_something_is_missing_there_is_no_success(
    photos: Photos, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "data" / "part-000003.parquet").unlink()
    (out / "data" / "part-000004.parquet").unlink()
    whole = work._explain

    def fail(job: Any, shard: Any) -> None:
        if shard.index == 3:
            raise OSError("the cable is loose")
        whole(job, shard)

    monkeypatch.setattr(work, "_explain", fail)
    with pytest.raises(vc.BatchError) as caught:
        explain(photos, out)
    assert "1 of 8 shards are not done, first of all shard 3 (rows 75 to 99, from '" in str(caught.value)
    assert "OSError: the cable is loose. 175 images are done" in str(caught.value)
    assert (out / "data" / "part-000004.parquet").exists()
    assert not (out / "_SUCCESS").exists()
    monkeypatch.setattr(work, "_explain", whole)
    assert explain(photos, out).computed == SHARD_ROWS
    assert (out / "_SUCCESS").exists()


def test_ctrl_c_leaves_a_folder_to_go_on_with(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = work._explain

    def stop(job: Any, shard: Any) -> None:
        if shard.index == 5:
            raise KeyboardInterrupt
        whole(job, shard)

    monkeypatch.setattr(work, "_explain", stop)
    with pytest.raises(KeyboardInterrupt):
        explain(photos, tmp_path)
    monkeypatch.setattr(work, "_explain", whole)
    assert explain(photos, tmp_path).computed == COUNT - 5 * SHARD_ROWS
    photos.check(pq.read_table(tmp_path / "data").to_pydict(), vc.read_maps(tmp_path))


def test_a_table_that_is_not_whole_is_named(photos: Photos, out: Path) -> None:
    path = out / "data" / "part-000001.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    (out / "data" / "part-000002.parquet").unlink()
    with pytest.raises(vc.BatchError, match=r"The table of shard 1 .* has other rows. Delete it"):
        explain(photos, out)


def test_a_dataset_is_kept_only_for_what_is_missing(photos: Photos, tmp_path: Path) -> None:
    assert explain(photos, tmp_path, source=as_dataset(photos)).computed == COUNT
    assert explain(photos, tmp_path, source=as_dataset(photos)).computed == 0
    (tmp_path / "data" / "part-000007.parquet").unlink()
    assert explain(photos, tmp_path, source=as_dataset(photos)).computed == SHARD_ROWS
    photos.check(pq.read_table(tmp_path / "data").to_pydict(), vc.read_maps(tmp_path))
    with pytest.raises(vc.InvalidArgumentError, match="the first difference is in shard 7"):
        explain(photos, tmp_path, source=as_dataset(photos).unbatch().take(COUNT - 1))


# Another job -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sink": "tfrecord"}, "`sink` must be 'parquet', as in '{out}'. Received: 'tfrecord'. Choose another `out`"),
        ({"encoding": "png"}, "`encoding` must be 'raw', as in"),
        ({"shard_rows": 50}, "`shard_rows` must be 25, as in"),
    ],
)
def test_another_option_is_refused(photos: Photos, out: Path, changed: dict[str, Any], message: str) -> None:
    before = state(out)
    with pytest.raises(vc.InvalidArgumentError) as caught:
        explain(photos, out, **changed)
    assert message.format(out=out) in str(caught.value)
    assert state(out) == before


def test_another_model_is_refused(photos: Photos, out: Path, tmp_path: Path) -> None:
    other = shutil.copytree(photos.exported, tmp_path / "other")
    assert explain(photos, out, model=other).computed == 0
    [weights] = (other / "variables").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(vc.InvalidArgumentError, match="`model` must be that of the plan in"):
        explain(photos, out, model=other)


@pytest.mark.parametrize("how", ["more", "fewer", "larger", "renamed"])
def test_another_listing_is_refused(photos: Photos, out: Path, tmp_path: Path, how: str) -> None:
    source = shutil.copytree(photos.folder, tmp_path / "photos")
    assert explain(photos, out, source=source).computed == 0
    one = source / photos.names[60]
    if how == "more":
        (source / "zzz.png").write_bytes(b"")
    elif how == "larger":
        one.write_bytes(one.read_bytes() + b"!")
    elif how == "fewer":
        one.unlink()
    else:
        one.rename(one.with_name(one.stem + "x.png"))
    with pytest.raises(vc.InvalidArgumentError) as caught:
        explain(photos, out, source=source)
    count = COUNT + {"more": 1, "fewer": -1}.get(how, 0)
    assert f"200 images. Received: {count} images; the first difference is in shard " in str(caught.value)
    assert f"difference is in shard {8 if how == 'more' else 2} " in str(caught.value)


def test_a_folder_of_something_else_is_refused(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(vc.InvalidArgumentError, match="`out` must be a new or empty folder, or that of an earlier job"):
        explain(photos, tmp_path)
    (tmp_path / "plan.json").write_text("to write a thesis")
    with pytest.raises(vc.InvalidArgumentError, match=r"Its `plan.json` is of something else"):
        explain(photos, tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["plan.json", "thesis.tex"]


# Models ------------------------------------------------------------------------------------------------------------


def test_an_explained_model_is_exported_first(photos: Photos, tmp_path: Path) -> None:
    out, path = tmp_path / "out", tmp_path / "explained.keras"
    explain(photos, out, model=photos.explained)
    photos.check(pq.read_table(out / "data").to_pydict(), vc.read_maps(out))
    assert json.loads((out / "plan.json").read_text())["outputs"]["heatmap_first"] == {
        "shape": [12, 12],
        "dtype": "uint8",
    }
    photos.explained.save(path)
    exported = state(out / "model")
    assert explain(photos, out, model=keras.models.load_model(path)).computed == 0
    assert state(out / "model") == exported
    with pytest.raises(vc.InvalidArgumentError, match="`model` must be that of the plan"):
        explain(photos, out, model=photos.explained, pixels=vc.Pixels(fit="crop"))
    shutil.rmtree(out / "model")
    (out / "data" / "part-000000.parquet").unlink()
    assert explain(photos, out, model=photos.explained).computed == SHARD_ROWS


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda photos, path: small_cnn(), "must be an explained model or an exported folder. Received: Sequential"),
        (lambda photos, path: path, "There is no file `saved_model.pb` in it"),
        (lambda photos, path: vc.attach(small_cnn(size=None)), "that does not take one gray or color image of a known"),
        (
            lambda photos, path: vc.attach(small_cnn(), "last", method="gradcam", target="input"),
            "It asks for 'class_index' with each image: attach with another `target`",
        ),
        (
            lambda photos, path: vc.export_saved_model(photos.explained, path / "m", verify=False),
            "`model` must be exported with `on_error='blank'`",
        ),
        (
            lambda photos, path: vc.export_saved_model(
                photos.explained, path / "m", verify=False, signatures=["serving_default"]
            ),
            "It has no signature `serving_bytes`",
        ),
    ],
)
def test_other_models_are_refused(photos: Photos, tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises((vc.InvalidArgumentError, vc.IncompatibleModelError)) as caught:
        explain(photos, tmp_path / "out", model=model(photos, tmp_path))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


# Options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "rya"}, "`engine` must be one of 'local', 'ray', 'spark', 'dask' or a function. Received: 'rya'"),
        ({"sink": "parquets"}, "Did you mean 'parquet'"),
        ({"encoding": "jpg"}, "`encoding` must be one of 'raw', 'png'"),
        ({"encoding": "png", "sink": "zarr"}, "`encoding` must be 'raw' unless the maps are in the table"),
        ({"batch_size": 0}, "`batch_size` must be a number of at least 1"),
        ({"shard_rows": 1.5}, "`shard_rows` must be a number of at least 1"),
        ({"workers": -1}, "`workers` must be a number of at least 1, None, or 0 with `engine='local'`"),
        ({"workers": 0, "engine": "ray"}, "`workers` must be"),
        ({"address": "auto"}, "`address` must be None with `engine='local'`"),
        ({"engine": map, "workers": 2}, "`workers` must be None with an engine of your own"),
        ({"pixels": "0..1"}, "`pixels` must be None for an exported folder"),
        ({"column": "jpg"}, "`column` must be None for image files"),
    ],
)
def test_options_are_checked_before_any_work(
    photos: Photos, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(vc.InvalidArgumentError) as caught:
        explain(photos, tmp_path / "out", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_floats_are_no_pictures(photos: Photos, few: Path, tmp_path: Path) -> None:
    explained = vc.attach(small_cnn(), "first", pixels="0..255")
    floats = vc.export_saved_model(explained, tmp_path / "floats", on_error="blank", verify=False)
    for options in ({"sink": "png"}, {"encoding": "png"}):
        with pytest.raises(vc.InvalidArgumentError, match="attach with `heatmap_dtype='uint8'`"):
            explain(photos, tmp_path / "out", model=floats, source=few, **options)


def test_a_folder_that_cant_be_written_is_named(photos: Photos, few: Path) -> None:
    with pytest.raises(
        vc.PathNotWritableError, match=r"`out` must be a folder that can be written. Received: '/proc/x'"
    ):
        explain(photos, Path("/proc/x"), source=few)


@pytest.mark.parametrize("engine", [name for name in NAMES if name != "local"])
def test_a_missing_engine_is_named(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    for module in ("ray", "ray.data", "pyspark", "pyspark.sql", "dask", "dask.distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(vc.MissingExtraError, match=rf'pip install "visualcnn-tf\[{engine}\]"'):
        explain(photos, tmp_path / "out", engine=engine, workers=None)


def test_a_missing_zarr_is_named(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(vc.MissingExtraError, match=r'pip install "visualcnn-tf\[zarr\]"'):
        explain(photos, tmp_path / "out", sink="zarr")


# Kinds of models and maps ------------------------------------------------------------------------------------------


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("sink", [name for name in SINKS if name != "png"])
def test_maps_of_any_type(photos: Photos, few: Path, tmp_path: Path, sink: str) -> None:
    if sink == "zarr":
        pytest.importorskip("zarr")
    options = {"method": "gradcam", "target": "top2", "size": None, "heatmap_dtype": "float16"}
    explained = vc.attach(small_cnn(), "second", pixels="0..255", **options)
    explain(photos, tmp_path / "out", model=explained, source=few, sink=sink)
    rows = pq.read_table(tmp_path / "out" / "data").to_pydict()
    assert rows["explained_class"][1] == [-1, -1]
    image = tf.cast(tf.io.decode_png((few / "a.png").read_bytes()), tf.float32)[None]
    want = explained(image)
    np.testing.assert_array_equal(rows["explained_class"][0], want["explained_class"][0])
    if sink != "tfrecord":
        maps = vc.read_maps(tmp_path / "out")
        assert maps["heatmap_second_top1"].shape == (3, 4, 4)
        for name, values in maps.items():
            np.testing.assert_allclose(values[0], want[name][0], atol=2e-3)
            assert not values[1].any()


@pytest.mark.slow
def test_overlays_are_pictures_under_the_names_of_the_images(photos: Photos, few: Path, tmp_path: Path) -> None:
    explained = vc.attach(small_cnn(), "first", render="overlay", heatmap_dtype="uint8", pixels="0..255")
    explain(photos, tmp_path / "out", model=explained, source=few, sink="png")
    folder = tmp_path / "out" / "png"
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert made == [f"{kind}_first/{name}.png" for kind in ("heatmap", "overlay") for name in ("a.png", "c.jpg")]
    image = tf.cast(tf.io.decode_png((few / "a.png").read_bytes()), tf.float32)[None]
    got = tf.io.decode_png((folder / "overlay_first" / "a.png.png").read_bytes()).numpy()
    assert abs(got.astype(int) - explained(image)["overlay_first"].numpy()[0]).max() <= 1


# Deaths of workers --------------------------------------------------------------------------------------------------


def test_a_shard_with_which_three_workers_have_died_is_named(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the engine; that of the user starts with marks of dead workers here."""
    monkeypatch.setenv(WORKER, "1")

    def engine(task: Any, shards: list[str]) -> Any:
        for index, deaths in {2: 2, 4: 3}.items():
            marks = tmp_path / "_temporary" / f"begun-{index:06d}"
            marks.mkdir()
            for number in range(deaths):
                (marks / f"host-{number}-x").write_bytes(b"")
        return map(task, shards)

    with pytest.raises(vc.BatchError) as caught:
        explain(photos, tmp_path, engine=engine, workers=None)
    assert "1 of 8 shards are not done, first of all shard 4 (rows 100 to 124, from '" in str(caught.value)
    assert "3 workers have died with it. 175 images are done" in str(caught.value)
    assert explain(photos, tmp_path).computed == SHARD_ROWS


def test_a_fault_that_is_no_shards_own_stops_the_job(
    photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(job: Any, shard: Any) -> None:
        tried.append(shard.index)
        raise OSError("the disk is full")

    monkeypatch.setattr(work, "_explain", fail)
    with pytest.raises(vc.BatchError, match=r"20 of 20 shards are not done, .*the disk is full. 0 images are done"):
        explain(photos, tmp_path, shard_rows=10)
    assert len(tried) == 10
