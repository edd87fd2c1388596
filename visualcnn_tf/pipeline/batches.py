"""What an explained model is called with: batch sizes, empty batches, class indices."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.errors import InputShapeError


def batch_size(inputs: Any) -> int | None:
    """Return the size of the first axis of the first array or tensor, None where unknown."""
    shapes = [tensor.shape for tensor in keras.tree.flatten(inputs) if hasattr(tensor, "shape")]
    return shapes[0][0] if shapes and len(shapes[0]) else None


def example_spec(x: Any) -> Any:
    """Return what tells the shapes of one batch of ``predict``'s argument, or None when only a first batch will."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        return spec[0] if isinstance(spec, tuple) else spec
    return x if all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)) else None


def is_empty(x: Any) -> bool:
    """Return whether ``predict``'s argument holds no examples."""
    return int(x.cardinality()) == 0 if isinstance(x, tf.data.Dataset) else batch_size(x) == 0


def empty_batch(spec: Any) -> Any:
    """Return a batch without examples."""
    return keras.tree.map_structure(lambda t: tf.zeros((0, *(n or 1 for n in t.shape[1:])), t.dtype), spec)


def blank_example(inputs: Any) -> Any:
    """Return a batch of one example of zeros."""
    return keras.tree.map_structure(lambda t: tf.zeros((1, *t.shape[1:]), t.dtype), inputs)


def check_class_index(class_index: Any, inputs: Any) -> None:
    """Raise unless there is one integer for each image.

    Raises:
        InputShapeError: saying what was received.
    """
    shape = tuple(getattr(class_index, "shape", ()))
    batch, dtype = batch_size(inputs), getattr(class_index, "dtype", None)
    is_integer = dtype is not None and "int" in keras.backend.standardize_dtype(dtype)
    if len(shape) != 1 or (batch and shape[0] and shape[0] != batch) or not is_integer:
        raise InputShapeError(
            f"`class_index` must be one integer for each image, (B,). Received: shape {shape} of type {dtype}. "
            "-1 means the predicted class."
        )
