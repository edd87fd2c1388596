"""PNG files: heatmaps in gray, overlays in color, under the names of the images that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.columns import encode_pngs, is_picture
from visualcnn_tf.data.explainer import Columns
from visualcnn_tf.data.job import Job
from visualcnn_tf.data.saved_model import VALID, Output
from visualcnn_tf.data.shards import Shard
from visualcnn_tf.data.sinks.sink import Keep, Sink, maps_of, without_maps
from visualcnn_tf.data.sources.images import ImageFiles
from visualcnn_tf.data.sources.reader import Image


class PngSink(Sink):
    """Writes ``png/<output>/<name of the image>.png``, or the number of the row where images have no files."""

    def check(self, outputs: Mapping[str, Output]) -> None:
        """Raise for maps that a PNG file can't hold.

        Raises:
            InvalidArgumentError: If there are some.
        """
        for name, output in maps_of(outputs).items():
            if output.dtype != "string" and not is_picture(output):
                advice = (
                    f"Here {name!r} is {output.dtype} of shape {output.shape}: attach with `heatmap_dtype='uint8'`."
                )
                raise bad_value("sink", "'parquet', 'zarr' or 'tfrecord' unless maps are uint8 pictures", "png", advice)

    def in_table(self, outputs: dict[str, Output]) -> dict[str, Output]:
        """Return the outputs that are no maps."""
        return without_maps(outputs)

    @contextmanager
    def open(self, job: Job, shard: Shard) -> Iterator[Keep]:
        """Yield what writes the pictures of a batch."""
        folders: set[str] = set()
        has_names = isinstance(job.reader, ImageFiles)

        def keep(first: int, images: Sequence[Image], columns: Columns) -> None:
            for output, description in maps_of(job.outputs).items():
                values = columns[output]
                pictures = values if description.dtype == "string" else encode_pngs(values)
                for row, (image, picture) in enumerate(zip(images, pictures, strict=True), first):
                    if columns[VALID][row - first]:
                        name = _name(image.path if has_names else None, row)
                        write(f"png/{output}/{name}.png", picture)

        def write(name: str, content: bytes) -> None:
            folder = name.rpartition("/")[0]
            if folder not in folders:
                (job.folder / folder).make_folder()
                folders.add(folder)
            (job.folder / name).write(content, job.scratch)

        yield keep


def _name(path: str | None, row: int) -> str:
    return f"{row:09d}" if path is None or ".." in PurePosixPath(path).parts else path
