"""Type aliases that several folders share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import tensorflow as tf

#: The static shape of a tensor, None where a dimension is unknown until run time.
Shape: TypeAlias = tuple[int | None, ...]

#: The size of one axis: an integer where it is known, a scalar int32 tensor where it is not.
AxisSize: TypeAlias = "int | tf.Tensor"
