"""Measure what maps of a vision transformer and models of graphs cost: ``python -m benchmarks.transformers``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.calls import BARE, by_function
from benchmarks.classes import NOISE, SMALL
from benchmarks.families import ClassToken, encoder
from benchmarks.grids import subject
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command, ms
from benchmarks.timing import Samples, progress, take_turns

#: The methods for transformers that are timed.
METHODS = ("gradcam", "gradientrollout")


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        transformers: The vision transformers.
        network: The CNN that is loaded as a graph.
        rounds: The number of rounds for each batch size.
        tracings: How often all models are traced anew, with as many rounds each.
    """

    transformers: Sequence[Subject]
    network: Subject
    rounds: Mapping[int, int]
    tracings: int


def vision_transformer(size: int, patch: int, width: int, depth: int, heads: int) -> keras.Model:
    """Build a ViT with a class token as in the paper (Dosovitskiy et al. 2021), with a softmax over 1000 classes."""
    image = keras.Input((size, size, 3), name="image")
    rows = L.Reshape((-1, width), name="rows")(L.Conv2D(width, patch, strides=patch, name="patches")(image))
    tokens = encoder(ClassToken(name="tokens")(rows), depth, heads, ratio=4)
    return keras.Model(image, L.Dense(1000, activation="softmax", name="head")(tokens[:, 0]))


def _vit(name: str, batch: int, *config: int) -> Subject:
    return Subject(name, lambda: vision_transformer(*config), batch)


FULL = Size(
    transformers=(_vit("ViT-Ti/16", 8, 224, 16, 192, 12, 3), _vit("ViT-S/16", 8, 224, 16, 384, 12, 6)),
    network=subject("MobileNetV2", 8),
    rounds={1: 21, 8: 5},
    tracings=5,
)
QUICK = Size(transformers=(_vit("a small ViT", 4, 32, 8, 16, 2, 2),), network=SMALL, rounds={1: 2, 4: 2}, tracings=2)


# What is expected --------------------------------------------------------------------------------------------------


def expected(model: keras.Model, path: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the raw maps ``(B, h, w)`` of both methods for the predicted classes, by ``tf.gradients`` and NumPy.

    Args:
        model: A transformer with a class token, whose last layer is a softmax over its classes.
        path: The tapped layer of tokens, which ``gradcam`` is for.
        images: The images.
    """
    head = model.layers[-1]
    logits = keras.layers.Dense(head.units)(head.input)
    twin = keras.Model(model.input, [model.get_layer(path).output, logits])
    twin.layers[-1].set_weights(head.get_weights())

    @tf.function(autograph=False)
    def run(batch: Any) -> tuple[Any, Any, list[Any], list[Any]]:
        tokens, scores = twin(batch, training=False)
        score = tf.reduce_max(scores, axis=-1)
        operations = tf.compat.v1.get_default_graph().get_operations()
        weights = [one.outputs[0] for one in operations if one.type == "Softmax"]
        return tokens, tf.gradients(score, tokens)[0], weights, tf.gradients(score, weights)

    return _maps(*keras.tree.map_structure(lambda one: one.numpy().astype(np.float64), run(tf.constant(images))))


def _maps(tokens: Any, slopes: Any, weights: list[Any], weight_slopes: list[Any]) -> dict[str, np.ndarray]:
    side = int(np.sqrt(tokens.shape[1] - 1))
    means = slopes[:, 1:].mean(axis=1, keepdims=True)
    found = {"gradcam": (tokens[:, 1:] * means).sum(axis=-1)}
    identity = np.eye(tokens.shape[1])
    relevance = np.broadcast_to(identity, (len(tokens), *identity.shape))
    for weight, slope in zip(weights, weight_slopes, strict=True):  # Chefer et al. 2021, equations 5 and 6
        relevance = relevance + np.maximum(weight * slope, 0).mean(axis=1) @ relevance
    found["gradientrollout"] = (relevance - identity)[:, 0, 1:]
    return {method: maps.reshape(-1, side, side) for method, maps in found.items()}


def check(name: str, explained: Mapping[str, Any], images: np.ndarray, report: Report) -> None:
    """Compare predictions and heatmaps of the first images with the bare model's and the expected ones."""
    model = explained[BARE]
    want_predictions = model.predict(images, verbose=0)
    checks.require_variety(f"{name}, predictions", want_predictions)
    want = expected(model, explained["gradcam"].taps[0].path, images[:2])
    for method in METHODS:
        outputs = explained[method](images)
        got = checks.difference(f"{name}, {method}, predictions", outputs["predictions"], want_predictions, 1e-5)
        report.note("predictions", got)
        maps = np.asarray(outputs[explained[method].taps[0].key])
        for heatmap, raw in zip(maps, want[method], strict=False):
            checks.require_variety(f"{name}, {method}", raw.ravel() / np.abs(raw).max())
            expected_map = checks.scaled(checks.enlarged(raw, heatmap.shape))
            report.note(f"`{method}`", checks.difference(f"{name}, {method}", heatmap, expected_map, 1e-3))


# Timing ------------------------------------------------------------------------------------------------------------


def turns(models: Mapping[str, Any], images: np.ndarray, rounds: int, tracings: int) -> Samples:
    """Time models in turns, traced several times: the memory layout of one tracing can make it faster by 2 %."""
    found = []
    for _ in range(tracings):
        contenders = {name: by_function(model, images) for name, model in models.items()}
        found.append(take_turns(contenders, rounds))
    return Samples.joined(found)


def _method(name: str) -> Any:
    """Return a method: Grad-CAM with negative values, which random weights may give everywhere."""
    return vc.methods.GradCAM(relu=False) if name == "gradcam" else name


def measure_transformer(one: Subject, size: Size, report: Report) -> list[list[str]]:
    """Return a row for each batch size of one transformer."""
    model, images = one.make()
    models = {BARE: model, NOISE: model, **{m: vc.attach(model, "last", method=_method(m)) for m in METHODS}}
    check(one.name, models, images, report)
    lines = []
    for batch, rounds in size.rounds.items():
        samples = turns(models, images[:batch], rounds, size.tracings)
        report.raw[f"{one.name}, {batch}"] = samples
        ratios = {name: samples.ratio(name, over=BARE) for name in (NOISE, *METHODS)}
        for method in METHODS:
            report.for_targets[f"{method}, {one.name}, {batch}"] = (ratios[method], f"{NOISE}: {ratios[NOISE]}")
        lines.append([one.name, str(batch), ms(samples.time(BARE)), *map(str, ratios.values())])
        progress(f"{one.name}, batch {batch}")
    return lines


def measure_graph(size: Size, report: Report) -> list[list[str]]:
    """Return a row for each batch size of a CNN and the same loaded from a SavedModel."""
    model, images = size.network.make()
    name = size.network.name
    with tempfile.TemporaryDirectory() as folder:
        model.export(Path(folder) / "saved", format="tf_saved_model", verbose=False)
        graph = vc.load_graph(Path(folder) / "saved")
    pairs = {BARE: (model, graph)}
    pairs["gradcam"] = tuple(vc.attach(one, "last", method="gradcam") for one in pairs[BARE])
    models = {f"{way}, {kind}": one for way, both in pairs.items() for kind, one in zip("kg", both, strict=True)}
    for way in pairs:
        ours, theirs = (keras.tree.flatten(models[f"{way}, {kind}"](images)) for kind in "kg")
        for got, want in zip(theirs, ours, strict=True):
            report.note("graph", checks.difference(f"{name} as a graph, {way}", got, want, 1e-4))
    lines = []
    for batch, rounds in size.rounds.items():
        samples = turns(models, images[:batch], rounds, size.tracings)
        report.raw[f"{name} as a graph, {batch}"] = samples
        ratios = [samples.ratio(f"{way}, g", over=f"{way}, k") for way in pairs]
        for way, ratio in zip(pairs, ratios, strict=True):
            report.for_targets[f"graph, {way}, {name}, {batch}"] = (ratio, "over the Keras model")
        lines.append([name, str(batch), ms(samples.time(f"{BARE}, k")), *map(str, ratios)])
        progress(f"{name} as a graph, batch {batch}")
    return lines


def measure(quick: bool) -> Report:
    """Measure what maps of a vision transformer cost, and a network that was loaded as a graph."""
    size = QUICK if quick else FULL
    report = Report("What it costs to explain a vision transformer or a graph")
    lines = [line for one in size.transformers for line in measure_transformer(one, size, report)]
    graphs = measure_graph(size, report)
    report.sections = [
        "The time of the explained model over that of the bare model; both are a `tf.function` on a tensor and take "
        "turns; medians (and quartiles) of the ratios within the rounds of several tracings. The weights are random. "
        'The predicted class is explained by `gradcam` at `"last"`, and by `gradientrollout` from the first tokens on.',
        Table("transformers", ["model", "images", "bare", NOISE, *(f"with `{m}`" for m in METHODS)], lines),
        "A network that `vc.load_graph` has read from a SavedModel, over the same as a Keras model:",
        Table("graphs", ["model", "images", "bare", "graph over Keras, bare", "graph over Keras, `gradcam`"], graphs),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("transformers", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
