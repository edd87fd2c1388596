"""Photos with what a model makes of them, read ahead in threads and explained in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf._utils.cores import cores
from visualcnn_tf.io.images import read_image
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.viz.boxes import Corners
from visualcnn_tf.viz.laid_over import laid_over

DEFAULT_ALPHA = 0.6
_MOST_READERS = 4  # each holds a photo at its full size
_TINY = 112  # pixels

T = TypeVar("T")
Outputs = Mapping[str, NDArray[Any]]


class Fitting(NamedTuple):
    """How photos become the model's input: its height and width, its channels, and what it takes."""

    size: tuple[int, int]
    channels: int
    pixels: Pixels


@dataclass(frozen=True, repr=False)
class ExplainedPhoto:
    """A photo with what an explained model returned for it.

    Attributes:
        path: The file.
        size: Height and width of the photo, upright.
        outputs: What the explained model returned for it: ``"predictions"``, heatmaps and so on, without the batch.
        picture: The photo in the size in which it is drawn, uint8 ``(h, w, 3)``.
        fitting: How it became the model's input.
    """

    path: Path
    size: tuple[int, int]
    outputs: Outputs
    picture: NDArray[np.uint8]
    fitting: Fitting

    def __repr__(self) -> str:
        """Name the file, its size and the outputs."""
        return f"<ExplainedPhoto {self.path}, {self.size[0]}×{self.size[1]}, with {', '.join(self.outputs)}>"

    def heatmap(self, key: str, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Return a heatmap over the photo.

        Args:
            key: One of ``outputs``.
            size: Height and width, by default those of the photo.

        Returns:
            Floats in [0, 1]; NaN where the model did not see the photo.

        Raises:
            InvalidArgumentError: There is no such heatmap.
        """
        heatmaps = {name: output for name, output in self.outputs.items() if name.startswith("heatmap")}
        if key not in heatmaps:
            raise bad_value("key", f"one of {quoted(heatmaps)}", key, did_you_mean(key, heatmaps).strip())
        values = heatmaps[key]
        values = values / np.float32(255) if values.dtype.kind in "iu" else values
        return self.fitting.pixels.undo_fit(values, size or self.size, self.fitting.size)

    def box_in_photo(self, box: Corners | None) -> Corners | None:
        """Return a box in the model's input as a box in the photo, both as parts of width and height."""
        if box is None:
            return None
        height, width = self.fitting.size
        points = np.array([[box[1] * height, box[0] * width], [box[3] * height, box[2] * width]])
        found = self.fitting.pixels.undo_fit_of_points(points, self.size, self.fitting.size) / self.size
        (top, left), (bottom, right) = found.tolist()
        return left, top, right, bottom

    def overlay(self, key: str, alpha: float = DEFAULT_ALPHA, colormap: str = DEFAULT_COLORMAP) -> NDArray[np.uint8]:
        """Return the photo at its own size with a heatmap laid over it; reads the photo again.

        Args:
            key: One of the heatmaps in ``outputs``.
            alpha: The opacity where the heatmap is 1. Where it is 0, the photo stays as it is.
            colormap: A name in ``visualcnn_tf.COLORMAPS``.

        Returns:
            ``(H, W, 3)``, dark where the model did not see the photo.
        """
        photo = np.asarray(read_image(self.path, self.fitting.channels))
        return np.asarray(laid_over(in_color(photo), [self.heatmap(key)], alpha, colormap)[0])


@dataclass(frozen=True)
class PhotoExplainer:
    """Explain photos, one after the other and in batches.

    Attributes:
        explained: The explained model.
        fitting: How photos become its input.
        batch_size: How many photos are explained at once.
    """

    explained: ExplainedModel
    fitting: Fitting
    batch_size: int

    def __call__(self, files: Iterable[Path], longest: int) -> Iterator[ExplainedPhoto]:
        """Yield the photos in order.

        Args:
            files: Their files.
            longest: The longer side of their pictures in pixels.

        Raises:
            ImageReadError: A file can't be read as an image; the message names it.
        """
        photos = read_ahead(lambda file: _read(file, self.fitting, longest), files, self.batch_size)
        run = self._run  # which takes a second the first time, while the first photos are read
        while batch := list(islice(photos, self.batch_size)):
            outputs = run(tf.constant(np.stack([photo.fitted for photo in batch])))
            arrays = {key: values.numpy() for key, values in outputs.items()}
            for i, photo in enumerate(batch):
                own = {key: values[i] for key, values in arrays.items()}
                yield ExplainedPhoto(photo.path, photo.size, own, photo.picture, self.fitting)

    @cached_property
    def _run(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """The model on fitted photos, as one graph for batches of all sizes."""
        size, channels, pixels = self.fitting
        dtype = self.explained.plan.inputs.specs[0].dtype if self.explained.plan else "float32"

        def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs: dict[str, tf.Tensor] = self.explained(pixels.scale(images, dtype))
            return outputs

        signature = [tf.TensorSpec([None, *size, channels], tf.float32)]
        # Called directly, it would warn of being traced again for each object of this class.
        return tf.function(run, input_signature=signature, autograph=False).get_concrete_function()  # type: ignore[no-any-return]


class _ReadPhoto(NamedTuple):
    path: Path
    size: tuple[int, int]
    fitted: NDArray[np.float32]
    picture: NDArray[np.uint8]


def read_ahead(read: Callable[[Path], T], files: Iterable[Path], ahead: int) -> Iterator[T]:
    """Return what ``read`` returns for each file, in order, while threads read so many files ahead."""
    rest = iter(files)
    pool = ThreadPoolExecutor(min(cores(), _MOST_READERS))
    waiting: deque[Future[T]] = deque(pool.submit(read, file) for file in islice(rest, ahead))

    def results() -> Iterator[T]:
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(read, file) for file in islice(rest, 1))
        finally:  # also where nobody asks for the rest
            pool.shutdown(cancel_futures=True)

    return results()


def _read(path: Path, fitting: Fitting, longest: int) -> _ReadPhoto:
    """Read a photo; of what it is at its full size, nothing is kept."""
    photo = read_image(path, fitting.channels)
    fitted = fitting.pixels.fitted(photo, fitting.size).numpy()
    return _ReadPhoto(path, tuple(photo.shape[:2]), fitted, in_color(drawn(photo, longest)))


def drawn(photo: tf.Tensor, longest: int) -> NDArray[np.uint8]:
    """Return a photo as it is drawn, its longer side of so many pixels; the pixels of a tiny one stay visible."""
    scale = longest / max(photo.shape[:2])
    size = [max(1, round(side * scale)) for side in photo.shape[:2]]
    if max(photo.shape[:2]) < _TINY:
        return np.asarray(tf.image.resize(photo, size, "nearest"))
    return np.asarray(tf.cast(tf.round(tf.image.resize(photo, size, antialias=True)), tf.uint8))


def in_color(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a gray or color photo ``(H, W, C)`` in RGB."""
    return np.repeat(photo, 3, axis=-1) if photo.shape[-1] == 1 else photo
