"""From what the user asks for to a job and its shards; a new job is planned, an old one is compared with its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.columns import PNG, is_picture
from visualcnn_tf.data.explainer import local_folder
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.job import Job, scratch
from visualcnn_tf.data.model import ExportedFolder, ModelToExport
from visualcnn_tf.data.plan import FILE, Plan
from visualcnn_tf.data.saved_model import Output, outputs_of
from visualcnn_tf.data.shards import Shard, cut
from visualcnn_tf.data.sinks import SINKS
from visualcnn_tf.data.sinks.sink import maps_of
from visualcnn_tf.data.sources.find import Source, find_source
from visualcnn_tf.errors import PathNotWritableError

if TYPE_CHECKING:
    import tensorflow as tf

    from visualcnn_tf.data.sources.listing import Files

#: The folder for the images of a ``tf.data.Dataset``, until the job is done.
STAGED = "_staged"


@dataclass(frozen=True)
class Options:
    """The options of a job, checked.

    Attributes:
        sink: Where maps go.
        encoding: How a table holds maps.
        shard_rows: How many images a shard has.
        column: The column or feature that holds the images.
        batch_size: How many the model gets at once.
        threads: How many threads TensorFlow takes; 0 for its default.
    """

    sink: str
    encoding: str
    shard_rows: int
    column: str | None
    batch_size: int
    threads: int

    @property
    def planned(self) -> dict[str, object]:
        """Those that change what is written."""
        return {name: getattr(self, name) for name in ("sink", "encoding", "shard_rows", "column")}


def prepare(
    model: ExportedFolder | ModelToExport, source: Files | tf.data.Dataset, out: str, options: Options
) -> tuple[Job, list[Shard]]:
    """Return a job and its shards, with all that they need in its folder.

    Raises:
        InvalidArgumentError: If the folder is of something else, or the source holds no images.
    """
    folder, sink = locate(out), SINKS[options.sink]
    with _writing(out):
        names = folder.names()
    is_old = FILE in names
    if not is_old and names - {STAGED}:
        raise bad_value("out", "a new or empty folder, or that of an earlier job", out)
    found = _find(source, out, options)
    if not is_old:
        _check_outputs(model.outputs, options)
    shards = list(cut(found.pieces, options.shard_rows))
    if not shards:
        raise bad_value("source", "at least one image", source)
    rows = shards[-1].first + shards[-1].count
    plan = Plan(model.fingerprint, options.planned, rows, [shard.hash for shard in shards], {})
    if is_old:
        plan.check_same(folder, shards)
    with _writing(out):
        scratch(folder).remove()
        scratch(folder).make_folder()
        if not is_old:
            replace(plan, outputs=model.outputs).write(folder, scratch(folder))
        (folder / "data").make_folder()
        copy = model.put(out)
    job = Job(
        model=copy,
        out=out,
        outputs=outputs_of(local_folder(copy)),
        reader=found.reader,
        rows=rows,
        shard_rows=options.shard_rows,
        batch_size=options.batch_size,
        threads=options.threads,
        sink=options.sink,
        encoding=options.encoding,
    )
    sink.prepare(job)
    return job, shards


def _find(source: Files | tf.data.Dataset, out: str, options: Options) -> Source:
    """Return the images of a source; those of a dataset are kept in the folder of the job."""
    folder = locate(out)
    if not hasattr(source, "element_spec"):
        return find_source(source, options.column, folder)
    from visualcnn_tf.data.sources.staged import StagedImages, stage

    done = SINKS[options.sink].done(folder)
    pieces = stage(source, options.column, folder / STAGED, options.shard_rows, lambda index: index not in done)
    return Source(StagedImages(f"{out}/{STAGED}"), pieces)


@contextmanager
def _writing(out: str) -> Iterator[None]:
    """Turn a refusal of the system into an error that names the folder."""
    try:
        yield
    except PathNotWritableError:
        raise
    except OSError as error:
        raise PathNotWritableError(
            f"`out` must be a folder that can be written. Received: {out!r}: {error}. Check its permissions and "
            "the free space, or choose another folder."
        ) from error


def _check_outputs(outputs: Mapping[str, Output], options: Options) -> None:
    SINKS[options.sink].check(outputs)
    for name, output in maps_of(outputs).items():
        if options.encoding == PNG and output.dtype != "string" and not is_picture(output):
            advice = f"Here {name!r} is {output.dtype} of shape {output.shape}: attach with `heatmap_dtype='uint8'`."
            raise bad_value("encoding", "'raw' unless maps are uint8 pictures", PNG, advice)
