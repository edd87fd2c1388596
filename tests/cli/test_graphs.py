"""The command line on graphs: folders of SavedModels and frozen graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support import graph_models as graphs
from support.small_cnn import small_cnn

import visualcnn_tf as vc
from visualcnn_tf.cli.files import load_with_pixels
from visualcnn_tf.cli.main import main
from visualcnn_tf.export.tflite_interpreter import interpreter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    graphs.write_frozen(folder / "frozen.pb")
    graphs.write_module(folder / "module")
    (folder / "photos").mkdir()
    for name, pixels in {"a": graphs.images()[0], "b": graphs.images()[1]}.items():
        image = tf.cast((pixels + 1) * 127.5, tf.uint8)
        tf.io.write_file(str(folder / "photos" / f"{name}.png"), tf.io.encode_png(image))
    return folder


@pytest.mark.parametrize("model", ["frozen.pb", "module"])
def test_layers(folder: Path, model: str, capsys: Any) -> None:
    assert main(["layers", str(folder / model)]) == 0
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["stem/Conv2D"] == ["Conv2D", "16×16×8", "conv"]
    assert rows["pad/Pad"] == ["Pad", "17×17×8"]
    assert rows["sum/add"] == ["AddV2", "8×8×8", "stages"]
    assert rows["last/Relu"] == ["Relu", "4×4×12", "stages, last"]


def test_show(folder: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["show", str(folder / "module"), str(folder / "photos"), "--pixels", "-1..1", "-o", str(tmp_path / "a.png")]
    assert main([*words, "--layers", "last", "--method", "gradcam"]) == 0
    assert "(images: 2, layers: 1)" in capsys.readouterr().out
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_show_one_by_one(folder: Path, tmp_path: Path, capsys: Any) -> None:
    """A graph for one image at a time."""
    path = graphs.write_graph(tmp_path / "one.pb", graphs.frozen(batch=1))
    words = ["show", str(path), str(folder / "photos"), "--pixels", "-1..1", "-o", str(tmp_path / "a.png")]
    assert main([*words, "--layers", "last"]) == 0, capsys.readouterr().err
    assert "(images: 2, layers: 1)" in capsys.readouterr().out


def test_export(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    words = ["export", str(folder / "frozen.pb"), "--layers", "last/Relu", "--graph-outputs", "head/Softmax"]
    assert main([*words, "--tflite", str(file), "--pixels", "-1..1"]) == 0
    x = graphs.images(1)
    got = interpreter(file.read_bytes()).get_signature_runner("serving_default")(image=x)
    expected = vc.attach(graphs.original(), "last")(x)["heatmap_last"]
    np.testing.assert_allclose(got["heatmap_last_Relu"], expected, atol=1e-4)


def test_batch(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "maps"
    words = ["batch", str(folder / "module"), str(folder / "photos"), "--out", str(out), "--workers", "0"]
    assert main([*words, "--layers", "last", "--pixels", "-1..1", "--heatmap-dtype", "float32"]) == 0
    import pyarrow.parquet as pq

    table = pq.read_table(out / "data")
    assert table["valid"].to_pylist() == [True, True]
    assert "heatmap_last_Relu" in table.column_names


def test_what_was_exported_keeps_its_meaning(tmp_path: Path, capsys: Any) -> None:
    """Its heatmaps are not explained once more; the model without them is another signature."""
    model = small_cnn()
    vc.export_saved_model(vc.attach(model, pixels="-1..1"), tmp_path / "own", verify=False, warmup=False)
    assert main(["layers", str(tmp_path / "own")]) == 2
    assert "Add `--signature predict`" in capsys.readouterr().err
    bare, pixels = load_with_pixels(tmp_path / "own", graph={"signature": "predict"})
    x = np.random.default_rng(0).uniform(-1, 1, (2, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(bare(x), model(x), atol=1e-6)
    assert pixels is not None
    assert pixels.values == "-1..1"


def test_options_of_graphs_have_an_effect_or_are_refused(folder: Path, tmp_path: Path, capsys: Any) -> None:
    small_cnn().save(tmp_path / "model.keras")
    for option in ("--signature", "--graph-inputs", "--graph-outputs"):
        assert main(["layers", str(tmp_path / "model.keras"), option, "a"]) == 2
        assert f"`{option}` must be left out with a model of Keras" in capsys.readouterr().err
    assert main(["layers", str(folder / "frozen.pb"), "--graph-inputs", "stem/Relu6"]) == 0
    assert "stem" not in capsys.readouterr().out
