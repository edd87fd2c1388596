"""Compare with other ways to the same maps: ``python -m benchmarks.peers``.

These are tf-keras-vis, NumPy and SciPy by hand, and the algorithm of the earlier package.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from benchmarks import checks, closed_form, earlier, memory, peer
from benchmarks.byhand import ByHand
from benchmarks.calls import by_function, to_arrays
from benchmarks.classes import SMALL, check_heatmaps, heatmap
from benchmarks.grids import EARLIER_CNN, subject
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command, mb, ms
from benchmarks.scene import Scene
from benchmarks.timing import progress, take_turns

THEIRS, OURS = peer.NAME, "`tf.function(explained)`"
EARLIER = "the earlier package"
CALLS = ("`explained.predict`", "`explained(images)`", OURS)
HEADER = ["method", "model", "images", THEIRS, OURS, *(f"times as fast as {THEIRS}: {call}" for call in CALLS)]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        subject: The network.
        rounds: The number of rounds for each batch size.
        others: The number of rounds of all methods but Grad-CAM.
        channels: How many channels Score-CAM uses.
        score_subject: The network for Score-CAM with all channels.
        score_rounds: The number of its rounds.
        earlier_batch: The batch size for the CNN of the earlier package.
        memory: Whether memory is measured.
    """

    subject: Subject
    rounds: Mapping[int, int]
    others: int
    channels: int
    score_subject: Subject
    score_rounds: int
    earlier_batch: int
    memory: bool


FULL = Size(
    subject("MobileNetV2", 32),
    {1: 31, 8: 11, 32: 5},
    others=7,
    channels=32,
    score_subject=Subject(
        "MobileNetV2 at 96²", lambda: keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3)), 2
    ),
    score_rounds=3,
    earlier_batch=256,
    memory=True,
)
QUICK = Size(SMALL, {1: 3, 4: 3}, 3, 4, SMALL, 3, 4, memory=False)


# Compared with tf-keras-vis ----------------------------------------------------------------------------------------


def against(method: str, scene: Scene, batch: int, rounds: int, report: Report, **limit: Any) -> list[str]:
    """Return a row: the same method, layer, classes and images, from arrays to arrays."""
    images = scene.images[:batch]
    explained = scene.explained(method, **limit)
    options = {"max_N": limit["max_channels"]} if limit else {}
    contenders = {THEIRS: peer.Explainer(method, scene.model, scene.path).caller(images, scene.classes, **options)}
    contenders |= dict(zip(CALLS, to_arrays(explained, images), strict=True))
    if method == "gradcam":
        for name in CALLS:
            check_heatmaps(f"{scene.name}, batch {batch}, {name}", method, contenders[name](), scene, batch, report)
    compare(method, scene, batch, report, **limit)
    samples = take_turns(contenders, rounds, ahead=1)
    what = f"{method}{' of some channels' if limit else ''}, {scene.name}, {batch}"
    report.raw[what] = samples
    faster = [samples.ratio(THEIRS, over=name) for name in CALLS]
    report.for_targets[f"{THEIRS}, {what}"] = (faster[-1], CALLS[-1])
    progress(what)
    label = f"`{method}`" + (f", {limit['max_channels']} channels" if limit else "")
    times = [ms(samples.time(name)) for name in (THEIRS, OURS)]
    return [label, scene.name, str(batch), *times, *map(str, faster)]


def compare(method: str, scene: Scene, batch: int, report: Report, **limit: Any) -> None:
    """Compare the raw maps of both, which are equal up to a factor unless the formulas differ."""
    images = scene.images[: min(batch, 2)]
    options = {"max_N": limit["max_channels"]} if limit else {}
    theirs = peer.Explainer(method, scene.model, scene.path).caller(
        images, scene.classes, expand_cam=False, normalize_cam=False, **options
    )()
    ours = heatmap(scene.explained(method, size=None, normalize=None, **limit).predict(images, verbose=0))
    what = f"{scene.name}, `{method}` and {THEIRS}"
    if method in ("gradcam", "layercam"):
        # One sums the same products over channels, the other takes their mean.
        ours, theirs = (maps / np.max(np.abs(maps)) for maps in (ours, np.asarray(theirs)))
        report.note(f"`{method}` against {THEIRS}", checks.difference(what, ours, theirs, 1e-4))
    elif method == "scorecam":
        check_scorecam(what, scene, np.asarray(theirs)[0], ours[0], limit.get("max_channels"), report)
    elif ours.shape != np.shape(theirs):
        raise checks.MismatchError(f"{what}: shape {ours.shape} instead of {np.shape(theirs)}.")


def check_scorecam(
    what: str, scene: Scene, theirs: np.ndarray, ours: np.ndarray, channels: int | None, report: Report
) -> None:
    """Compare the raw Score-CAM of each library with its own formula."""
    class_index, count = scene.classes[0], channels or scene.activations.shape[-1]
    image, activations = scene.images[0], scene.activations[0]
    formulas = {
        "ours": (ours, closed_form.over_channels(class_index), checks.enlarged),
        THEIRS: (theirs, closed_form.over_classes(class_index), closed_form.corner_to_corner),
    }
    for name, (got, weigh, enlarge) in formulas.items():
        want = scene.head.scorecam(image, activations, weigh, count, enlarge)
        scale = np.max(np.abs(want))
        report.note(f"`scorecam`, {name}", checks.difference(f"{what}, {name}", got / scale, want / scale, 1e-3))


# Compared with others ----------------------------------------------------------------------------------------------


def measure_by_hand(subject: Subject, rounds: int, report: Report) -> list[str]:
    """Return a row of ``deviation`` of the stages, from arrays to arrays."""
    model, images = subject.make()
    explained = vc.attach(model, "stages")
    hand, edge = ByHand(model, [tap.path for tap in explained.taps]), images.shape[1]
    contenders = {"by hand": lambda: hand.predict(images, edge, len(images))}
    contenders |= dict(zip(CALLS, to_arrays(explained, images), strict=True))
    predictions, maps = contenders["by hand"]()
    for name in CALLS:
        outputs = contenders[name]()
        checks.difference(f"by hand, {name}, predictions", outputs["predictions"], predictions, 1e-5)
        for tap, want in zip(explained.taps, maps, strict=True):
            error = checks.difference(f"by hand, {name}, {tap.key}", outputs[tap.key], want, 1e-3)
            report.note("by hand", error)
    samples = take_turns(contenders, rounds, ahead=1)
    report.raw[f"by hand, {subject.name}"] = samples
    progress("by hand")
    ratios = [str(samples.ratio("by hand", over=name)) for name in CALLS]
    times = [ms(samples.time(name)) for name in ("by hand", OURS)]
    return ["by hand, stages", subject.name, str(len(images)), *times, *ratios]


def measure_earlier(batch: int, rounds: int, report: Report) -> list[str]:
    """Return a row of the time per image: the earlier package takes one image at a time, ours a batch."""
    model, images = subject(EARLIER_CNN, batch).make()
    explained = vc.attach(model, jit_compile=True)
    contenders = {EARLIER: lambda: earlier.heatmaps(model, images[0]), "ours": by_function(explained, images)}
    outputs = contenders["ours"]()
    for tap, want in zip(explained.taps, contenders[EARLIER](), strict=True):
        error = checks.difference(f"{EARLIER}, {tap.key}", outputs[tap.key][0], want, 1e-3)
        report.note(f"heatmaps against {EARLIER}", error)
    samples = take_turns(contenders, rounds, ahead=1)
    report.raw[EARLIER] = samples
    ratio = samples.ratio(EARLIER, over="ours").times(batch)
    report.for_targets[f"{EARLIER} over ours, per image"] = (ratio, f"batch {batch}")
    progress(EARLIER)
    per_image = f"{samples.time('ours').median / batch * 1e6:.0f} µs"
    return [f"1 and {batch}", ms(samples.time(EARLIER)), per_image, str(ratio)]


_PREPARE = """
import warnings; warnings.simplefilter("ignore")
import numpy as np
from benchmarks import peer
from benchmarks.byhand import ByHand
from benchmarks.grids import subject
import visualcnn_tf as vc
model, images = subject("MobileNetV2", {batch}).make()
classes = np.zeros(len(images), int)
model.predict(images, verbose=0)
"""
_WORK = {
    "bare `predict`": "model.predict(images, verbose=0)",
    "`gradcam`, ours": "vc.attach(model, 'last', method='gradcam').predict(images, verbose=0)",
    f"`gradcam`, {THEIRS}": "peer.Explainer('gradcam', model, 'out_relu').caller(images, classes)()",
    "`deviation` of stages, ours": "vc.attach(model, 'stages').predict(images, verbose=0)",
    "`deviation` of stages, by hand": (
        "ByHand(model, [t.path for t in vc.attach(model, 'stages').taps]).predict(images, 224, len(images))"
    ),
}


def measure_memory(batch: int, report: Report) -> Table:
    """Return the table of peak memory above that of the model after a first ``predict``, each in its own process."""
    peaks = {what: memory.peak(_PREPARE.format(batch=batch), work) for what, work in _WORK.items()}
    report.raw["memory"] = peaks
    return Table("peers-memory", ["", "memory added at the peak"], [[what, mb(peak)] for what, peak in peaks.items()])


def xplique() -> str:
    """Return a sentence on why xplique is not measured."""
    if util.find_spec("xplique") is None:
        return (
            "xplique is not measured: its release 2.0.2 requires `tensorflow<=2.20` and `tensorflow-probability`, so "
            "it cannot be installed with TensorFlow 2.21."
        )
    return f"xplique {metadata.version('xplique')} is installed, and not measured by this command."


def measure(quick: bool) -> Report:
    """Compare with tf-keras-vis, NumPy and SciPy by hand, and the earlier package."""
    size = QUICK if quick else FULL
    report = Report("Beside other ways to the same maps", notes={peer.NAME: metadata.version(peer.NAME)})
    scene = Scene(size.subject)
    lines = [against("gradcam", scene, batch, rounds, report) for batch, rounds in size.rounds.items()]
    lines += [against(method, scene, 1, size.others, report) for method in ("gradcam++", "layercam")]
    lines.append(against("scorecam", scene, 1, size.others, report, max_channels=size.channels))
    every = Scene(size.score_subject)
    lines.append(against("scorecam", every, 1, size.score_rounds, report))
    hand = measure_by_hand(size.subject._replace(batch=min(size.subject.batch, 16)), size.others, report)
    earlier_row = measure_earlier(size.earlier_batch, 6 * size.others, report)
    report.sections = [
        "Medians (and quartiles) of the ratios within rounds, in which contenders take turns. Each timed call follows "
        "an untimed call of the same contender, because a short call right after a long one of another is slower. From "
        f"arrays to arrays, the same layer, classes and images. {THEIRS} calls Score-CAM with a limited number of "
        "channels Faster Score-CAM.",
        Table("peers", HEADER, lines),
        "## By hand",
        "`keras.Model(inputs, taps).predict`, then NumPy and `scipy.ndimage.zoom`.",
        Table("peers-hand", [cell.replace(THEIRS, "by hand") for cell in HEADER], [hand]),
        "## The earlier package",
        "Its CNN, and heatmaps of four layers. It takes one image at a time; times are per image.",
        Table("peers-earlier", ["images", EARLIER, "ours, `tf.function`", "times as fast"], [earlier_row]),
        xplique(),
    ]
    if size.memory:
        report.sections += ["## Memory of 16 images", measure_memory(16, report)]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("peers", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
