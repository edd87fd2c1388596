"""The floor, the targets, straight lines, the tables in documents, and the quick runs of the other benchmarks."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.markdown_tables import tables

import visualcnn_tf as vc
from benchmarks import __main__ as command
from benchmarks import dataset, docs, floor, fusions, gpu, growth, memory, reads, startup, targets, tflite, transformers
from benchmarks.report import ROOT, Report, Table
from benchmarks.timing import Samples, Spread

# The floor ------------------------------------------------------------------------------------------------


def test_the_floor_reads_each_map_once_and_writes_each_heatmap_once():
    machine = floor.Machine(bandwidth=1e3, fresh=1e3, multiplications=1.0)
    shapes = [(2, 5, 4, 3), (2, 3, 2, 7)]
    read, pixels = 2 * (60 + 42) * 4, 2 * 2 * 10 * 8
    assert floor.seconds(machine, shapes, (10, 8)) == pytest.approx((read + pixels * 4) / 1e3)
    assert floor.seconds(machine, shapes, (10, 8), "uint8") == pytest.approx((read + pixels) / 1e3)
    assert floor.seconds(machine, shapes, None) == pytest.approx((read + 2 * (20 + 6) * 4) / 1e3)
    assert floor.seconds(machine, shapes, (10, 8), reads=2) == pytest.approx((2 * read + pixels * 4) / 1e3)


def test_the_floor_of_eigen_counts_the_smaller_matrix():
    # 6 positions, 4 channels: 6·4·4 for the matrix, 7·4³ to square it, 2·6·4 for the projection.
    assert floor.eigen_multiplications([(1, 3, 2, 4)]) == 96 + 448 + 48
    assert floor.eigen_multiplications([(2, 2, 1, 4)]) == 2 * (2 * 2 * 4 + 7 * 8 + 16)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_maps_that_are_read_alone_are_read_whole(dtype):
    layers = [keras.layers.Conv2D(5, 1, kernel_initializer="ones", name="conv"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((4, 3, 2)), *layers])
    images = np.random.default_rng(0).uniform(1, 2, size=(2, 4, 3, 2)).astype(np.float32)
    maps = np.asarray(model.layers[0](images))
    for count, method in ((1, reads.read_once), (2, reads.read_twice)):
        want = maps.sum((1, 2)).mean(-1) + (count - 1) * maps.max((1, 2)).mean(-1)
        np.testing.assert_allclose(method(tf.constant(maps)), np.broadcast_to(want[:, None, None], (2, 4, 3)), 1e-5)
        alone = reads.Reads(model, "conv", dtype, count)
        outputs = alone(images)
        np.testing.assert_allclose(outputs["predictions"], model(images), 1e-6)
        got = outputs[alone.read.taps[0].key].numpy()
        assert got.dtype == dtype
        np.testing.assert_allclose(got, np.full((2, 4, 3), want[0].astype(dtype)), 1e-5)


def test_tapped_shapes_are_those_of_the_layers():
    model = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Conv2D(5, 3), keras.layers.MaxPooling2D()])
    assert floor.tapped_shapes(vc.attach(model), np.zeros((7, 8, 6, 3))) == [(7, 6, 4, 5), (7, 3, 2, 5)]


def test_the_peak_is_of_the_child_and_of_its_work_alone():
    block = 300 * 2**20
    peak = memory.peak(
        f"import numpy as np; x = np.ones({block}, np.uint8); del x", "x = np.ones(50 * 2**20, np.uint8)"
    )
    assert 40 * 2**20 < peak < 80 * 2**20
    with pytest.raises(RuntimeError, match="NameError"):
        memory.peak("", "nothing_of_this_name")


# Targets --------------------------------------------------------------------------------------------------


def test_a_target_is_met_by_the_median(tmp_path):
    results = {
        "import, ms": {"low": 40, "median": 50, "high": 70, "remark": ""},
        "first predict, s more": {"low": 1, "median": 2.1, "high": 3, "remark": "why"},
        "the earlier package over ours, per image": {"low": 190, "median": 200, "high": 300, "remark": ""},
        "scorecam over reciprocam": {"low": 90, "median": 99, "high": 300, "remark": ""},
    }
    content = {"for_targets": results, "conditions": {"run": "one"}}
    (tmp_path / "startup.json").write_text(json.dumps(content), encoding="utf-8")
    report = targets.report_on(tmp_path, quick=False)
    found = {row[0]: row[3] for row in report.sections[1].lines}
    assert found["import of `visualcnn_tf` after TensorFlow and Keras"] == "met"
    assert found["`attach` and first `predict`, less the bare one, ResNet50 `stages`"] == "**not met**"
    assert found["the earlier package over ours, per image at batch 256"] == "met"
    assert found["`scorecam`, all channels, over `reciprocam`"] == "**not met**"
    assert found["`gradcam`, last map, ResNet50 batch 8, over bare"] == ""
    assert report.sections[0].startswith("2 of ")
    assert "one run" in report.sections[0]


def test_the_targets_of_several_runs_say_so(tmp_path):
    for name in ("startup", "classes"):
        content = {"for_targets": {name: {}}, "conditions": {"run": name}}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    assert "several runs" in targets.report_on(tmp_path, quick=False).sections[0]


def test_without_results_there_are_no_targets(tmp_path, capsys):
    assert targets.main(["--out", str(tmp_path / "none")]) == 1
    assert "no results" in capsys.readouterr().err


# Straight lines -------------------------------------------------------------------------------------------


def test_all_points_of_a_straight_line_are_on_it():
    units = [1, 2, 4, 8]
    assert growth.line(units, [3, 5, 9, 17]) == pytest.approx((2, 1))
    assert growth.off_the_line(units, [3, 5, 9, 17]) == []


def test_a_point_off_the_line_is_named():
    assert 4 in growth.off_the_line([1, 2, 4, 8, 16], [1, 2, 4, 8, 40])


# Documents ------------------------------------------------------------------------------------------------


def test_tables_are_filled_between_their_marks():
    text = "a\n<!-- table: x -->\nold\n<!-- /table -->\nb\n<!-- table: y -->\n<!-- /table -->\n"
    assert docs.filled(text, {"x": "| new |"}) == text.replace("old", "| new |")


@pytest.mark.parametrize("document", docs.DOCUMENTS)
def test_the_documents_show_the_kept_results(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    shown = {match["name"] for match in docs.MARKED.finditer(text)}
    assert shown
    assert shown <= set(docs.kept())
    assert docs.filled(text, docs.kept()) == text, "run `python -m benchmarks --docs`"


def test_reports_of_quick_runs_are_not_kept(tmp_path):
    for stem in ("classes", "classes-quick"):
        (tmp_path / f"{stem}.md").write_text(f"<!-- table: {stem} -->\n| 1 |\n<!-- /table -->\n", encoding="utf-8")
    assert docs.kept(tmp_path) == {"classes": "| 1 |"}


def test_a_report_keeps_its_tables_by_name():
    report = Report("Title", ["text", Table("t", ["a", "b"], [["1", "2"]])], raw={"s": Samples({"x": [1.0]})})
    report.note("it", 1e-3)
    report.note("it", 1e-4)
    report.for_targets["k"] = (Spread(1, 2, 3), "why")
    content = json.loads(report.json({"CPU": "fast"}))
    assert docs.MARKED.findall(report.markdown({})) == [("t", "| a | b |\n| --- | ---: |\n| 1 | 2 |")]
    assert content["raw"] == {"s": {"x": [1.0]}}
    assert content["for_targets"]["k"] == {"low": 1, "median": 2, "high": 3, "remark": "why"}
    assert "- CPU: fast" in report.markdown({"CPU": "fast"})
    assert "it 1.0e-03" in report.markdown({})


# The command ----------------------------------------------------------------------------------------------


def test_a_failed_table_fails_the_run_and_the_others_still_run(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(command, "_run", lambda name, arguments: ran.append(name) or name != "tflite")
    assert command.main(["--only", "tflite,startup", "--out", str(tmp_path)]) == 1
    assert ran == ["tflite", "startup", "targets"]
    assert command.main(["--only", "startup", "--out", str(tmp_path)]) == 0
    assert command.main(["--only", "nothing"]) == 2


# Quick runs -----------------------------------------------------------------------------------------------


def quick(module, out):
    """The tables and the raw results of a quick run."""
    assert module.main(["--quick", "--out", str(out)]) == 0
    name = module.__name__.rsplit(".", 1)[1]
    markdown = (out / f"{name}-quick.md").read_text(encoding="utf-8")
    return tables(markdown), json.loads((out / f"{name}-quick.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_quick_fusions_compare_every_method(tmp_path):
    [(_, *rows)], raw = quick(fusions, tmp_path)
    assert [row[0] for row in rows] == [
        f"`{m}`" for m in ("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen")
    ]
    assert 0 < raw["errors"]["eigen"] <= 1e-2


@pytest.mark.slow
def test_the_quick_growth_draws(tmp_path):
    (*sweeps, short), _ = quick(growth, tmp_path)
    assert [len(rows) - 1 for rows in sweeps] == [3, 2, 3, 3]
    assert len(short) == 5
    assert (tmp_path / "growth-quick.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_quick_dataset_goes_through_all_images(tmp_path):
    [(_, *rows)], raw = quick(dataset, tmp_path)
    assert len(rows) == 6
    assert float(rows[0][1]) == pytest.approx(16 / np.median(raw["raw"]["dataset"]["bare"]), rel=0.01, abs=0.06)


@pytest.mark.slow
def test_the_quick_transformers_and_graphs_are_those_that_are_expected(tmp_path, monkeypatch):
    (vit, graph), raw = quick(transformers, tmp_path)
    assert [row[1] for row in vit[1:]] == [row[1] for row in graph[1:]] == ["1", "4"]
    assert all(0 < raw["errors"][f"`{method}`"] <= 1e-3 for method in transformers.METHODS)
    assert raw["errors"]["graph"] <= 1e-4
    monkeypatch.setattr(transformers, "_maps", lambda *_: dict.fromkeys(transformers.METHODS, np.ones((2, 4, 4))))
    assert transformers.main(["--quick", "--out", str(tmp_path)]) == 1


@pytest.mark.slow
def test_the_quick_tflite_has_a_row_for_each_file(tmp_path):
    [(_, *rows)], _ = quick(tflite, tmp_path)
    files = {"float32": ["bare", "stages", "unscaled", "gradcam"], "int8": ["bare", "stages", "gradcam"]}
    assert [row[1:3] for row in rows] == [[weights, file] for weights, some in files.items() for file in some]


def test_traces_do_not_grow_with_the_batch_sizes():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()])
    assert startup.count_traces(vc.attach(model), (1, 2, 3, 4, 5), (8, 8, 3)) <= 2


def test_without_a_gpu_the_table_says_so(tmp_path):
    [(_, row)], _ = quick(gpu, tmp_path)
    assert row == ["no GPU", "skipped"]


@pytest.mark.slow
def test_the_exported_programs_hold_arguments_and_outputs(tmp_path):
    gpu.export(gpu.subject(gpu.EARLIER_CNN, 2), tmp_path)
    assert {path.stem for path in tmp_path.glob("*.hlo")} == {"bare", "stages", "conv", "gradcam"}
    arrays = np.load(tmp_path / "stages.npz")
    model, images = gpu.subject(gpu.EARLIER_CNN, 2).make()
    np.testing.assert_array_equal(arrays["argument0"], images)
    last = max(name for name in arrays if name.startswith("output"))  # by name: heatmaps, then predictions
    np.testing.assert_allclose(arrays[last], model(images), atol=1e-5)
    assert sum(name.startswith("argument") for name in arrays) == 1 + len(model.weights)
    assert (tmp_path / "run_hlo.py").exists()
