"""The inputs that a target adds to those of the model, such as the class that each request asks for."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.inputs import ModelInput


@dataclass(frozen=True)
class TargetInput:
    """An input that a target adds to those of the model. Whoever calls the explained model may leave it out.

    Attributes:
        name: its name, the key in a dict of inputs.
        shape: the shape of what belongs to one image, ``()`` for a number; None where unknown.
        dtype: the name of its type, ``"int32"`` or ``"float32"``.
        is_one: what belongs to one image, for an error, such as ``"one integer"``.
        advice: what a value that stands for none means, for an error.
        asked_by: the option of ``attach`` that adds it, for an error.
        none: the value that stands for none.
        examples: the values for examples that have none of their own, in turn.
    """

    name: str
    shape: Shape
    dtype: str
    is_one: str
    advice: str
    asked_by: str
    none: int = -1
    examples: tuple[float, ...] = (-1,)

    @property
    def words(self) -> str:
        """The name in words, ``"class index"``."""
        return self.name.replace("_", " ")

    @property
    def shape_text(self) -> str:
        """The shape for a batch, as an error shows it: ``"(B,)"``, ``"(B, 8, 8)"``."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"(B, {sizes})" if self.shape else "(B,)"

    @property
    def spec(self) -> ModelInput:
        """The same as an input of a model."""
        return ModelInput(self.name, (None, *self.shape), self.dtype)

    def takes(self, dtype: object) -> bool:
        """Return whether values of a type are taken: whole numbers for an integer, any real numbers for a float."""
        if dtype is None:
            return False
        name = keras.backend.standardize_dtype(dtype)
        return "int" in name or (self.dtype == "float32" and ("float" in name or name == "bool"))

    def fits(self, shape: Shape | None, batch: int | None) -> bool:
        """Return whether an array or tensor of this static shape has a row for each of ``batch`` images."""
        if shape is None:
            return True
        expected = (batch or None, *self.shape)
        return len(shape) == len(expected) and all(
            a == b or not (a and b) for a, b in zip(shape, expected, strict=True)
        )

    def none_for(self, count: tf.Tensor) -> tf.Tensor:
        """Return a tensor for so many images none of which asks for anything."""
        return tf.fill([count, *(size or 1 for size in self.shape)], tf.cast(self.none, self.dtype))

    def filled(self, count: int) -> np.ndarray:
        """Return values for ``count`` examples that have none of their own; of an unknown size they have one row."""
        values = np.resize(np.asarray(self.examples, self.dtype), count)
        shape = tuple(size or 1 for size in self.shape)
        return np.broadcast_to(values.reshape(count, *[1] * len(shape)), (count, *shape)).copy()


#: The input that asks for a class.
CLASS_INDEX = TargetInput(
    name="class_index",
    shape=(),
    dtype="int32",
    is_one="one integer",
    advice="-1 means the predicted class.",
    asked_by="`target`='input'",
)
#: The input of a region, the weight of each pixel of a mask.
REGION = TargetInput(
    name="region",
    shape=(None, None),
    dtype="float32",
    is_one="the weights of the pixels of the output",
    advice="-1 at a pixel means: if it is predicted as the class.",
    asked_by="`target`=Mask(..., region='input')",
    examples=(-1, 1),
)
#: The input of a point of a mask.
POINT = TargetInput(
    name="point",
    shape=(None,),
    dtype="int32",
    is_one="a row and a column of the output",
    advice="-1 means the pixels that are predicted as the class.",
    asked_by="`target`=Mask(..., region='point')",
    examples=(-1, 0),
)
#: The input that asks for a box.
BOX_INDEX = TargetInput(
    name="box_index",
    shape=(),
    dtype="int32",
    is_one="one integer",
    advice="-1 means the box with the highest score.",
    asked_by="`target`=Box('input')",
)
#: All inputs that targets add, to tell one from an input of the model.
ALL = (CLASS_INDEX, REGION, POINT, BOX_INDEX)


def as_int32(index: tf.Tensor) -> tf.Tensor:
    """Return int32 numbers, clipped: a number that is far too large must not become an index."""
    dtype = index.dtype
    if dtype.max > tf.int32.max:
        index = tf.minimum(index, tf.cast(tf.int32.max, dtype))
        if not dtype.is_unsigned:
            index = tf.maximum(index, tf.cast(tf.int32.min, dtype))
    return tf.cast(index, tf.int32)
