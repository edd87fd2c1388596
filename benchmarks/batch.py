"""Measure batch jobs against a plain loop of the bare model over the same files: ``python -m benchmarks.batch``.

The loop and the job run in processes of their own, on as many cores as is said: two cores for two workers, one for one.
What counts of a job is the time between its first shard and its last, what counts of a loop the time after its first
batches: neither is the time to import TensorFlow. The engines, those that are installed, are compared by the processor
time of all processes that they start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.models import Subject
from benchmarks.report import ROOT, Report, Table, command, cores, mb
from benchmarks.timing import Samples, Spread, progress

_LOOP = """
import json, os, sys, time
cores = json.loads(sys.argv[1])
os.sched_setaffinity(0, cores)
import keras, tensorflow as tf
folder, count, threads = sys.argv[2], int(sys.argv[3]), len(cores)
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
model = keras.models.load_model(f"{folder}/bare.keras", compile=False)
size = model.input_shape[1:3]
def read(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(tf.cast(image, tf.float32), size, antialias=True)
files = tf.data.Dataset.list_files(f"{folder}/photos/*.jpg", shuffle=False)
batches = files.map(read, tf.data.AUTOTUNE).batch(32).prefetch(2)
run = tf.function(lambda images: model(images, training=False), autograph=False)
for number, images in enumerate(batches):
    run(images).numpy()
    if number == 1:
        start = time.perf_counter()
print(json.dumps({"rate": (count - 64) / (time.perf_counter() - start)}))
"""
_JOB = """
import json, os, sys, threading, time
cores, folder, out, options = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
os.sched_setaffinity(0, range(cores))
os.environ["VISUALCNN_TF_WORKER"] = "1"
from multiprocessing import active_children
from pathlib import Path
from visualcnn_tf import explain_dataset
peaks, ended = {}, threading.Event()
def watch():
    while not ended.wait(0.2):
        for process in active_children():
            try:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            except OSError:
                continue
            peaks[process.pid] = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")][0] * 1024
thread = threading.Thread(target=watch)
thread.start()
explain_dataset(f"{folder}/exported", f"{folder}/photos", out, **options)
ended.set()
thread.join()
print(json.dumps({"peak": max(peaks.values(), default=0)}))
"""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        subject: The network.
        images: How many files there are.
        shard_rows: How many a shard has.
        rounds: How often each is run.
    """

    subject: Subject
    images: int
    shard_rows: int
    rounds: int


FULL = Size(
    Subject("MobileNetV2 at 96²", lambda: keras.applications.MobileNetV2((96, 96, 3), weights=None), 32), 4000, 100, 5
)
QUICK = Size(
    Subject("MobileNetV2 at 32²", lambda: keras.applications.MobileNetV2((32, 32, 3), weights=None, alpha=0.35), 4),
    160,
    20,
    1,
)
_ENGINES = {"local": "concurrent.futures", "ray": "ray", "spark": "pyspark", "dask": "distributed"}


def prepare(size: Size, folder: Path) -> None:
    """Write the photos, the bare model and the exported one."""
    model, _ = size.subject.make()
    explained = vc.attach(model, "stages", size=(56, 56), heatmap_dtype="uint8", pixels="0..255")
    model.save(folder / "bare.keras")
    vc.export_saved_model(explained, folder / "exported", on_error="blank", warmup=False)
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(size.images):
        patches = rng.random((6, 6, 3), dtype=np.float32)
        image = tf.image.convert_image_dtype(tf.image.resize(patches, rng.integers(100, 300, 2)), tf.uint8, True)
        (folder / "photos" / f"{number:05d}.jpg").write_bytes(tf.io.encode_jpeg(image).numpy())


def _run(code: str, *words: object) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def two_loops(size: Size, folder: Path) -> float:
    """Return the images a second of two loops at once, each on a core: no job of two workers can gain more by them."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(_run, _LOOP, [core], folder, size.images) for core in (0, 1)]
        return sum(run.result()["rate"] for run in runs)


def job(size: Size, folder: Path, count: int, **options: object) -> tuple[float, float]:
    """Return the images a second of a job on so many cores, and the peak memory of a worker in bytes."""
    with TemporaryDirectory(dir=folder) as out:
        found = _run(_JOB, count, folder, out, json.dumps({"shard_rows": size.shard_rows, "workers": count, **options}))
        check(size, folder, Path(out))
        ends = sorted(path.stat().st_mtime for path in Path(out, "data").iterdir())
    return (len(ends) - count) * size.shard_rows / (ends[-1] - ends[count - 1]), found["peak"]


def check(size: Size, folder: Path, out: Path) -> None:
    """Compare some rows with the bare model, and see that none is missing."""
    import pyarrow.parquet as pq

    rows = pq.read_table(out / "data", columns=["row", "path", "valid", "predictions"]).to_pydict()
    if rows["row"] != list(range(size.images)) or not all(rows["valid"]):
        raise checks.MismatchError("batch: rows are missing")
    model = keras.models.load_model(folder / "bare.keras", compile=False)
    images = [tf.io.decode_jpeg((folder / "photos" / path).read_bytes()) for path in rows["path"][:8]]
    resized = [tf.image.resize(tf.cast(image, tf.float32), model.input_shape[1:3], antialias=True) for image in images]
    checks.difference("batch, predictions", rows["predictions"][:8], model.predict(np.stack(resized), verbose=0), 1e-4)


def measure(quick: bool) -> Report:
    """Measure images a second, memory, and the processor time of engines."""
    size = QUICK if quick else FULL
    report = Report("Batch jobs")
    counts = [1] if cores() == 1 else [1, 2]
    with TemporaryDirectory() as name:
        folder = Path(name)
        prepare(size, folder)
        rates: dict[str, list[float]] = {f"{what}{n}": [] for n in counts for what in ("bare ", "job ")}
        if len(counts) > 1:
            rates["two loops"] = []
        peaks: list[float] = []
        for turn in range(size.rounds):
            for count in counts:
                rates[f"bare {count}"].append(_run(_LOOP, list(range(count)), folder, size.images)["rate"])
                rate, peak = job(size, folder, count)
                rates[f"job {count}"].append(rate)
                peaks.append(peak)
            if len(counts) > 1:
                rates["two loops"].append(two_loops(size, folder))
            progress(f"batch: round {turn + 1}")
        engines = dict(engine_seconds(size, folder))
    _fill(report, size, rates, peaks, engines)
    return report


def _fill(
    report: Report, size: Size, rates: dict[str, list[float]], peaks: list[float], engines: dict[str, float]
) -> None:
    samples = Samples(rates)
    report.raw = {"images a second": rates, "peak": peaks, "processor seconds": engines}
    counts = sorted({int(name.split()[1]) for name in rates if name.startswith("job ")})
    lines = [
        [
            f"{count}",
            f"{Spread.of(rates[f'bare {count}']).median:.0f}",
            f"{Spread.of(rates[f'job {count}']).median:.0f}",
            str(samples.ratio(f"job {count}", over=f"bare {count}")),
        ]
        for count in counts
    ]
    report.for_targets["job over bare, one worker"] = (samples.ratio("job 1", over="bare 1"), "")
    if len(counts) > 1:
        report.for_targets["two workers over one"] = (samples.ratio("job 2", over="job 1"), "")
        report.for_targets["two loops over one"] = (samples.ratio("two loops", over="bare 1"), "the floor")
    report.sections = [
        f"{size.subject.name}, {size.images} JPEG files of 100 to 300 pixels, `stages` at 56×56 as uint8, batches of "
        "32, Parquet. The bare model runs in a plain `tf.data` loop over the same files. Medians of images a second, "
        "and of the ratios within rounds (with quartiles).",
        Table("batch", ["cores, workers", "bare loop", "job", "job over bare"], lines),
        f"Two workers over one: {samples.ratio('job 2', over='job 1')}. Two bare loops at once, each on a core, over "
        f"one, which is as much as two such cores can do: {samples.ratio('two loops', over='bare 1')}."
        if len(counts) > 1
        else "",
        f"Peak memory of a worker: {mb(max(peaks))}.",
        Table(
            "batch-engines",
            ["engine, two workers", "processor seconds", "over local"],
            [[name, f"{value:.0f}", f"{value / engines['local']:.2f}"] for name, value in engines.items()],
        ),
    ]


# Processor time ----------------------------------------------------------------------------------------------------


def engine_seconds(size: Size, folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the processor time of a job with each engine that is installed."""
    for engine, module in _ENGINES.items():
        if find_spec(module) is None:
            continue
        options = {"engine": engine, "workers": 2, "shard_rows": size.shard_rows}
        with TemporaryDirectory(dir=folder) as out:
            yield (
                engine,
                processor_seconds([sys.executable, "-c", _JOB, str(cores()), str(folder), out, json.dumps(options)]),
            )
            check(size, folder, Path(out))
        progress(f"batch: {engine}")


def processor_seconds(command: Sequence[str], clock: Callable[[], float] = time.monotonic) -> float:
    """Return the processor time of a command and of all processes that it starts, also of daemons."""
    mark, seconds = f"VISUALCNN_BENCHMARK={uuid.uuid4().hex}", dict[int, float]()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict([mark.split("=")])
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = clock() + 900
    while process.poll() is None and clock() < end:
        seconds |= _seconds_now(mark)
        time.sleep(0.1)
    process.kill()
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(said.decode()[-2000:])
    return sum(seconds.values())


def _seconds_now(mark: str) -> dict[int, float]:
    """Return the processor time until now of each process that has a mark in its environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                found[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # it has ended
            continue
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it."""
    return command("batch", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
