"""The registry: one row for everything that the package makes public.

``OPTIONS`` has a row for each name of each table of choices: a model is built with these options, by ``attach`` and
with ``FeatureMapFusion``, and put through everything in ``test_options.py``. ``PUBLIC`` has a row for each name in
``visualcnn_tf.__all__``: a function that checks it. ``test_registry.py`` fails when a row is missing.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from support import oracle, oracle_gradient
from support.oracle import assert_close
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.heatmap.combine import COMBINATIONS
from visualcnn_tf.methods import PERTURBATIONS
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.ops.resize import INTERPOLATIONS

# --- every choice of every option ---

#: The tables of choices. A name that is added to one of them needs a row in ``OPTIONS``.
TABLES: dict[str, Iterable[str]] = {
    "fusion": vc.FUSIONS,
    "interpolation": INTERPOLATIONS,
    "combination": COMBINATIONS,
    "dtype": DTYPES,
    "target": ("predicted", "input", "top2", "1", "(2, 0)"),
}

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("fusion", "deviation"): {"method": "deviation"},
    ("fusion", "mean"): {"method": "mean", "normalize": ("range", -0.5, 1.5)},
    ("fusion", "mean_abs"): {"method": "mean_abs", "normalize": "max"},
    ("fusion", "max"): {"method": "max", "normalize": None},
    ("fusion", "l2"): {"method": "l2", "size": None},
    ("fusion", "std"): {"method": "std", "size": (9, 13)},
    ("fusion", "eigen"): {"method": "eigen"},
    ("fusion", "gradcam"): {"method": "gradcam"},
    ("fusion", "gradcam++"): {"method": "gradcam++", "size": None},
    ("fusion", "hirescam"): {"method": "hirescam", "normalize": "max", "relu": False},
    ("fusion", "layercam"): {"method": "layercam", "dtype": "uint8"},
    ("fusion", "xgradcam"): {"method": "xgradcam", "normalize": None},
    ("fusion", "eigengradcam"): {"method": "eigengradcam", "combine": "mean"},
    ("fusion", "reciprocam"): {"method": "reciprocam", "normalize": None},
    ("fusion", "scorecam"): {"method": "scorecam"},
    ("fusion", "ablationcam"): {"method": "ablationcam", "max_channels": 3},
    ("interpolation", "bilinear"): {"interpolation": "bilinear", "size": (5, 20)},
    ("interpolation", "nearest"): {"interpolation": "nearest", "size": (5, 20)},
    ("interpolation", "bicubic"): {"interpolation": "bicubic", "size": (5, 20)},
    ("interpolation", "area"): {"interpolation": "area", "size": (5, 20)},
    ("combination", "mean"): {"combine": "mean", "combine_weights": [1, 0.5, 2]},
    ("combination", "max"): {"combine": "max"},
    ("combination", "product"): {"combine": "product", "combine_weights": {"conv_*": 0.5}},
    ("dtype", "float32"): {"dtype": "float32"},
    ("dtype", "float16"): {"dtype": "float16", "combine": "mean"},
    ("dtype", "uint8"): {"dtype": "uint8", "combine": "max"},
    ("target", "predicted"): {"target": "predicted", "method": "layercam", "combine": "max"},
    ("target", "input"): {"target": "input", "method": "gradcam"},
    ("target", "top2"): {"target": "top2", "method": "layercam"},
    ("target", "1"): {"target": 1, "method": "gradcam", "normalize": ("range", -0.5, 1.5)},
    ("target", "(2, 0)"): {"target": (2, 0), "method": "hirescam", "size": None},
}

IMAGE = (16, 12, 2)
TAPPED = ("conv_1", "pool", "conv_2")


def missing(names: Iterable[str], rows: Iterable[str]) -> list[str]:
    """The names that have no row, and the rows that stand for nothing any more."""
    names, rows = set(names), set(rows)
    return sorted(names - rows) + [f"{row} (no longer there)" for row in sorted(rows - names)]


def images(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(batch, *IMAGE)).astype(np.float32)


def tiny_model() -> keras.Model:
    """Three layers to tap, with a map larger than, as large as and smaller than most heatmaps."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(IMAGE, name="image")
    x = keras.layers.Conv2D(5, 3, activation="relu", bias_initializer="ones", name="conv_1")(inputs)
    x = keras.layers.MaxPooling2D(2, name="pool")(x)
    x = keras.layers.Conv2D(6, 2, padding="same", activation="relu", bias_initializer="ones", name="conv_2")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32", name="head")(x))


def by_attach(model: keras.Model, options: dict[str, Any]) -> keras.Model:
    return vc.attach(model, **options)


def by_layers(model: keras.Model, options: dict[str, Any]) -> keras.Model:
    """What ``attach`` makes of a model, made with the public layer; without combination."""
    options = {"size": "input", **{key: value for key, value in options.items() if "combine" not in key}}
    outputs = {"predictions": model.output}
    for name in TAPPED:
        layer = vc.FeatureMapFusion(**options)
        outputs[f"heatmap_{name}"] = layer(model.get_layer(name).output, like=model.input)
    return keras.Model(model.input, outputs)


BUILDERS: dict[str, Callable[[keras.Model, dict[str, Any]], keras.Model]] = {"attach": by_attach, "layers": by_layers}


def expected(model: keras.Model, batch: np.ndarray, options: dict[str, Any], combined: bool) -> dict[str, np.ndarray]:
    """What the oracle makes of the layers' own outputs, in float64 and of no dtype yet."""
    layers = keras.Model(model.input, [model.output, *(model.get_layer(name).output for name in TAPPED)])
    # Explained models always run as graphs, whose kernels round half precision differently from eager ones.
    run = tf.function(layers, autograph=False) if is_discriminative(options) else layers
    predictions, *maps = (np.asarray(tf.cast(output, tf.float64)) for output in run(batch))
    size = options.get("size", IMAGE[:2])
    how = [options.get("interpolation", "bilinear"), options.get("normalize", "minmax")]
    outputs = {"predictions": predictions}
    if is_discriminative(options):
        suffixes, classes = asked_classes(predictions, options.get("target", "predicted"))
        outputs["explained_class"] = classes if len(suffixes) > 1 else classes[:, 0]
        columns = [(suffix, classes[:, column]) for column, suffix in enumerate(suffixes)]
    else:
        columns = [("", None)]
    heatmaps = {}
    for name, one in zip(TAPPED, maps, strict=True):
        for suffix, of in columns:
            if of is None:
                fused = oracle.fuse(one, options.get("method", "deviation"))
            else:
                fused = explained(model, name, dict(zip(TAPPED, maps, strict=True)), batch, of, options)
            heatmaps[f"heatmap_{name}{suffix}"] = oracle_gradient.finished(fused, size, *how)
    outputs |= heatmaps
    if combined:
        weights = options.get("combine_weights")
        if isinstance(weights, dict):
            weights = [weights["conv_*"] if name.startswith("conv_") else 1 for name in TAPPED]
        both = oracle.combine(list(heatmaps.values()), options["combine"], weights)
        outputs["heatmap"] = oracle.normalized(both, how[1])
    return outputs


def is_discriminative(options: dict[str, Any]) -> bool:
    return options.get("method") in {*oracle_gradient.FUSIONS, *PERTURBATIONS}


def asked_classes(predictions: np.ndarray, target: Any) -> tuple[list[str], np.ndarray]:
    """What the keys end in, and the classes ``(B, n)``; of the target ``"input"`` when nobody asks."""
    best = np.argsort(-predictions, 1, kind="stable")
    if target == "top2":
        return ["_top1", "_top2"], best[:, :2]
    if isinstance(target, tuple):
        return [f"_class{k}" for k in target], np.repeat([target], len(best), 0)
    return [""], best[:, :1] if isinstance(target, str) else np.full((len(best), 1), target)


def explained(
    model: keras.Model, name: str, maps: dict[str, Any], batch: np.ndarray, classes: np.ndarray, options: dict[str, Any]
) -> np.ndarray:
    """The raw maps of a method that explains a class: from gradients, or image by image from many runs."""
    method, relu = options["method"], options.get("relu", True)
    if method in oracle_gradient.FUSIONS:
        a = tf.constant(maps[name], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(a)
            scores = tf.gather(logits(model, name, a, maps), classes, batch_dims=1)
        return oracle_gradient.fuse(a, tape.gradient(scores, a), method, relu)
    found = []
    for image, a, k in zip(batch, maps[name], classes, strict=True):

        def score(a: np.ndarray, k: int = k) -> float:
            return float(logits(model, name, a[None])[0, k])

        def score_of_image(x: np.ndarray, k: int = k) -> float:
            return float(logits(model, "image", x[None])[0, k])

        if method == "reciprocam":
            found.append(oracle_gradient.reciprocam(a, score))
        elif method == "scorecam":
            found.append(oracle_gradient.scorecam(a, score_of_image, image))
        else:
            kept = oracle_gradient.most_varied(a, options["max_channels"])
            found.append(oracle_gradient.ablationcam(a, score, kept))
    return np.array(found)


def logits(model: keras.Model, after: str, x: Any, seen: dict[str, Any] | None = None) -> Any:
    """What follows a layer of ``tiny_model``, in float32 on the weights as the model's precision rounds them.

    ``seen`` are the model's own feature maps: what its ReLUs let through, however half precision rounds.
    """
    x, names = tf.cast(x, tf.float32), [layer.name for layer in model.layers]
    for layer in model.layers[names.index(after) + 1 :]:
        kernel, bias = (tf.cast(tf.cast(w, layer.compute_dtype), tf.float32) for w in layer.weights or (0.0, 0.0))
        if layer.name == "pool":
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        elif layer.name == "average":
            x = tf.reduce_mean(x, (1, 2))
        elif layer.name == "head":
            x = x @ kernel + bias
        else:
            x = tf.nn.conv2d(x, kernel, 1, layer.padding.upper()) + bias
            x = tf.where((x if seen is None else seen[layer.name]) > 0, x, tf.zeros_like(x))
    return x


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
    outputs = vc.attach(model, "conv", render="overlay")(batch)
    np.testing.assert_array_equal(outputs["overlay_conv"], vc.overlay(batch, outputs["heatmap_conv"]))


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
    model, batch = tiny_model(), images(3)
    for value in ("fusion", "activation"):
        compiled = vc.attach(model, jit_compile=value)(batch)
        check_same(compiled, vc.attach(model)(batch), 1e-5)


#: A row for each parameter of ``attach`` that no row of ``OPTIONS`` uses.
PARAMETERS: dict[str, Callable[[], None]] = {
    "layers": check_layers,
    "after_activation": check_after_activation,
    "output": check_output,
    "render": check_render,
    "jit_compile": check_jit_compile,
    "check_numerics": check_check_numerics,
    "input_shape": check_input_shape,
    "name": check_name,
}

# --- two runs of one model ---

# A step of the type, for a heatmap of which the last bit may fall either way.
STEP = {"int32": 0.0, "float32": 0.0, "float16": 2**-11, "bfloat16": 2**-8, "uint8": 1.0}


def check_same(outputs: dict[str, Any], eager: dict[str, Any], tolerance: float) -> None:
    """Compares two runs of one model."""
    assert set(outputs) == set(eager)
    for key, value in eager.items():
        first, second = np.asarray(value), np.asarray(outputs[key])
        assert second.dtype == first.dtype
        allowed = tolerance * max(1.0, float(np.ptp(first))) + STEP[first.dtype.name]
        np.testing.assert_allclose(second.astype(np.float64), first, rtol=0, atol=allowed, err_msg=key)


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
    for tap in vc.attach(tiny_model(), method={"conv_*": "max"}).taps:
        assert isinstance(tap, vc.Tap)
        assert vc.Tap.from_config(json.loads(json.dumps(tap.get_config()))) == tap
        assert tap.method == ("deviation" if tap.path == "pool" else "max")


def check_feature_map_fusion() -> None:
    layer = vc.FeatureMapFusion("mean", size=(4, 6), dtype="uint8")
    assert (
        vc.FeatureMapFusion.from_config(json.loads(json.dumps(layer.get_config()))).get_config() == layer.get_config()
    )
    maps = images(3)
    truth = 255 * oracle.heatmap(maps, "mean", (4, 6))
    assert abs(layer(maps).numpy() - truth).max() <= 0.51


def check_fusions() -> None:
    maps = images(2)
    for name in oracle_gradient.FUSIONS:
        both = [tf.constant(abs(maps)), tf.constant(maps + 1)]
        assert_close(vc.FUSIONS[name](*both), oracle_gradient.fuse(*both, name, relu=False))
    for name, truth in oracle.FUSIONS.items():
        assert_close(vc.FUSIONS[name](tf.constant(maps)), np.stack([truth(one) for one in maps.astype(np.float64)]))


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
        callback = vc.HeatmapCallback(batch, method="mean", max_images=2, png_dir=folder)
        model.fit(batch, np.zeros((3, 6, 6, 2)), callbacks=[callback], verbose=0)
        [file] = Path(folder).iterdir()
        assert file.name == "heatmap_conv_epoch_0001.png"
        heatmaps = vc.attach(model, method="mean", size=(112, 112))(batch[:2])["heatmap_conv"]
        pictures = vc.overlay(batch[:2].repeat(14, 1).repeat(14, 2), heatmaps).numpy()
        np.testing.assert_array_equal(tf.io.decode_png(file.read_bytes()), np.concatenate(pictures, axis=1))


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


def checks_error(name: str) -> Callable[[], None]:
    return lambda: check_error(getattr(vc, name))


PUBLIC: dict[str, Callable[[], None]] = {
    "BlurByImportance": check_blur_by_importance,
    "COLORMAPS": check_colormaps,
    "Colorize": check_colormaps,
    "ExpensiveMethodWarning": lambda: check_warning(vc.ExpensiveMethodWarning),
    "ExplainedModel": check_explained_model,
    "ExportVerificationError": checks_error("ExportVerificationError"),
    "FUSIONS": check_fusions,
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
    "NoFeatureMapError": checks_error("NoFeatureMapError"),
    "NoGradientError": checks_error("NoGradientError"),
    "NotBuiltError": checks_error("NotBuiltError"),
    "NotSerializableWarning": lambda: check_warning(vc.NotSerializableWarning),
    "Overlay": check_overlay,
    "PathNotWritableError": checks_error("PathNotWritableError"),
    "SizeTooSmall": checks_error("SizeTooSmall"),
    "SmallConvolutionWarning": lambda: check_warning(vc.SmallConvolutionWarning),
    "SpatialAxesLostWarning": lambda: check_warning(vc.SpatialAxesLostWarning),
    "Tap": check_tap,
    "UnsupportedOperationError": checks_error("UnsupportedOperationError"),
    "VisualCNNError": check_base_error,
    "Visualizer": check_visualizer,
    "attach": check_attach,
    "blur_by_importance": check_blur_by_importance,
    "colorize": check_colormaps,
    "errors": check_errors,
    "export_saved_model": check_export_saved_model,
    "export_tflite": check_export_tflite,
    "overlay": check_overlay,
    "plot_heatmaps": check_plot_heatmaps,
    "plot_pages": check_plot_heatmaps,
}
