"""What an explained model is called with: batch sizes, empty batches, class indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.introspect.inputs import shape_of
from visualcnn_tf.pipeline.outputs import CLASS_INDEX
from visualcnn_tf.pipeline.plan import Plan


def batch_size(inputs: Any) -> int | None:
    """Return the size of the first axis of the first array or tensor, None where unknown."""
    shape = next(filter(None, map(shape_of, keras.tree.flatten(inputs))), None)
    return shape[0] if shape else None


def example_spec(x: Any) -> Any:
    """Return what tells the shapes of one batch of ``predict``'s argument, or None when only a first batch will."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        return spec[0] if isinstance(spec, tuple) else spec
    return x if keras.tree.is_nested(x) or hasattr(x, "shape") else None


def is_empty(x: Any) -> bool:
    """Return whether ``predict``'s argument holds no examples."""
    return int(x.cardinality()) == 0 if isinstance(x, tf.data.Dataset) else batch_size(x) == 0


def empty_batch(spec: Any) -> Any:
    """Return a batch without examples."""
    return keras.tree.map_structure(lambda t: tf.zeros((0, *(n or 1 for n in t.shape[1:])), t.dtype), spec)


def blank_example(inputs: Any) -> Any:
    """Return a batch of one example of zeros."""
    return keras.tree.map_structure(lambda t: tf.zeros((1, *t.shape[1:]), t.dtype), inputs)


def checked_inputs(plan: Plan, inputs: Any) -> Any:
    """Return what an explained model was called with, its class index one for each image.

    Raises:
        InputShapeError: for inputs that the model does not take, or a class index that it does not ask for.
        InvalidTypeError: for inputs of another type.
    """
    given, class_index = plan.split(inputs)
    plan.inputs.check(given)
    if class_index is not None:
        return plan.join(given, one_for_each_image(class_index, given))
    if isinstance(given, Mapping) and CLASS_INDEX in set(given) - set(plan.inputs.names):
        raise InputShapeError(
            f"`inputs` holds {CLASS_INDEX!r}, which this model does not take. Attach with `target`='input'."
        )
    return given


def one_for_each_image(class_index: Any, inputs: Any) -> Any:
    """Return a class index as an array or tensor ``(B,)``; a single number is that of every image.

    Raises:
        InputShapeError: for anything but integers.
    """
    if not hasattr(class_index, "dtype"):
        class_index = np.asarray(class_index)
    if shape_of(class_index) == () and isinstance(class_index, (np.ndarray, np.generic, tf.Tensor)):
        class_index = _repeated(class_index, inputs)
    _check_class_index(class_index, inputs)
    return class_index


def _repeated(class_index: Any, inputs: Any) -> Any:
    count = batch_size(inputs)
    if count is not None and not tf.is_tensor(class_index):
        return np.full(count, class_index)
    tensors = [tensor for tensor in keras.tree.flatten(inputs) if hasattr(tensor, "shape")]
    return tf.fill([tf.shape(tensors[0])[0]], class_index)


def _check_class_index(class_index: Any, inputs: Any) -> None:
    shape = shape_of(class_index)
    batch, dtype = batch_size(inputs), getattr(class_index, "dtype", None)
    is_integer = dtype is not None and "int" in keras.backend.standardize_dtype(dtype)
    has_shape = shape is None or (len(shape) == 1 and not (batch and shape[0] and shape[0] != batch))
    if not has_shape or not is_integer:
        raise InputShapeError(
            f"`class_index` must be one integer for each image, (B,), or one for all. Received: shape {shape} of type "
            f"{dtype}. -1 means the predicted class."
        )
