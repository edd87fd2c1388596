"""Measure what it costs to explain a class, beside the bare model: ``python -m benchmarks.classes``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from benchmarks import checks
from benchmarks.calls import BARE, by_function
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command, ms
from benchmarks.scene import Scene
from benchmarks.timing import Samples, progress, take_turns

METHODS = ("gradcam", "reciprocam")
#: The bare network, traced a second time: its ratio differs from 1 by noise only.
NOISE = "noise: bare over itself"


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        subjects: The networks.
        rounds: The number of rounds for each batch size.
        long_rounds: The number of rounds of Score-CAM with all channels, which takes long.
        tracings: How often all models are traced anew, with as many rounds each.
    """

    subjects: Sequence[Subject]
    rounds: Mapping[int, int]
    long_rounds: int
    tracings: int


FULL = Size(
    subjects=(
        Subject("MobileNetV2", lambda: keras.applications.MobileNetV2(weights=None), 32),
        Subject("ResNet50", lambda: keras.applications.ResNet50(weights=None), 32),
    ),
    rounds={1: 61, 8: 9, 32: 3},
    long_rounds=1,
    tracings=5,
)


def small_cnn() -> keras.Model:
    """Build a functional model, because tf-keras-vis takes no Sequential model of Keras 3."""
    layers = keras.layers
    outputs = image = keras.Input((32, 32, 3))
    for filters in (8, 16):
        outputs = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(outputs)
        outputs = layers.ReLU()(layers.BatchNormalization()(outputs))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(outputs))
    return keras.Model(image, outputs)


SMALL = Subject("a small CNN", small_cnn, 4)
QUICK = Size(subjects=(SMALL,), rounds={1: 2, 4: 2}, long_rounds=1, tracings=2)


def heatmap(outputs: Mapping[str, Any]) -> np.ndarray:
    """Return the only heatmap among the outputs."""
    [key] = [key for key in outputs if key.startswith("heatmap")]
    return np.asarray(outputs[key])


def check_heatmaps(
    what: str, method: str, outputs: Mapping[str, Any], scene: Scene, batch: int, report: Report
) -> None:
    """Compare the explained class and the heatmaps of the first images with the closed form."""
    checks.difference(f"{what}, class", outputs["explained_class"], scene.classes[:batch], 0)
    count = min(batch, 2)
    error = checks.difference(what, heatmap(outputs)[:count], scene.expected(method, count), 1e-3)
    report.note(f"`{method}`", error)


def turns(scene: Scene, models: Mapping[str, Any], batch: int, rounds: int, report: Report) -> Samples:
    """Time the bare network and each method in turns, as newly traced calls whose outputs are checked."""
    contenders = {name: by_function(model, scene.images[:batch]) for name, model in models.items()}
    outputs = {name: contender() for name, contender in contenders.items()}
    for method in METHODS:
        what = f"{scene.name}, batch {batch}, {method}"
        error = checks.difference(f"{what}, predictions", outputs[method]["predictions"], outputs[BARE], 1e-6)
        report.note("predictions", error)
        check_heatmaps(what, method, outputs[method], scene, batch, report)
    return take_turns(contenders, rounds)


def measure_bare(scene: Scene, size: Size, report: Report) -> list[list[str]]:
    """Return a row for each batch size: the bare network and each method."""
    models = {BARE: scene.model, NOISE: scene.model, **{method: scene.explained(method) for method in METHODS}}
    lines = []
    for batch, rounds in size.rounds.items():
        # The memory layout of its tensors makes one tracing faster or slower by 1 or 2 % as long as it lives.
        found = [turns(scene, models, batch, rounds, report) for _ in range(size.tracings)]
        samples = Samples.joined(found)
        report.raw[f"{scene.name}, {batch}"] = samples
        ratios = [samples.ratio(name, over=BARE) for name in (NOISE, *METHODS)]
        for method, ratio in zip(METHODS, ratios[1:], strict=True):
            report.for_targets[f"{method}, {scene.name}, {batch}"] = (ratio, f"{NOISE}: {ratios[0]}")
        lines.append([scene.name, str(batch), ms(samples.time(BARE)), *map(str, ratios)])
        progress(f"{scene.name}, batch {batch}")
    return lines


def measure_scorecam(scene: Scene, rounds: int, report: Report) -> list[str]:
    """Return a row of Score-CAM with all channels beside Recipro-CAM: Score-CAM runs the model for each channel."""
    contenders = {
        method: by_function(scene.explained(method), scene.images[:1]) for method in ("reciprocam", "scorecam")
    }
    samples = take_turns(contenders, rounds)
    report.raw[f"{scene.name}, all channels"] = samples
    ratio = samples.ratio("scorecam", over="reciprocam")
    report.for_targets["scorecam over reciprocam"] = (ratio, f"{rounds} round(s)")
    times = [ms(samples.time(name)) for name in contenders]
    return [scene.name, str(scene.activations.shape[-1]), *times, str(ratio)]


def measure(quick: bool) -> Report:
    """Measure what it costs to explain a class."""
    size = QUICK if quick else FULL
    report = Report("What it costs to explain a class")
    scenes = [Scene(subject) for subject in size.subjects]
    lines = [line for scene in scenes for line in measure_bare(scene, size, report)]
    every = measure_scorecam(scenes[0], size.long_rounds, report)
    report.sections = [
        "The time of the explained model over that of the bare model; both are a `tf.function` on a tensor and take "
        "turns; medians (and quartiles) of the ratios within the rounds of several tracings. The weights are random. "
        "The predicted class is explained, at the last feature map.",
        Table("classes", ["model", "images", "bare", NOISE, *(f"with `{method}`" for method in METHODS)], lines),
        "Score-CAM with all channels runs the model once for each channel:",
        Table("classes-scorecam", ["model", "channels", "`reciprocam`", "`scorecam`", "ratio"], [every]),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("classes", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
