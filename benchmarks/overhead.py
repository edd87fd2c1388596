"""What heatmaps cost beside the bare model and the earlier package: ``python -m benchmarks.overhead``.

The outputs are checked before they are timed; a wrong one ends the run with a non-zero status. A slow one never does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks, seed
from benchmarks.models import Subject
from benchmarks.timing import Contender, Samples, Spread, conditions, take_turns
from visualcnn_tf.digits import build_cnn

TAPS = ("last", "stages", "conv")
DTYPES = ("float32", "uint8")
BARE = "bare"
_ROOT = Path(__file__).parents[1]
_IMPORTS = """
import time
start = time.perf_counter()
import tensorflow, keras
middle = time.perf_counter()
import visualcnn_tf
print(middle - start, time.perf_counter() - middle)
"""


@dataclass(frozen=True)
class Size:
    """How much is measured: all of it, or only enough to see that it works."""

    subjects: Sequence[Subject]
    taps: Sequence[str]
    rounds: int
    imports: int


FULL = Size(
    subjects=(
        Subject("the seed's CNN", build_cnn, 256),
        Subject("MobileNetV2", lambda: keras.applications.MobileNetV2(weights=None), 16),
        Subject("ResNet50", lambda: keras.applications.ResNet50(weights=None), 16),
    ),
    taps=TAPS,
    rounds=11,
    imports=5,
)
QUICK = Size(subjects=(Subject("the seed's CNN", build_cnn, 4),), taps=TAPS, rounds=3, imports=1)


@dataclass(frozen=True)
class Overhead:
    """One row of the table: a model with some taps, each way of calling it."""

    model: str
    batch: int
    size: int
    taps: str
    heatmaps: int
    ways: dict[str, Samples]


@dataclass(frozen=True)
class Results:
    """All that was measured; ``errors`` are the largest differences that the checks saw."""

    conditions: dict[str, str]
    overheads: list[Overhead]
    seed: Samples
    imports: Samples
    errors: dict[str, float]


# What is timed ---------------------------------------------------------------------------------------------------


def by_predict(model: Any, images: np.ndarray) -> Contender:
    """Keras's ``predict``, from NumPy to NumPy, in one batch."""
    return lambda: model.predict(images, batch_size=len(images), verbose=0)


def by_function(model: Any, images: np.ndarray) -> Contender:
    """A ``tf.function`` of the model, from tensor to tensors."""
    function = tf.function(lambda batch: model(batch, training=False))
    batch = tf.constant(images)

    def call() -> Any:
        outputs = function(batch)
        tf.test.experimental.sync_devices()  # a GPU would still be at work
        return outputs

    return call


WAYS = {"predict": by_predict, "tf.function": by_function}


def measure_overheads(subject: Subject, size: Size, errors: dict[str, float]) -> Iterator[Overhead]:
    """One row for each choice of taps; bare, float32 and uint8 take turns."""
    model, images = subject.make()
    for taps in size.taps:
        explained = {dtype: vc.attach(model, layers=taps, dtype=dtype) for dtype in DTYPES}
        expected = checks.expected_heatmaps(explained["float32"], images[0])
        ways = {}
        for way, caller in WAYS.items():
            contenders = {name: caller(m, images) for name, m in {BARE: model, **explained}.items()}
            outputs = {name: contender() for name, contender in contenders.items()}
            check_outputs(f"{subject.name}, {taps}, {way}", outputs, expected, errors)
            del outputs
            ways[way] = take_turns(contenders, size.rounds)
        yield Overhead(subject.name, subject.batch, images.shape[1], taps, len(expected), ways)


def measure_seed(rounds: int, errors: dict[str, float]) -> Samples:
    """One image through the seed's CNN, from an array to one array for each of its four layers."""
    model, images = Subject("the seed's CNN", build_cnn, 1).make()
    explained = vc.attach(model)
    keys = [tap.key for tap in explained.taps]
    compiled = tf.function(lambda batch: explained(batch, training=False))

    def ours(run: Callable[[Any], dict[str, Any]]) -> Contender:
        def heatmaps() -> list[np.ndarray]:
            outputs = run(images)
            return [np.asarray(outputs[key])[0] for key in keys]

        return heatmaps

    contenders = {
        "the seed": lambda: seed.heatmaps(model, images[0]),
        "`explained(image)`": ours(explained),
        "`tf.function(explained)(image)`": ours(lambda batch: compiled(tf.constant(batch))),
        "`explained.predict(image)`": ours(lambda batch: explained.predict(batch, verbose=0)),
        "`attach(model)(image)`, both each time": ours(lambda batch: vc.attach(model)(batch)),
    }
    want, *others = ((name, contender()) for name, contender in contenders.items())
    for name, got in others:
        note(errors, "heatmaps against the seed's", checks.difference(f"The seed and {name}", got, want[1], 1e-3))
    return take_turns(contenders, rounds)


def measure_imports(processes: int) -> Samples:
    """Seconds of ``import tensorflow, keras``, and of ``import visualcnn_tf`` after it, in fresh processes."""
    theirs, ours = [], []
    for _ in range(processes):
        done = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=_ROOT, check=True, capture_output=True, text=True)
        first, then = done.stdout.split()
        theirs.append(float(first))
        ours.append(float(then))
    return Samples({"tensorflow and keras": theirs, "visualcnn_tf": ours})


# What is checked -------------------------------------------------------------------------------------------------


def check_outputs(
    what: str, outputs: dict[str, Any], expected: dict[str, np.ndarray], errors: dict[str, float]
) -> None:
    """Predictions of every contender against the bare model's, and its first image's heatmaps against NumPy's."""
    checks.require_variety(f"{what}, bare, predictions", outputs[BARE])
    for dtype in DTYPES:
        predictions = outputs[dtype]["predictions"]
        error = checks.difference(f"{what}, {dtype}, predictions", predictions, outputs[BARE], 1e-6)
        note(errors, "predictions", error)
        scale = 255 if dtype == "uint8" else 1
        for key, want in expected.items():
            got = np.asarray(outputs[dtype][key][0]) / scale
            error = checks.difference(f"{what}, {dtype}, {key}", got, want, 1e-4 + checks.ROUNDING[dtype])
            note(errors, f"{dtype} heatmaps", error)


def note(errors: dict[str, float], what: str, error: float) -> None:
    """Keeps the largest error of its kind."""
    errors[what] = max(error, errors.get(what, 0.0))


# What is reported ------------------------------------------------------------------------------------------------


def report(results: Results) -> str:
    """The Markdown report."""
    sections = [
        "# What heatmaps cost",
        "\n".join(f"- {name}: {value}" for name, value in results.conditions.items()),
        "Checked on the timed outputs, largest differences: "
        + ", ".join(f"{what} {error:.1e}" for what, error in results.errors.items())
        + f". Rounding to uint8 alone makes {checks.ROUNDING['uint8']:.1e}.",
        "## Beside the bare model",
        "How many times as long as the bare model, which takes turns with it: the median (and quartiles) of the "
        f"ratios within each of {_rounds(results.overheads[0].ways['predict'])} rounds. The weights are random. "
        "`predict` is Keras's, from arrays to arrays; `tf.function` is the plain compiled call on a tensor.",
        overhead_table(results.overheads),
        "## Beside the seed",
        "One 28×28 image, its CNN, heatmaps of four layers.",
        seed_table(results.seed),
        "## Import",
        import_table(results.imports),
    ]
    return "\n\n".join(sections) + "\n"


def overhead_table(rows: Sequence[Overhead]) -> str:
    """A line for each model and choice of taps."""
    header = ["model", "images", "taps", "heatmaps"]
    for way in WAYS:
        header += [f"`{way}`, bare", *(f"with {dtype}" for dtype in DTYPES)]
    lines = []
    for row in rows:
        line = [row.model, f"{row.batch} × {row.size}²", row.taps, str(row.heatmaps)]
        for samples in row.ways.values():
            line += [_ms(samples.time(BARE)), *(f"{samples.ratio(dtype, over=BARE)}" for dtype in DTYPES)]
        lines.append(line)
    return table(header, lines)


def seed_table(samples: Samples) -> str:
    """The seed first, then the ways of calling an explained model."""
    names = list(samples.seconds)
    return table(
        ["", "time", "as fast as the seed"],
        [[name, _ms(samples.time(name)), f"{samples.ratio(names[0], over=name)} ×"] for name in names],
    )


def import_table(samples: Samples) -> str:
    """What ours adds to theirs."""
    return table(
        ["import", f"median of {_rounds(samples)}"], [[name, _ms(samples.time(name))] for name in samples.seconds]
    )


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first stand right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def _ms(seconds: Spread) -> str:
    return f"{seconds.median * 1e3:.1f} ms"


def _rounds(samples: Samples) -> int:
    return len(next(iter(samples.seconds.values())))


# The command -----------------------------------------------------------------------------------------------------


def measure(size: Size) -> Results:
    """Everything, in this process.

    Raises:
        MismatchError: An output is wrong.
    """
    errors: dict[str, float] = {}
    before = conditions()
    overheads = []
    for subject in size.subjects:
        for row in measure_overheads(subject, size, errors):
            print(f"{row.model}, {row.taps}: done", file=sys.stderr)
            overheads.append(row)
    return Results(before, overheads, measure_seed(size.rounds, errors), measure_imports(size.imports), errors)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report and writes it with the raw samples; 1 when an output is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small models, few rounds: does it work?")
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
    stem = "overhead-quick" if options.quick else "overhead"
    (options.out / f"{stem}.md").write_text(markdown, encoding="utf-8")
    (options.out / f"{stem}.json").write_text(json.dumps(asdict(results), indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
