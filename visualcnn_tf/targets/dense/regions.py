"""The regions of a mask: which pixels of an output count, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, did_you_mean
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.targets.dense.head import DenseHead
from visualcnn_tf.targets.graph_scores import one_hot
from visualcnn_tf.targets.inputs import POINT, REGION, TargetInput

_ALLOWED = (
    "None, 'all', 'input', 'point', a point of integers such as (12, 40), or an array of weights of at least 0, or of "
    "bools, of the size of the output"
)


_RANKS = (2, 3)  # of images and volumes

#: What stands for a region: a word, a point, an array, or None.
RegionLike: TypeAlias = str | Sequence[Any] | np.ndarray | None


class Region:
    """The pixels that are predicted as the class.

    Attributes:
        input: what the explained model takes for it, or None.
    """

    input: ClassVar[TargetInput | None] = None

    def inputs(self, space: Shape) -> tuple[TargetInput, ...]:
        """Return what the explained model takes for it, of an output of a spatial size."""
        return ()

    def check(self, space: Shape) -> None:
        """Raise unless there is such a region in outputs of a spatial size."""

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return the weight of each pixel, ``(B, H, W)`` float32.

        Args:
            own: the pixels that are predicted as the class, zeros and ones.
            head: of the model.
            given: what was passed for :attr:`input`, None if it was left out.
        """
        return own


class AllPixels(Region):
    """All pixels."""

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return ones."""
        return tf.ones_like(own)


@dataclass(frozen=True, eq=False)
class Weights(Region):
    """The same weights for each image.

    Args:
        values: ``(H, W)`` float32.
    """

    values: np.ndarray

    def check(self, space: Shape) -> None:
        """Raise unless outputs are known to be of this size."""
        if tuple(space) != self.values.shape:
            raise bad_value(
                "region",
                f"of the size of the model's output, {_size_text(space)}",
                f"an array of shape {self.values.shape}",
                "Attach with `input_shape` where the model leaves its size open." if None in space else "Resize it.",
            )

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return the weights for each image."""
        return tf.ones_like(own) * tf.constant(self.values)


@dataclass(frozen=True)
class Point(Region):
    """One pixel, the same for each image.

    Args:
        position: its row and column.
    """

    position: tuple[int, ...]

    def check(self, space: Shape) -> None:
        """Raise unless outputs have this pixel, as far as their size is known."""
        is_inside = len(space) == len(self.position) and all(
            size is None or index < size for index, size in zip(self.position, space, strict=True)
        )
        if not is_inside:
            raise bad_value("region", f"a point of the model's output, {_size_text(space)}", self.position)

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return 1 for the pixel."""
        return tf.ones_like(own) * _at(tf.constant([self.position], tf.int32), own)


class GivenWeights(Region):
    """Weights that each request gives for each of its images."""

    input = REGION

    def inputs(self, space: Shape) -> tuple[TargetInput, ...]:
        """Return the input of the weights, of the size of the output."""
        return (replace(REGION, shape=tuple(space)),)

    def check(self, space: Shape) -> None:
        """Raise unless the size of outputs is known."""
        if None in space:
            raise bad_value(
                "region",
                "given for an output of a known size where each request gives it",
                f"'input', with an output of {_size_text(space)}",
                "Attach with `input_shape`.",
            )

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return what was given, and where that is negative the pixels that are predicted as the class."""
        if given is None:
            return own
        given = tf.cast(given, tf.float32)
        return tf.nn.relu(given) + own * tf.cast(given < 0, tf.float32)


class GivenPoint(Region):
    """One pixel that each request gives for each of its images."""

    input = POINT

    def inputs(self, space: Shape) -> tuple[TargetInput, ...]:
        """Return the input of its row and column."""
        return (replace(POINT, shape=(len(space),)),)

    def weights(self, own: tf.Tensor, head: DenseHead, given: tf.Tensor | None) -> tf.Tensor:
        """Return 1 for the pixel, and for a negative row the pixels that are predicted as the class."""
        if given is None:
            return own
        is_none = tf.cast(given[:, 0] < 0, tf.float32)
        return _at(tf.cast(given, tf.int32), own) + own * tf.reshape(is_none, [-1, *[1] * (own.shape.rank - 1)])


def checked_region(region: object) -> str | tuple[int, ...] | np.ndarray | None:
    """Return what :class:`Mask` takes as a region: a word, a tuple, or a constant array of float32.

    Raises:
        InvalidArgumentError: for anything else.
    """
    if region is None or (isinstance(region, str) and region in _WORDS):
        return region
    array = _as_array(region)
    if array.ndim == 1 and array.dtype.kind in "iu" and len(array) in _RANKS and (array >= 0).all():
        return tuple(int(index) for index in array)
    if array.ndim not in _RANKS or array.dtype.kind not in "biuf":
        near = did_you_mean(region, _WORDS).strip() if isinstance(region, str) else ""
        raise bad_value("region", _ALLOWED, region, near)
    return _checked_weights(array)


def _as_array(region: object) -> np.ndarray:
    try:
        return np.asarray(region)
    except (TypeError, ValueError):  # rows of several lengths
        raise bad_value("region", _ALLOWED, region) from None


def _checked_weights(array: np.ndarray) -> np.ndarray:
    """Return a constant array of float32."""
    weights = array.astype(np.float32)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        received = f"an array of shape {array.shape} from {array.min():g} to {array.max():g}" if array.size else array
        raise bad_value("region", "weights that are finite, at least 0, and not all 0", received)
    weights.setflags(write=False)
    return weights


def region_of(region: RegionLike) -> Region:
    """Return the region that a value stands for."""
    region = checked_region(region)
    if region is None:
        return Region()
    if isinstance(region, str):
        return _WORDS[region]
    return Point(region) if isinstance(region, tuple) else Weights(region)


_WORDS: dict[str, Region] = {"all": AllPixels(), "input": GivenWeights(), "point": GivenPoint()}


def _at(points: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return 1 at the points ``(B or 1, n)`` and 0 elsewhere, of the spatial size of ``like``, ``(B, H, W)``."""
    found, rank = None, like.shape.rank
    for axis in range(1, rank):
        size = like.shape[axis] or tf.shape(like)[axis]
        sizes = [1] * (rank - 1)
        sizes[axis - 1] = size
        line = tf.reshape(one_hot(points[:, axis - 1 : axis], size, tf.float32), [-1, *sizes])
        found = line if found is None else found * line
    return found


def _size_text(space: Shape) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in space) + ")"
