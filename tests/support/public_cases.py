"""A check for every public name of the package and of its modules ``methods`` and ``targets``.

``PARAMETERS`` has a row for each parameter of ``attach`` that is no choice among names (see ``option_cases.py``).
``test_registry.py`` fails when a row is missing.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from support import graph_models, oracle
from support.option_cases import TAPPED, check_same, expected, images, missing, tiny_model
from support.oracle import assert_close
from support.public_methods import PUBLIC_METHODS
from support.public_targets import PUBLIC_TARGETS
from support.small_cnn import small_cnn
from visualcnn_tf.export.tflite_interpreter import interpreter

# --- the parameters of ``attach`` that are no choice among names ---


def check_layers() -> None:
    assert [tap.path for tap in vc.attach(tiny_model(), ["conv_*"]).taps] == ["conv_1", "conv_2"]


def check_after_activation() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    assert [tap.path for tap in vc.attach(model, "conv", after_activation=True).taps] == ["relu"]


def check_output() -> None:
    model = tiny_model()
    two = keras.Model(
        model.input, {"one": model.output, "other": keras.layers.Dense(4)(model.get_layer("average").output)}
    )
    explained = vc.attach(two, "last", method="gradcam", output="other")
    outputs = explained(images(3))
    np.testing.assert_array_equal(outputs["explained_class"], np.argmax(outputs["other"], 1))


def check_render() -> None:
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", name="conv")(image))
    batch = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    outputs = vc.attach(model, "conv", render="overlay", pixels="0..1")(batch)
    np.testing.assert_array_equal(outputs["overlay_conv"], vc.overlay(batch, outputs["heatmap_conv"]))


def check_pixels_of_attach() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv")])
    assert vc.attach(model).pixels is None
    assert vc.attach(model, pixels="0..1").pixels == vc.Pixels("0..1")


def check_tokens_of_attach() -> None:
    image = keras.Input((4, 6, 1))
    rows = keras.layers.Reshape((6, 2))(keras.layers.Conv2D(2, 2, strides=2)(image))
    # Through a shape that none of the axes fits.
    lost = keras.layers.Reshape((6, 2), name="lost")(keras.layers.Reshape((4, 3))(rows))
    model = keras.Model(image, keras.layers.GlobalAveragePooling1D()(lost))
    batch = np.random.default_rng(0).random((2, 4, 6, 1)).astype(np.float32)
    maps = keras.Model(image, lost)(batch).numpy().reshape(2, 2, 3, 2)
    outputs = vc.attach(model, "lost", tokens=vc.TokenGrid(2, 3), method="mean", size=None, normalize=None)(batch)
    assert_close(outputs["heatmap_lost"], maps.mean(-1))


def check_check_numerics() -> None:
    batch = images(1)
    batch[0, 0, 0] = np.nan
    with pytest.raises(vc.NanLayerOutputError, match="conv_1"):
        vc.attach(tiny_model(), check_numerics=True)(batch)


def check_input_shape() -> None:
    model = keras.Sequential([keras.layers.Conv2D(2, 3, name="conv")])
    assert vc.attach(model, input_shape=(9, 9, 1)).outputs[-1].shape == (None, 9, 9)


def check_name() -> None:
    assert vc.attach(tiny_model(), name="told").name == "told"


def check_jit_compile() -> None:
    check_compiled(jit_compile=True)


def check_compile_fused_blocks() -> None:
    check_compiled(compile_fused_blocks=True)
    check_compiled(compile_fused_blocks=True, jit_compile=True)


def check_compiled(**options: Any) -> None:
    model, batch = tiny_model(), images(3)
    check_same(vc.attach(model, **options)(batch), vc.attach(model)(batch), 1e-5)


#: A row for each parameter of ``attach`` that no row of ``OPTIONS`` uses.
PARAMETERS: dict[str, Callable[[], None]] = {
    "layers": check_layers,
    "after_activation": check_after_activation,
    "output": check_output,
    "render": check_render,
    "pixels": check_pixels_of_attach,
    "tokens": check_tokens_of_attach,
    "jit_compile": check_jit_compile,
    "compile_fused_blocks": check_compile_fused_blocks,
    "check_numerics": check_check_numerics,
    "input_shape": check_input_shape,
    "name": check_name,
}

# --- every public name ---


def check_attach() -> None:
    model, batch = tiny_model(), images(3)
    explained = vc.attach(model)
    outputs = explained(batch)
    assert list(outputs) == explained.output_names == ["predictions", *(f"heatmap_{name}" for name in TAPPED)]
    np.testing.assert_array_equal(outputs["predictions"], model(batch))
    for key, truth in expected(model, batch, {}, False).items():
        assert_close(outputs[key], truth)


def check_explained_model() -> None:
    explained = vc.attach(tiny_model(), combine="max")
    assert type(explained) is vc.ExplainedModel
    outputs = explained.predict(images(3), verbose=0)
    for key, spec in zip(explained.output_names, explained.outputs, strict=True):
        assert outputs[key].shape == (3, *spec.shape[1:])
        assert outputs[key].dtype == spec.dtype
    assert [tap.path for tap in explained.taps] == list(TAPPED)


def check_tap() -> None:
    explained = vc.attach(tiny_model(), method={"conv_*": "max"})
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(explained)))
    assert keras.saving.deserialize_keras_object(config).taps == explained.taps
    for tap in explained.taps:
        assert isinstance(tap, vc.Tap)
        assert tap.method == (vc.methods.Deviation() if tap.path == "pool" else vc.methods.Max())
        assert tap.key == f"heatmap_{tap.path}"
        assert repr(tap).startswith(f"<Tap {tap.key}: {tap.method!r} of '{tap.path}' ")


def check_feature_map_fusion() -> None:
    layer = vc.FeatureMapFusion("mean", size=(4, 6), heatmap_dtype="uint8")
    assert (
        vc.FeatureMapFusion.from_config(json.loads(json.dumps(layer.get_config()))).get_config() == layer.get_config()
    )
    maps = images(3)
    truth = 255 * oracle.heatmap(maps, "mean", (4, 6))
    assert abs(layer(maps).numpy() - truth).max() <= 0.51


def check_pixels() -> None:
    batch = 255 * images(2)
    pixels = vc.Pixels("mobilenet_v2", fit="pad")
    assert pixels == vc.Pixels("-1..1", "pad", None)
    assert_close(pixels.scale(batch), batch / 127.5 - 1)
    assert_close(pixels.fitted(batch[0], (batch.shape[1], 2 * batch.shape[2]))[:, :1], np.zeros_like(batch[0, :, :1]))


def check_token_grid() -> None:
    image = keras.Input((4, 6, 1))
    tokens = keras.layers.Reshape((6, 2), name="tokens")(keras.layers.Conv2D(2, 2, strides=2)(image))
    (tap,) = vc.attach(keras.Model(image, keras.layers.GlobalAveragePooling1D()(tokens)), "tokens").taps
    assert tap.tokens == vc.TokenGrid(2, 3)
    assert vc.TokenGrid.from_config(json.loads(json.dumps(tap.tokens.get_config()))) == tap.tokens


def check_read_pixels() -> None:
    pixels = vc.Pixels("-1..1", "crop")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv")])
    with tempfile.TemporaryDirectory() as folder:
        for known in (None, pixels):
            explained = vc.attach(model, pixels=known)
            path = vc.export_tflite(explained, Path(folder, "model.tflite"), overwrite=True).path
            assert vc.read_pixels(path) == known


def check_module(module: Any, checks: dict[str, Callable[[], None]]) -> None:
    """Their names are checked one by one elsewhere."""
    assert missing(module.__all__, checks) == []
    assert module.__doc__


def check_drise() -> None:
    def find(images: np.ndarray) -> Any:  # one box, as surely as its left half is bright
        box, light = np.array([[0.0, 2, 8, 6]]), images[:, 2:6, :4].mean((1, 2, 3))
        return np.repeat(box[None], len(images), 0), np.ones((len(images), 1, 1)), light[:, None]

    found = vc.drise(find, np.ones((8, 8, 3)), 0, masks=200, grid=4, detections=lambda outputs: outputs)
    assert (found.min(), found.max()) == (0, 1)
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert 2 <= y < 6
    assert x < 4


def check_errors() -> None:
    classes = [each for _, each in inspect.getmembers(vc.errors, inspect.isclass)]
    assert len(classes) > 10
    for each in classes:
        assert each.__module__ == "visualcnn_tf.errors"
        assert each.__doc__
        if each is not vc.VisualCNNError:
            (check_warning if issubclass(each, Warning) else check_error)(each)


def check_error(error: type) -> None:
    assert issubclass(error, vc.VisualCNNError)
    assert issubclass(error, (ValueError, TypeError))
    assert not issubclass(error, Warning)


def check_base_error() -> None:
    assert vc.VisualCNNError.__bases__ == (Exception,)


def check_warning(warning: type) -> None:
    assert issubclass(warning, UserWarning)
    assert not issubclass(warning, vc.VisualCNNError)


def check_visualizer() -> None:
    model, batch = tiny_model(), images(1)
    heatmaps = vc.Visualizer(model, small_layers=True).heatmap(batch)
    truth = expected(model, batch, {}, False)
    assert len(heatmaps) == len(TAPPED)
    for name, heatmap in zip(TAPPED, heatmaps, strict=True):
        assert_close(heatmap[None], truth[f"heatmap_{name}"])


def check_plot_heatmaps() -> None:
    outputs = vc.attach(tiny_model())(images(2))
    figure = vc.plot_heatmaps(images(2)[..., :1], outputs)
    (page,) = vc.plot_pages(images(2)[..., :1], outputs)
    assert page._repr_png_() == figure._repr_png_()
    shown = [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()]
    for name in TAPPED:
        for heatmap in outputs[f"heatmap_{name}"].numpy():
            assert any(one.shape == heatmap.shape and np.allclose(one, heatmap, atol=1e-6) for one in shown)


def check_explain_photos() -> None:
    image = keras.Input((8, 8, 1))
    maps = keras.layers.MaxPooling2D(name="pool")(keras.layers.Conv2D(2, 3, padding="same", name="conv")(image))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps)))
    batch = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, image in enumerate(batch):
            tf.io.write_file(str(folder / f"{i}.png"), tf.io.encode_png(image))
        pages = vc.explain_photos(model, folder, layers="conv", method="mean", pixels="0..255")
        assert isinstance(pages, vc.PhotoPages)
        assert isinstance(next(pages.photos()), vc.ExplainedPhoto)
        [page] = pages
        assert [text.get_text().split("\n")[0] for text in page.texts[:-3]] == ["0.png", "conv", "pool", "1.png"]
        outputs = vc.attach(model, method="mean")(batch.astype(np.float32))
        for i, photo in enumerate(pages.photos()):
            assert photo.path == folder / f"{i}.png"
            for name in ("conv", "pool"):
                heatmap = outputs[f"heatmap_{name}"][i : i + 1]
                np.testing.assert_allclose(photo.heatmap(f"heatmap_{name}"), heatmap[0], atol=1e-5)
                pictures = vc.overlay(batch[i : i + 1], heatmap, 0.5, weighted=True)
                drawn = photo.overlay(f"heatmap_{name}", 0.5)
                assert abs(drawn.astype(int) - pictures[0].numpy().astype(int)).max() <= 1


def check_colormaps() -> None:
    assert list(vc.COLORMAPS) == ["turbo", "viridis", "inferno", "cividis", "gray", "jet", "heat"]
    for name in vc.COLORMAPS:
        heatmap = np.linspace(0, 1, 2000, dtype=np.float32)
        colors = vc.colorize(heatmap, name).numpy()
        assert colors.dtype == np.uint8
        np.testing.assert_array_equal(colors, vc.Colorize(name)(heatmap))
        table = vc.COLORMAPS[name]()
        np.testing.assert_array_equal(colors[[0, -1]], table[[0, -1]])


def check_overlay() -> None:
    image, heatmap = np.full((1, 2, 2, 1), 0.2, np.float32), np.array([[[0, 1], [0.6, 0]]], np.float32)
    options = {"alpha": 0.75, "colormap": "gray", "weighted": True}
    expected = np.round(255 * (0.2 + 0.75 * heatmap * (heatmap - 0.2)))
    for pictures in (vc.overlay(image, heatmap, **options), vc.Overlay(**options)(image, heatmap)):
        np.testing.assert_array_equal(pictures, np.repeat(expected[..., None], 3, axis=-1))


def check_blur_by_importance() -> None:
    batch = images(2)
    for blur in (vc.blur_by_importance, vc.BlurByImportance()):
        np.testing.assert_array_equal(blur(batch, np.ones(batch.shape[:3], np.float32)), batch)
        assert blur(batch, np.zeros(batch.shape[:3])).numpy().std() < batch.std() / 2


def check_heatmap_callback() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv")])
    model.compile("sgd", "mse", run_eagerly=True)
    batch = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        callback = vc.HeatmapCallback(batch, method="mean", max_images=2, png_dir=folder, pixels="0..1")
        model.fit(batch, np.zeros((3, 6, 6, 2)), callbacks=[callback], verbose=0)
        [file] = Path(folder).iterdir()
        assert file.name == "heatmap_conv_epoch_0001.png"
        heatmaps = vc.attach(model, method="mean", size=(112, 112))(batch[:2])["heatmap_conv"]
        pictures = vc.overlay(batch[:2].repeat(14, 1).repeat(14, 2), heatmaps).numpy()
        row = tf.io.decode_png(file.read_bytes(), channels=3).numpy()[-120:-8]  # above a gap of 8 pixels
        lefts = range(row.shape[1] - 112 + 1)
        positions = [
            [left for left in lefts if np.array_equal(row[:, left : left + 112], picture)] for picture in pictures
        ]
        assert [len(found) for found in positions] == [1, 1]
        assert positions[0] < positions[1]


def check_export_saved_model() -> None:
    explained = vc.attach(tiny_model())
    with tempfile.TemporaryDirectory() as folder:
        path = vc.export_saved_model(explained, Path(folder) / "m", signatures=["serving_default"])
        served = tf.saved_model.load(str(path)).signatures["serving_default"](tf.constant(images(2)))
        for key, value in explained(images(2)).items():
            np.testing.assert_allclose(served[key], value, atol=1e-6, err_msg=key)


def check_export_tflite() -> None:
    explained = vc.attach(tiny_model())
    with tempfile.TemporaryDirectory() as folder:
        report = vc.export_tflite(explained, Path(folder) / "m.tflite", batch_size=2)
        runner = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
        served = runner(**{explained.plan.inputs.names[0]: images(2)})
        for key, value in explained(images(2)).items():
            np.testing.assert_allclose(served[key], value, atol=1e-5, err_msg=key)


@cache
def check_batch() -> None:
    """A job, its report, its files, and the explainer by itself."""
    pq = pytest.importorskip("pyarrow.parquet")
    explained = vc.attach(small_cnn(), pixels="0..255")
    batch = np.random.default_rng(0).integers(0, 256, (5, *explained.model.input_shape[1:])).astype(np.uint8)
    pngs = [tf.io.encode_png(image).numpy() for image in batch]
    want = explained(batch.astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        dataset = tf.data.Dataset.from_tensor_slices(batch)
        report = vc.explain_dataset(explained, dataset, Path(folder) / "out", workers=0, shard_rows=2)
        assert isinstance(report, vc.BatchReport)
        assert (report.rows, report.errors, report.computed) == (5, 0, 5)
        assert str(report).startswith(f"5 images in {folder}")
        rows, maps = pq.read_table(Path(folder) / "out" / "data"), vc.read_maps(Path(folder) / "out")
        columns = vc.BatchExplainer(Path(folder) / "out" / "model")(pngs)
    np.testing.assert_allclose(np.stack(rows["predictions"].to_numpy()), want["predictions"], atol=1e-5)
    for name, values in maps.items():
        np.testing.assert_allclose(values, want[name], atol=1e-5)
        np.testing.assert_allclose(columns[name], want[name], atol=1e-5)


def checks_error(name: str) -> Callable[[], None]:
    return lambda: check_error(getattr(vc, name))


def check_load_graph() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = vc.load_graph(graph_models.write_frozen(Path(folder, "frozen.pb")))
    x = graph_models.images()
    np.testing.assert_allclose(model(x), graph_models.original()(x), atol=1e-6)


PUBLIC: dict[str, Callable[[], None]] = {
    "BatchError": checks_error("BatchError"),
    "BatchExplainer": check_batch,
    "BatchReport": check_batch,
    "BlurByImportance": check_blur_by_importance,
    "COLORMAPS": check_colormaps,
    "Colorize": check_colormaps,
    "ExpensiveMethodWarning": lambda: check_warning(vc.ExpensiveMethodWarning),
    "ExplainedModel": check_explained_model,
    "ExplainedPhoto": check_explain_photos,
    "ExportVerificationError": checks_error("ExportVerificationError"),
    "FeatureMapFusion": check_feature_map_fusion,
    "HeatmapCallback": check_heatmap_callback,
    "Image1DError": checks_error("Image1DError"),
    "ImageReadError": checks_error("ImageReadError"),
    "ImageTooSmallError": checks_error("ImageTooSmallError"),
    "IncompatibleModelError": checks_error("IncompatibleModelError"),
    "InputShapeError": checks_error("InputShapeError"),
    "InvalidArgumentError": checks_error("InvalidArgumentError"),
    "InvalidTypeError": checks_error("InvalidTypeError"),
    "LayerNotFoundError": checks_error("LayerNotFoundError"),
    "MissingExtraError": checks_error("MissingExtraError"),
    "NanLayerOutputError": checks_error("NanLayerOutputError"),
    "NoAttentionError": checks_error("NoAttentionError"),
    "NoFeatureMapError": checks_error("NoFeatureMapError"),
    "NoGradientError": checks_error("NoGradientError"),
    "NotBuiltError": checks_error("NotBuiltError"),
    "NotSerializableWarning": lambda: check_warning(vc.NotSerializableWarning),
    "Overlay": check_overlay,
    "PathNotWritableError": checks_error("PathNotWritableError"),
    "PhotoPages": check_explain_photos,
    "Pixels": check_pixels,
    "PositionsUnknownWarning": lambda: check_warning(vc.PositionsUnknownWarning),
    "ProbabilityWarning": lambda: check_warning(vc.ProbabilityWarning),
    "SizeTooSmall": checks_error("SizeTooSmall"),
    "SmallConvolutionWarning": lambda: check_warning(vc.SmallConvolutionWarning),
    "SpatialAxesLostWarning": lambda: check_warning(vc.SpatialAxesLostWarning),
    "Tap": check_tap,
    "TokenGrid": check_token_grid,
    "UnsupportedOperationError": checks_error("UnsupportedOperationError"),
    "VisualCNNError": check_base_error,
    "Visualizer": check_visualizer,
    "attach": check_attach,
    "blur_by_importance": check_blur_by_importance,
    "colorize": check_colormaps,
    "drise": check_drise,
    "errors": check_errors,
    "explain_dataset": check_batch,
    "explain_photos": check_explain_photos,
    "export_saved_model": check_export_saved_model,
    "export_tflite": check_export_tflite,
    "load_graph": check_load_graph,
    "methods": lambda: check_module(vc.methods, PUBLIC_METHODS),
    "overlay": check_overlay,
    "plot_heatmaps": check_plot_heatmaps,
    "plot_pages": check_plot_heatmaps,
    "read_maps": check_batch,
    "read_pixels": check_read_pixels,
    "targets": lambda: check_module(vc.targets, PUBLIC_TARGETS),
}
