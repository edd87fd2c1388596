"""What runs in a worker: a shard from its images to its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from visualcnn_tf.data.attempts import MOST, attempt
from visualcnn_tf.data.explainer import BatchExplainer
from visualcnn_tf.data.job import Job, part_name
from visualcnn_tf.data.shards import Outcome, Shard
from visualcnn_tf.data.sinks import SINKS
from visualcnn_tf.data.sources.reader import Image
from visualcnn_tf.data.table import table
from visualcnn_tf.data.unreadable import why_unreadable

# Encoded bytes in a batch: more, and large photos would fill the memory.
_BATCH_BYTES = 64 * 1024 * 1024


def explain_shard(job_text: str, shard_text: str) -> Outcome:
    """Explain the images of a shard, and write its files, unless they are there.

    It may be called any number of times, also at the same time: the files of a shard have fixed names, and appear whole
    or not at all.

    Args:
        job_text: A :class:`~visualcnn_tf.data.job.Job` as text.
        shard_text: A :class:`~visualcnn_tf.data.shards.Shard` as text.

    Returns:
        The number of the shard, and why it is not done; None if it is.
    """
    job, shard = _job(job_text), Shard.load(shard_text)
    try:
        if not SINKS[job.sink].is_done(job.folder, shard.index):
            with attempt(job.scratch, shard.index) as deaths:
                if deaths >= MOST:
                    return shard.index, f"{deaths} workers have died with it"
                _explain(job, shard)
    except Exception as error:  # whatever it is, the other shards go on, and the job tells
        return shard.index, f"{type(error).__name__}: {error}"
    return shard.index, None


def _explain(job: Job, shard: Shard) -> None:
    explain, sink, first = _explainer(job.model, job.threads), SINKS[job.sink], shard.first
    file = job.folder / "data" / part_name(shard.index)
    with table(file, job.scratch, sink.in_table(job.outputs), job.encoding) as rows, sink.open(job, shard) as keep:
        for images in _batches(job.reader.read(shard.pieces), job.batch_size):
            columns = explain([image.content for image in images])
            errors = [_error(*pair) for pair in zip(images, columns["valid"], strict=True)]
            keep(first, images, columns)
            rows.add(first, images, errors, columns)
            first += len(images)
        if first != shard.first + shard.count:
            raise RuntimeError(f"The source has {first - shard.first} of its {shard.count} images")


def _error(image: Image, valid: bool) -> str | None:
    return None if valid else image.error or why_unreadable(image.content)


def _batches(images: Iterable[Image], size: int) -> Iterator[list[Image]]:
    batch, total = list[Image](), 0
    for image in images:
        if batch and (len(batch) == size or total + len(image.content) > _BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(image)
        total += len(image.content)
    if batch:
        yield batch


@lru_cache(maxsize=4)
def _job(text: str) -> Job:
    return Job.load(text)


@lru_cache(maxsize=4)
def _explainer(model: str, threads: int) -> BatchExplainer:
    return BatchExplainer(model, threads or None)
