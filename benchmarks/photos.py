"""Measure a folder of photos on the command line, seconds and memory: ``python -m benchmarks.photos``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks, memory
from benchmarks.classes import SMALL
from benchmarks.grids import subject
from benchmarks.models import Subject
from benchmarks.report import Report, Table, command, mb
from benchmarks.timing import Spread, progress

#: Height and width of the photos, which take turns: 3 to 12 megapixels, lying and standing, as cameras make them.
SIZES = ((1536, 2048), (3000, 4000), (2448, 3264), (2592, 1944), (4000, 3000), (1920, 2560))
_PREPARE = "import time; from visualcnn_tf.cli.main import main; import visualcnn_tf, matplotlib.figure, PIL.Image"
_WORK = "start = time.perf_counter(); assert main({words}) == 0; print('took', time.perf_counter() - start)"
_CHECKED = 6  # photos
_DIFFERENT = 24  # photos; the others are copies, which are read as often


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        subject: The network.
        photos: The number of photos.
        shrink: What their sides are divided by.
        rounds: The number of fresh processes for each way.
        ways: The options of the command, by what they are called in the table.
    """

    subject: Subject
    photos: int
    shrink: int
    rounds: int
    ways: dict[str, list[str]]


_WAYS = {
    "`stages`, the default": [],
    "`last`, Grad-CAM": ["--layers", "last", "--method", "gradcam"],
    "`last`, Grad-CAM, `top3`": ["--layers", "last", "--method", "gradcam", "--class", "top3"],
}
FULL = Size(subject("MobileNetV2", 16), photos=200, shrink=1, rounds=3, ways=_WAYS)
QUICK = Size(SMALL, photos=7, shrink=16, rounds=1, ways=dict(list(_WAYS.items())[:1]))


def write_photos(folder: Path, count: int, shrink: int) -> list[Path]:
    """Write JPEG files with soft shapes and the noise of a sensor, and return them."""
    random = np.random.default_rng(0)
    paths = [folder / f"photo_{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number >= _DIFFERENT:
            path.write_bytes(paths[number % _DIFFERENT].read_bytes())
            continue
        height, width = (side // shrink for side in SIZES[number % len(SIZES)])
        soft = tf.image.resize(random.random((12, 16, 3), np.float32) * 255, (height, width), "bicubic")
        grain = random.normal(0, 6, (height, width, 1)).astype(np.float32)
        pixels = tf.cast(tf.clip_by_value(soft + grain, 0, 255), tf.uint8)
        path.write_bytes(tf.io.encode_jpeg(pixels, quality=90).numpy())
    return paths


def check(model: keras.Model, paths: Sequence[Path], report: Report) -> None:
    """Compare the predictions with those of the bare model on photos that are read and fitted here."""
    size = model.input_shape[1:3]
    fitted = [tf.image.resize(tf.io.decode_image(path.read_bytes()), size, antialias=True) for path in paths]
    want = model.predict(np.stack(fitted) / np.float32(127.5) - 1, verbose=0)
    checks.require_variety("photos, predictions", want)
    photos = vc.explain_photos(model, [*paths], pixels="-1..1").photos()
    got = np.stack([photo.outputs["predictions"] for photo in photos])
    report.note("predictions", checks.difference("photos, predictions", got, want, 1e-4))


def measure_way(words: Sequence[str], rounds: int) -> tuple[Spread, int]:
    """Return the seconds of the command in fresh processes, after the imports, and the highest peak of memory."""
    seconds, peaks = [], []
    for _ in range(rounds):
        peak, printed = memory.peak_and_output(_PREPARE, _WORK.format(words=list(words)), timeout=600)
        seconds.append(float(printed.rsplit("took", 1)[1].split()[0]))
        peaks.append(peak)
    return Spread.of(seconds), max(peaks)


def measure(quick: bool) -> Report:
    """Measure the seconds and the memory that a folder of photos takes."""
    size = QUICK if quick else FULL
    report = Report("A folder of photos on the command line")
    model, _ = size.subject.make()
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        paths = write_photos(folder / "photos", size.photos, size.shrink)
        progress("photos written")
        check(model, paths[:_CHECKED], report)
        model.save(folder / "model.keras")
        for number, (way, options) in enumerate(size.ways.items()):
            out = folder / f"pages_{number}"
            out.mkdir()
            words = ["show", str(folder / "model.keras"), str(folder / "photos"), "--pixels=-1..1", *options]
            spread, peak = measure_way([*words, "-o", str(out / "page.png")], size.rounds)
            pages = len(list(out.iterdir()))
            lines.append([way, str(pages), f"{spread} s", f"{size.photos / spread.median:.1f}", mb(peak)])
            report.raw[way] = {"seconds": [spread.low, spread.median, spread.high], "bytes": peak}
            if not options:
                report.for_targets["photos, s"] = (spread, f"{size.photos} photos, {way}")
                report.for_targets["photos, MB"] = (Spread.of([peak / 1e6]), "the highest peak")
            progress(way)
    megapixels = np.mean([height * width for height, width in SIZES]) / 1e6 / size.shrink**2
    report.sections = [
        f"`visualcnn show` on {size.photos} JPEG photos of {megapixels:.2g} megapixels on average, with "
        f"{size.subject.name}, in {size.rounds} fresh processes each, after the imports: loading the model, reading, "
        "explaining, drawing and writing the pages. Medians (and quartiles); memory is the rise of the peak.",
        Table("photos", ["", "pages", "time", "photos per second", "memory"], lines),
    ]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("photos", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
