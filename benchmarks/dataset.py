"""Measure the images per second of ``predict`` on a ``tf.data`` dataset: ``python -m benchmarks.dataset``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks, peer
from benchmarks.byhand import ByHand
from benchmarks.calls import BARE
from benchmarks.classes import SMALL
from benchmarks.grids import subject
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command
from benchmarks.scene import Scene
from benchmarks.timing import Samples, progress, take_turns


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        subject: The network with its batch size.
        images: The number of images.
        subset: How many of them tf-keras-vis gets.
        rounds: The number of rounds.
    """

    subject: Subject
    images: int
    subset: int
    rounds: int


FULL = Size(subject("MobileNetV2", 32), images=512, subset=64, rounds=7)
QUICK = Size(SMALL, images=16, subset=8, rounds=2)
_PEER = f"`gradcam`, {peer.NAME}"
_HAND = "`deviation` of stages, by hand"


def check(outputs: dict[str, Any], scene: Scene, explained: vc.ExplainedModel, report: Report) -> None:
    """Compare our heatmaps with those made by hand, and the classes with those of the images in their order."""
    predictions, maps = outputs[_HAND]
    ours = outputs["`deviation` of stages"]
    report.note("predictions", checks.difference("dataset, predictions", ours["predictions"], predictions, 1e-5))
    for tap, want in zip(explained.taps, maps, strict=True):
        report.note("by hand", checks.difference(f"dataset, {tap.key}", ours[tap.key], want, 1e-3))
    count = len(scene.images)
    want = scene.classes[np.arange(len(predictions)) % count]
    checks.difference("dataset, classes", outputs["`gradcam`"]["explained_class"], want, 0)


def measure(quick: bool) -> Report:
    """Measure the images per second over a dataset."""
    size = QUICK if quick else FULL
    report = Report("Images per second over a dataset")
    scene = Scene(size.subject)
    batch, edge = size.subject.batch, scene.images.shape[1]
    dataset = tf.data.Dataset.from_tensor_slices(scene.images).repeat(size.images // batch).batch(batch).prefetch(2)
    stages, gradcam = vc.attach(scene.model, "stages"), scene.explained("gradcam")
    hand = ByHand(scene.model, [tap.path for tap in stages.taps])
    explainer = peer.Explainer("gradcam", scene.model, scene.path)

    def theirs() -> list[Any]:
        several = dataset.take(size.subset // batch).as_numpy_iterator()
        return [explainer.caller(images, scene.classes)() for images in several]

    contenders = {
        BARE: lambda: scene.model.predict(dataset, verbose=0),
        "`deviation` of stages": lambda: stages.predict(dataset, verbose=0),
        "`deviation` of stages, uint8": lambda: small.predict(dataset, verbose=0),
        _HAND: lambda: hand.predict(dataset, edge),
        "`gradcam`": lambda: gradcam.predict(dataset, verbose=0),
        _PEER: theirs,
    }
    small = vc.attach(scene.model, "stages", heatmap_dtype="uint8")
    check({name: contenders[name]() for name in (_HAND, "`deviation` of stages", "`gradcam`")}, scene, stages, report)
    progress("dataset: checked")
    samples = take_turns(contenders, size.rounds, warmup=1)
    scaled = extrapolated(samples, size.images / size.subset)
    report.raw["dataset"] = samples
    lines = [
        [name, f"{size.images / scaled.time(name).median:.1f}", str(scaled.ratio(name, over=BARE))]
        for name in contenders
    ]
    report.sections = [
        f"{scene.name}, {size.images} images in batches of {batch}, `predict` on a `tf.data` dataset, heatmaps of the "
        f"input's size kept in memory. {peer.NAME} gets {size.subset} of the images; its time is extrapolated to all. "
        "Medians (and quartiles) of the ratios within rounds.",
        Table("dataset", ["", "images per second", "× bare"], lines),
    ]
    return report


def extrapolated(samples: Samples, factor: float) -> Samples:
    """Return the samples with the other package's times multiplied by a factor."""
    return Samples({**samples.seconds, _PEER: [seconds * factor for seconds in samples.seconds[_PEER]]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("dataset", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
