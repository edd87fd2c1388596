"""What it costs to explain a class, beside the bare model and tf-keras-vis: ``python -m benchmarks.classes``.

The outputs are checked before they are timed; a wrong one ends the run with a non-zero status. A slow one never does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks, peer
from benchmarks.closed_form import over_channels, over_classes
from benchmarks.models import Subject
from benchmarks.overhead import BARE, by_function, note, table
from benchmarks.scene import Scene
from benchmarks.timing import Contender, Samples, conditions, take_turns

METHODS = ("gradcam", "reciprocam")
PEER = peer.NAME
CALLS = ("`explained.predict`", "`explained(images)`", "`tf.function(explained)`")
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Size:
    """How much is measured: all of it, or only enough to see that it works.

    Attributes:
        subjects: the networks; the first is compared with tf-keras-vis.
        rounds: for each batch size.
        channels: of Score-CAM.
    """

    subjects: Sequence[Subject]
    rounds: Mapping[int, int]
    channels: int


FULL = Size(
    subjects=(
        Subject("MobileNetV2", lambda: keras.applications.MobileNetV2(weights=None), 32),
        Subject("ResNet50", lambda: keras.applications.ResNet50(weights=None), 32),
    ),
    rounds={1: 51, 8: 21, 32: 11},
    channels=32,
)


def small_cnn() -> keras.Model:
    """Functional, because tf-keras-vis takes no Sequential model of Keras 3."""
    layers = keras.layers
    outputs = image = keras.Input((32, 32, 3))
    for filters in (8, 16):
        outputs = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(outputs)
        outputs = layers.ReLU()(layers.BatchNormalization()(outputs))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(outputs))
    return keras.Model(image, outputs)


QUICK = Size(subjects=(Subject("a small CNN", small_cnn, 4),), rounds={1: 3, 4: 3}, channels=4)


@dataclass(frozen=True)
class Row:
    """One line of a table: a network, a batch, and the time of each contender."""

    model: str
    batch: int
    samples: Samples


@dataclass(frozen=True)
class Results:
    """All that was measured; ``errors`` are the largest differences that the checks saw.

    ``every`` are the seconds of Score-CAM with all channels and of Recipro-CAM, measured once.
    """

    conditions: dict[str, str]
    bare: list[Row]
    peer: list[Row]
    scorecam: Row
    every: dict[str, float]
    errors: dict[str, float]


# What is timed ---------------------------------------------------------------------------------------------------


def measure_bare(scene: Scene, rounds: Mapping[int, int], errors: dict[str, float]) -> list[Row]:
    """The bare network and each method, as compiled calls."""
    models = {BARE: scene.model, **{method: scene.explained(method) for method in METHODS}}
    rows = []
    for batch, turns in rounds.items():
        contenders = {name: by_function(model, scene.images[:batch]) for name, model in models.items()}
        outputs = {name: contender() for name, contender in contenders.items()}
        for method in METHODS:
            what = f"{scene.name}, batch {batch}, {method}"
            error = checks.difference(f"{what}, predictions", outputs[method]["predictions"], outputs[BARE], 1e-6)
            note(errors, "predictions", error)
            check_heatmaps(what, method, outputs[method], scene, batch, errors)
        rows.append(Row(scene.name, batch, take_turns(contenders, turns)))
        print(f"{scene.name}, batch {batch}: done", file=sys.stderr)
    return rows


def measure_peer(scene: Scene, rounds: Mapping[int, int], errors: dict[str, float]) -> list[Row]:
    """Grad-CAM of the same layer and classes, from arrays to arrays, as users of each library call it."""
    explained = scene.explained("gradcam")
    compare_with_peer(scene, min(rounds), errors)
    theirs = peer.Gradcam(scene.model, scene.path)
    rows = []
    for batch, turns in rounds.items():
        images = scene.images[:batch]
        contenders = {
            PEER: theirs.caller(images, scene.classes),
            **dict(zip(CALLS, ways(explained, images), strict=True)),
        }
        for name in CALLS:
            check_heatmaps(f"{scene.name}, batch {batch}, {name}", "gradcam", contenders[name](), scene, batch, errors)
        rows.append(Row(scene.name, batch, take_turns(contenders, turns)))
        print(f"{PEER}, batch {batch}: done", file=sys.stderr)
    return rows


def measure_scorecam(scene: Scene, channels: int, rounds: int, errors: dict[str, float]) -> Row:
    """Score-CAM of one image with the same number of channels, chosen by variance in both libraries."""
    image = scene.images[:1]
    check_peers_scorecam(scene, channels)
    explained = scene.explained("scorecam", max_channels=channels)
    contenders = {PEER: peer.Scorecam(scene.model, scene.path).caller(image, scene.classes, max_N=channels)}
    contenders |= dict(zip(CALLS, ways(explained, image), strict=True))
    raw = scene.head.scorecam(image[0], scene.activations[0], over_channels(scene.classes[0]), channels)
    want = checks.scaled(checks.enlarged(raw, image.shape[1:3]))
    for name in CALLS:
        got = heatmap(contenders[name]())[0]
        note(errors, "`scorecam`", checks.difference(f"{scene.name}, scorecam, {name}", got, want, 1e-3))
    return Row(scene.name, 1, take_turns(contenders, rounds))


def measure_every(scene: Scene) -> dict[str, float]:
    """Seconds of Score-CAM with all channels, once, and of Recipro-CAM: the price of one run for each channel."""
    contenders = {method: by_function(scene.explained(method), scene.images[:1]) for method in METHODS[1:]}
    contenders["scorecam"] = by_function(scene.explained("scorecam"), scene.images[:1])
    seconds = {}
    for name, contender in contenders.items():
        contender()
        start = time.perf_counter()
        contender()
        seconds[name] = time.perf_counter() - start
    return seconds


def ways(explained: vc.ExplainedModel, images: np.ndarray) -> list[Contender]:
    """Three ways to call an explained model, from an array to a dict of arrays."""
    compiled = tf.function(lambda batch: explained(batch, training=False))

    def arrays(call: Callable[[Any], dict[str, Any]]) -> Contender:
        return lambda: {key: np.asarray(value) for key, value in call(images).items()}

    return [
        lambda: explained.predict(images, batch_size=len(images), verbose=0),
        arrays(explained),
        arrays(lambda batch: compiled(tf.constant(batch))),
    ]


# What is checked -------------------------------------------------------------------------------------------------


def heatmap(outputs: Mapping[str, Any]) -> np.ndarray:
    """The one heatmap among the outputs."""
    [key] = [key for key in outputs if key.startswith("heatmap")]
    return np.asarray(outputs[key])


def check_heatmaps(
    what: str, method: str, outputs: Mapping[str, Any], scene: Scene, batch: int, errors: dict[str, float]
) -> None:
    """The explained class and the heatmaps of the first images against the closed form."""
    checks.difference(f"{what}, class", outputs["explained_class"], scene.classes[:batch], 0)
    count = min(batch, 2)
    error = checks.difference(what, heatmap(outputs)[:count], scene.expected(method, count), 1e-3)
    note(errors, f"`{method}`", error)


def compare_with_peer(scene: Scene, batch: int, errors: dict[str, float]) -> None:
    """Raw maps of both at the layer's own size, relative to the largest value."""
    images = scene.images[:batch]
    theirs = peer.Gradcam(scene.model, scene.path).caller(
        images, scene.classes, expand_cam=False, normalize_cam=False
    )()
    ours = heatmap(scene.explained("gradcam", size=None, normalize=None).predict(images, verbose=0))
    largest = np.max(np.abs(theirs))
    error = checks.difference(f"{scene.name}, Grad-CAM and {PEER}", ours / largest, theirs / largest, 1e-5)
    note(errors, f"`gradcam` against {PEER}", error)


def check_peers_scorecam(scene: Scene, channels: int) -> None:
    """The peer's map against its own formula, by correlation, for it enlarges masks with other corners."""
    image = scene.images[:1]
    score_cam = peer.Scorecam(scene.model, scene.path)
    theirs = score_cam.caller(image, scene.classes, max_N=channels, expand_cam=False, normalize_cam=False)()[0]
    want = scene.head.scorecam(image[0], scene.activations[0], over_classes(scene.classes[0]), channels)
    alike = float(np.corrcoef(np.ravel(theirs), np.ravel(want))[0, 1])
    if not alike >= 0.99:
        raise checks.MismatchError(f"{scene.name}, Score-CAM of {PEER}: correlation of {alike:.3f}.")


# What is reported ------------------------------------------------------------------------------------------------


def report(results: Results) -> str:
    """The Markdown report."""
    seconds = results.every
    sections = [
        "# What it costs to explain a class",
        "\n".join(f"- {name}: {value}" for name, value in results.conditions.items()),
        "Checked on the timed outputs against NumPy in float64, largest differences: "
        + ", ".join(f"{what} {error:.1e}" for what, error in results.errors.items())
        + ".",
        "Contenders take turns; each ratio is the median (and quartiles) of the ratios within the rounds. The weights "
        "are random. The explained class is the predicted one, at the last feature map.",
        "## Beside the bare model",
        "How many times as long as the bare model; all as a `tf.function` on a tensor.",
        bare_table(results.bare),
        f"## Beside {PEER}",
        "Grad-CAM of the same layer and classes, from arrays to arrays, and how many times as fast as "
        f"{PEER} each call is.",
        peer_table(results.peer),
        "Score-CAM of the channels that vary most, one image.",
        peer_table([results.scorecam]),
        f"Score-CAM of one image with all channels takes {seconds['scorecam']:.2f} s, "
        f"{seconds['scorecam'] / seconds['reciprocam']:.0f} times as long as Recipro-CAM "
        f"({seconds['reciprocam'] * 1e3:.1f} ms); measured once.",
    ]
    return "\n\n".join(sections) + "\n"


def bare_table(rows: Sequence[Row]) -> str:
    """A line for each network and batch."""
    lines = [
        [row.model, str(row.batch), _ms(row.samples, BARE), *(str(row.samples.ratio(m, over=BARE)) for m in METHODS)]
        for row in rows
    ]
    return table(["model", "images", "bare", *(f"with `{method}`" for method in METHODS)], lines)


def peer_table(rows: Sequence[Row]) -> str:
    """A line for each batch."""
    lines = []
    for row in rows:
        faster = (f"{row.samples.ratio(PEER, over=name)} × ({_ms(row.samples, name)})" for name in CALLS)
        lines.append([row.model, str(row.batch), _ms(row.samples, PEER), *faster])
    return table(["model", "images", PEER, *CALLS], lines)


def _ms(samples: Samples, name: str) -> str:
    return f"{samples.time(name).median * 1e3:.1f} ms"


# The command -----------------------------------------------------------------------------------------------------


def measure(size: Size) -> Results:
    """Everything, in this process.

    Raises:
        MismatchError: An output is wrong.
    """
    errors: dict[str, float] = {}
    before = {**conditions(), PEER: metadata.version(PEER)}
    first, *others = size.subjects
    scene = Scene(first)
    bare = measure_bare(scene, size.rounds, errors)
    peers = measure_peer(scene, size.rounds, errors)
    scorecam = measure_scorecam(scene, size.channels, min(size.rounds.values()), errors)
    every = measure_every(scene)
    for subject in others:
        bare += measure_bare(Scene(subject), size.rounds, errors)
    return Results(before, bare, peers, scorecam, every, errors)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report and writes it with the raw samples; 1 when an output is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small model, few rounds: does it work?")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the report")
    options = parser.parse_args(arguments)
    try:
        results = measure(QUICK if options.quick else FULL)
    except checks.MismatchError as error:
        print(f"Wrong output, nothing reported: {error}", file=sys.stderr)
        return 1
    markdown = report(results)
    print(markdown)
    options.out.mkdir(parents=True, exist_ok=True)
    # A name of its own: a quick run must not replace the report that is kept.
    stem = "classes-quick" if options.quick else "classes"
    (options.out / f"{stem}.md").write_text(markdown, encoding="utf-8")
    (options.out / f"{stem}.json").write_text(json.dumps(asdict(results), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
