"""Whether it pays to compile the fusions with XLA, and nothing else: ``python -m benchmarks.xla``.

XLA makes depthwise convolutions several times slower on a CPU, so the user's model is never compiled; only what makes
heatmaps of its feature maps is, once map by map, once behind the whole model. The outputs of both ways are compared
before they are timed; a wrong one ends the run with a non-zero status.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.models import Subject
from benchmarks.timing import Spread, conditions, take_turns
from visualcnn_tf.digits import build_cnn

SUBJECTS = (
    Subject("MobileNetV2", lambda: keras.applications.MobileNetV2(weights=None), 16),
    Subject("ResNet50", lambda: keras.applications.ResNet50(weights=None), 16),
)
QUICK = (Subject("the seed's CNN", build_cnn, 4),)
WAYS = {"plain": False, "XLA": True}
_TOLERANCE = 1e-4  # of heatmaps from 0 to 1

Row = tuple[str, str, Spread, Spread]


def compare(what: str, functions: dict[str, Callable[[Any], Any]], inputs: Any, rounds: int) -> tuple[Spread, Spread]:
    """Time of the plain function, and how many times as long the compiled one takes."""
    outputs = [keras.tree.flatten(function(inputs)) for function in functions.values()]
    for plain, compiled in zip(*outputs, strict=True):
        checks.difference(what, compiled, plain, _TOLERANCE)
    samples = take_turns({way: lambda f=f: f(inputs) for way, f in functions.items()}, rounds, warmup=2)
    return samples.time("plain"), samples.ratio("XLA", over="plain")


def measure(subject: Subject, rounds: int) -> list[Row]:
    """A row for each map of the preset ``"stages"``, and one for the model with all of them."""
    model, images = subject.make()
    batch = tf.constant(images)
    layers = [model.get_layer(tap.path) for tap in vc.attach(model, "stages").taps]
    tapped = keras.Model(model.inputs, [*model.outputs, *(layer.output for layer in layers)])
    fusion = vc.FeatureMapFusion(size="input")
    fuse = {way: tf.function(lambda a: fusion(a, like=batch), jit_compile=xla or None) for way, xla in WAYS.items()}

    def explain(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(batch: Any) -> Any:
            predictions, *maps = tapped(batch, training=False)
            return [predictions, *map(one, maps)]

        return tf.function(run)

    rows = []
    for layer, activations in zip(layers, tapped(batch, training=False)[1:], strict=True):
        shape = "×".join(map(str, activations.shape[1:]))
        rows.append((subject.name, f"fusion of {shape}", *compare(layer.name, fuse, activations, rounds)))
    whole = {way: explain(one) for way, one in fuse.items()}
    return [*rows, (subject.name, "the model with its fusions", *compare(subject.name, whole, batch, rounds))]


def report(subjects: Sequence[Subject], rounds: int) -> str:
    """The whole report."""
    lines = ["# Whether compiling the fusions with XLA pays", ""]
    lines += [f"- {name}: {value}" for name, value in conditions().items()]
    lines += ["", "| model | images | what runs | plain | XLA × plain |", "|---|---:|---|---:|---:|"]
    for subject in subjects:
        for name, what, time, ratio in measure(subject, rounds):
            lines.append(f"| {name} | {subject.batch} | {what} | {time.median * 1e3:.2f} ms | {ratio} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and keeps it; 1 when an output is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.xla", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small model, few rounds: does it work?")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        text = report(QUICK, 3) if options.quick else report(SUBJECTS, 31)
    except checks.MismatchError as error:
        print(f"Wrong output, nothing reported: {error}", file=sys.stderr)
        return 1
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    name = "xla-quick.md" if options.quick else "xla.md"
    (options.out / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
