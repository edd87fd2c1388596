"""explain_dataset: a job from its arguments to its report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from visualcnn_tf._utils.checks import as_path, bad_value, check_choice, is_count
from visualcnn_tf._utils.cores import cores
from visualcnn_tf.data import engines
from visualcnn_tf.data.columns import PNG, RAW
from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.files import require_pyarrow
from visualcnn_tf.data.job import Job
from visualcnn_tf.data.model import as_model
from visualcnn_tf.data.parts import Parts
from visualcnn_tf.data.prepare import STAGED, Options, prepare
from visualcnn_tf.data.progress import progress
from visualcnn_tf.data.report import BatchReport
from visualcnn_tf.data.room import room
from visualcnn_tf.data.shards import Outcome, Shard
from visualcnn_tf.data.sinks import SINKS
from visualcnn_tf.errors import BatchError

if TYPE_CHECKING:
    import tensorflow as tf

    from visualcnn_tf._model import ExplainedModel
    from visualcnn_tf.data.engines import CustomEngine
    from visualcnn_tf.data.sources.listing import Files
    from visualcnn_tf.pixels.registry import PixelsLike

SUCCESS = "_SUCCESS"
_MOST_PROBLEMS = 10  # shards: after so many, something is wrong that is no shard's own fault


def explain_dataset(
    model: ExplainedModel | str | os.PathLike[str],
    source: Files | tf.data.Dataset,
    out: str | os.PathLike[str],
    *,
    engine: str | CustomEngine = "local",
    workers: int | None = None,
    batch_size: int = 32,
    shard_rows: int = 1000,
    sink: str = "parquet",
    encoding: str = RAW,
    column: str | None = None,
    pixels: PixelsLike | None = None,
    address: str | None = None,
) -> BatchReport:
    """Write the predictions and heatmaps of all images of a source, on one machine or a cluster.

    The images are cut into shards. Each is explained by one worker, and its files appear whole or not at all, so the
    same call again goes on where an earlier one has ended, however it ended. An image that can't be read gets a row
    with an ``error``. ``docs/batch.md`` describes the files.

    Example:
        >>> report = vc.explain_dataset(explained, "photos", "heatmaps")                # doctest: +SKIP
        >>> print(report)                                                               # doctest: +SKIP
        2,000 images in heatmaps; 2,000 explained in 12.3 s, 163 a second
        >>> vc.read_maps("heatmaps")["heatmap_conv3"].shape                             # doctest: +SKIP
        (2000, 56, 56)

    Args:
        model: An explained model of single gray or color images of a known size, which is exported into ``out``; or a
            folder that ``export_saved_model(..., on_error="blank")`` wrote, or its address.
        source: A folder of images, of Parquet files or of TFRecord files; a pattern (``"photos/**/*.jpg"``); a file; a
            list of files; all of these also by addresses such as ``"s3://bucket/photos"``; or a ``tf.data.Dataset``
            of encoded images or of uint8 pixels.
        out: A new folder, or that of the same job; also an address.
        engine: ``"local"``, ``"ray"``, ``"spark"`` or ``"dask"``; or a function of two arguments, a function and a list
            of texts, that calls the first for each of the second, anywhere, and returns the results in any order.
        workers: How many processes, each of which loads the model once; by default one for each core of this machine
            (and 2 GB of memory), or of the cluster. 0 explains in this process.
        batch_size: How many images the model gets at once.
        shard_rows: How many images a shard has: what is lost when a worker dies.
        sink: Where maps go: ``"parquet"`` (into the table), ``"zarr"``, ``"png"`` or ``"tfrecord"``.
        encoding: How a table holds maps: ``"raw"``, or ``"png"``, which is smaller and slower.
        column: The column of Parquet files, the feature of TFRecord files or the key of a dataset that holds the
            images; None where only one can.
        pixels: What an explained model takes where a photo has pixels of 0 to 255, as in ``attach``; by default
            ``explained.pixels``. Needed unless that is known.
        address: Of the cluster; None to use this machine as one.

    Returns:
        What was done.

    Raises:
        InvalidArgumentError: If an option is not allowed or would have no effect, or ``out`` is of another job: of
            another model, other options or other images.
        IncompatibleModelError: If the model does not take single images of a known size.
        MissingExtraError: If a package that this needs is not installed.
        PathNotWritableError: If ``out`` can't be written.
        BatchError: If some shards could not be explained; all others are done then.
    """
    require_pyarrow()
    start = time.monotonic()
    folder = _address(out)
    options = _checked(workers, batch_size, shard_rows, sink, encoding, column, engine)
    run = engines.get(engine, workers, address)
    job, shards = prepare(as_model(model, pixels), source, folder, options)
    parts = Parts(job.folder, SINKS[sink])
    parts.refresh()
    before, missing = parts.rows, [shard for shard in shards if shard.index not in parts.counts]
    if missing:
        (job.folder / SUCCESS).remove()
        count = room() if workers is None and engine == "local" else workers
        work = Work(job.dump(), [shard.dump() for shard in missing], count, address)
        with progress(parts, job.rows, job.folder.is_local):
            problems = _problems(run(work))
        _check(parts, shards, problems)
    _finish(job)
    return BatchReport(folder, job.rows, parts.errors, parts.rows - before, time.monotonic() - start)


def _address(out: str | os.PathLike[str]) -> str:
    text = str(as_path("out", out)) if "://" not in os.fspath(out) else os.fspath(out)
    return text.rstrip("/") if "://" in text else os.path.abspath(text)


def _checked(
    workers: int | None,
    batch_size: int,
    shard_rows: int,
    sink: str,
    encoding: str,
    column: str | None,
    engine: str | CustomEngine,
) -> Options:
    """Return the options; raise for one that is not allowed."""
    engines.check(engine)
    for name, value in (("batch_size", batch_size), ("shard_rows", shard_rows)):
        if not is_count(value):
            raise bad_value(name, "a number of at least 1", value)
    if not (workers is None or is_count(workers) or (workers == 0 and engine == "local")):
        raise bad_value("workers", "a number of at least 1, None, or 0 with `engine='local'`", workers)
    check_choice("sink", sink, tuple(SINKS))
    check_choice("encoding", encoding, (RAW, PNG))
    if encoding != RAW and sink != "parquet":
        raise bad_value("encoding", "'raw' unless the maps are in the table, with `sink='parquet'`", encoding)
    threads = max(1, cores() // (workers or room())) if engine == "local" else 1
    return Options(sink, encoding, shard_rows, column, batch_size, 0 if workers == 0 else threads)


def _problems(outcomes: Iterable[Outcome]) -> dict[int, str]:
    """Return why shards are not done, by their numbers."""
    problems = {}
    for index, problem in outcomes:
        if problem is not None:
            problems[index] = problem
        if len(problems) >= _MOST_PROBLEMS:
            break
    return problems


def _check(parts: Parts, shards: list[Shard], problems: dict[int, str]) -> None:
    """Raise unless every shard has all its rows.

    Raises:
        BatchError: If one has not.
    """
    parts.refresh()
    missing = [shard for shard in shards if shard.index not in parts.counts]
    if missing:
        first = next((shard for shard in missing if shard.index in problems), missing[0])
        why = problems.get(first.index, "it was not begun, or its worker died")
        raise BatchError(
            f"{len(missing)} of {len(shards)} shards are not done, first of all {first}: {why}. {parts.rows:,} images "
            "are done. The same call goes on with the others."
        )
    wrong = [shard for shard in shards if parts.counts[shard.index].rows != shard.count]
    if wrong:
        raise BatchError(f"The table of {wrong[0]} has other rows. Delete it, and call again.")


def _finish(job: Job) -> None:
    """Say that all rows were counted, and remove what is no longer needed."""
    (job.folder / SUCCESS).write(b"", job.scratch)
    for name in (STAGED, job.scratch.path.rpartition("/")[2]):
        (job.folder / name).remove()
