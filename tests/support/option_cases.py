"""A row for each name of each table of choices, and what the oracle makes of a model with these options.

``test_registry.py`` fails when a row is missing, ``test_matrix.py`` puts each through everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from support import oracle, oracle_gradient
from visualcnn_tf.heatmap.combine import COMBINATIONS
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.ops.resize import INTERPOLATIONS

#: The tables of choices. A name that is added to one of them needs a row in ``OPTIONS``.
TABLES: dict[str, Iterable[str]] = {
    "method": vc.methods.NAMES,
    "interpolation": INTERPOLATIONS,
    "combination": COMBINATIONS,
    "heatmap_dtype": DTYPES,
    "target": ("predicted", "input", "top2", "1", "(2, 0)"),
}

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("method", "deviation"): {"method": "deviation"},
    ("method", "mean"): {"method": "mean", "normalize": ("range", -0.5, 1.5)},
    ("method", "mean_abs"): {"method": "mean_abs", "normalize": "max"},
    ("method", "max"): {"method": "max", "normalize": None},
    ("method", "l2"): {"method": "l2", "size": None},
    ("method", "std"): {"method": "std", "size": (9, 13)},
    ("method", "eigen"): {"method": "eigen"},
    ("method", "gradcam"): {"method": "gradcam"},
    ("method", "gradcam++"): {"method": "gradcam++", "size": None},
    ("method", "hirescam"): {"method": vc.methods.HiResCAM(relu=False), "normalize": "max"},
    ("method", "layercam"): {"method": "layercam", "heatmap_dtype": "uint8"},
    ("method", "xgradcam"): {"method": "xgradcam", "normalize": None},
    ("method", "eigengradcam"): {"method": "eigengradcam", "combine": "mean"},
    ("method", "reciprocam"): {"method": "reciprocam", "normalize": None},
    ("method", "scorecam"): {"method": "scorecam"},
    ("method", "ablationcam"): {"method": vc.methods.AblationCAM(max_channels=3)},
    ("method", "attentionrollout"): {"method": "attentionrollout", "normalize": "max"},
    ("method", "gradientrollout"): {"method": "gradientrollout", "target": "top2"},
    ("method", "detclassmap"): {"method": "detclassmap", "target": vc.targets.Box(0, class_index=1)},
    ("interpolation", "bilinear"): {"interpolation": "bilinear", "size": (5, 20)},
    ("interpolation", "nearest"): {"interpolation": "nearest", "size": (5, 20)},
    ("interpolation", "bicubic"): {"interpolation": "bicubic", "size": (5, 20)},
    ("interpolation", "area"): {"interpolation": "area", "size": (5, 20)},
    ("combination", "mean"): {"combine": "mean", "combine_weights": [1, 0.5, 2]},
    ("combination", "max"): {"combine": "max"},
    ("combination", "product"): {"combine": "product", "combine_weights": {"conv_*": 0.5}},
    ("heatmap_dtype", "float32"): {"heatmap_dtype": "float32"},
    ("heatmap_dtype", "float16"): {"heatmap_dtype": "float16", "combine": "mean"},
    ("heatmap_dtype", "uint8"): {"heatmap_dtype": "uint8", "combine": "max"},
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


def images(batch: int, shape: tuple[int, ...] = IMAGE) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(batch, *shape)).astype(np.float32)


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


def expected(
    model: keras.Model, batch: np.ndarray, options: dict[str, Any], combined: bool, asked: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What the oracle makes of the layers' own outputs, in float64 and of no dtype yet.

    ``asked`` are the class indices that the target ``"input"`` is given.
    """
    layers = keras.Model(model.input, [model.output, *(model.get_layer(name).output for name in TAPPED)])
    # Explained models always run as graphs, whose kernels round half precision differently from eager ones.
    run = tf.function(layers, autograph=False) if explains_class(options) else layers
    predictions, *maps = (np.asarray(tf.cast(output, tf.float64)) for output in run(batch))
    size = options.get("size", IMAGE[:2])
    how = [options.get("interpolation", "bilinear"), options.get("normalize", "minmax")]
    outputs = {"predictions": predictions}
    if explains_class(options):
        suffixes, classes = asked_classes(predictions, options.get("target", "predicted"), asked)
        outputs["explained_class"] = classes if len(suffixes) > 1 else classes[:, 0]
        targets = [(suffix, classes[:, index]) for index, suffix in enumerate(suffixes)]
    else:
        targets = [("", None)]
    heatmaps = {}
    for name, one in zip(TAPPED, maps, strict=True):
        for suffix, of in targets:
            if of is None:
                fused = oracle.fuse(one, method_of(options).name)
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


def explains_class(options: dict[str, Any]) -> bool:
    return method_of(options).explains_target


def method_of(options: dict[str, Any]) -> vc.methods.Method:
    return vc.methods.get(options.get("method", "deviation"))


def asked_classes(
    predictions: np.ndarray, target: Any, asked: np.ndarray | None = None
) -> tuple[list[str], np.ndarray]:
    """What the keys end in, and the classes ``(B, n)``, -1 for one that does not exist."""
    best = np.argsort(-predictions, 1, kind="stable")
    if asked is not None:
        classes = np.where(asked == -1, best[:, 0], asked)
        return [""], np.where((classes >= 0) & (classes < predictions.shape[1]), classes, -1)[:, np.newaxis]
    if target == "top2":
        return ["_top1", "_top2"], best[:, :2]
    if isinstance(target, tuple):
        return [f"_class{k}" for k in target], np.repeat([target], len(best), 0)
    return [""], best[:, :1] if isinstance(target, str) else np.full((len(best), 1), target)


def explained(
    model: keras.Model, name: str, maps: dict[str, Any], batch: np.ndarray, classes: np.ndarray, options: dict[str, Any]
) -> np.ndarray:
    """The raw maps of a method that explains a class: from gradients, or image by image from many runs."""
    method = method_of(options)
    if isinstance(method, vc.methods.GradientMethod):
        a = tf.constant(maps[name], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(a)
            # The gradient of a class that does not exist is zero.
            scores = tf.reduce_sum(logits(model, name, a, maps) * tf.one_hot(classes, 3), -1)
        return oracle_gradient.fuse(a, tape.gradient(scores, a), method.name, method.relu)
    found = []
    for image, a, k in zip(batch, maps[name], classes, strict=True):

        def score(a: np.ndarray, k: int = k) -> float:
            return float(logits(model, name, a[None])[0, k])

        def score_of_image(x: np.ndarray, k: int = k) -> float:
            return float(logits(model, "image", x[None])[0, k])

        if method.name == "reciprocam":
            found.append(oracle_gradient.reciprocam(a, score))
        elif method.name == "scorecam":
            found.append(oracle_gradient.scorecam(a, score_of_image, image))
        else:
            kept = oracle_gradient.most_varied(a, method.max_channels or a.shape[-1])
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
