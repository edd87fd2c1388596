"""Elements: views, frames or patches of each example that a model has merged into the batch."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize


@dataclass(frozen=True)
class Elements:
    """How several elements of each example stand in the rows of a tensor.

    Row ``(o · B + b) · inner + i`` belongs to example ``b`` of ``B``. After a reshape of ``(B, V, ...)`` to
    ``(B · V, ...)``, ``inner`` is ``V``; of two views concatenated on the batch axis, ``outer`` is 2.

    Attributes:
        outer: the number of blocks of all examples; None where it is unknown.
        inner: the number of rows of each example in a block; None where it is unknown. At most one of them is.
    """

    outer: int | None
    inner: int | None

    @property
    def count(self) -> int | None:
        """The number of elements of each example, None where unknown."""
        return None if self.outer is None or self.inner is None else self.outer * self.inner

    def count_in(self, rows: tf.Tensor, examples: tf.Tensor) -> AxisSize:
        """Return the number of elements of each example in a tensor with all their rows."""
        return self.count or tf.shape(rows)[0] // tf.shape(examples)[0]

    def by_example(self, rows: tf.Tensor, count: AxisSize) -> tf.Tensor:
        """Return rows ``(B · count, ...)`` as ``(B, count, ...)``."""
        sizes = [known or tf.shape(rows)[axis] for axis, known in enumerate(rows.shape) if axis]
        if self.outer == 1:
            return tf.reshape(rows, [-1, count, *sizes])
        outer: AxisSize = self.outer or count // (self.inner or 1)
        inner: AxisSize = self.inner or count // outer
        blocks = tf.reshape(rows, [outer, -1, inner, *sizes])
        by_example = tf.transpose(blocks, [1, 0, *range(2, blocks.shape.rank)])
        return tf.reshape(by_example, [-1, count, *sizes])
