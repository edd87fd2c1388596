"""What an explained model is called with: batch sizes, empty batches, the inputs of its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.introspect.inputs import shape_of
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.targets import inputs as target_inputs
from visualcnn_tf.targets.inputs import TargetInput


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
    """Return what an explained model was called with, with one of each of the target's inputs for each image.

    Raises:
        InputShapeError: for inputs that the model does not take, or those of a target that it does not explain.
        InvalidTypeError: for inputs of another type.
    """
    given, asked = plan.split(inputs)
    plan.inputs.check(given)
    unasked = set(given) - set(plan.inputs.names) if isinstance(given, Mapping) else ()
    for one in target_inputs.ALL:
        if one.name in unasked:
            raise InputShapeError(
                f"`inputs` holds {one.name!r}, which this model does not take. Attach with {one.asked_by}."
            )
    return plan.join(given, for_each_image(plan, asked, given)) if asked else given


def for_each_image(plan: Plan, asked: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
    """Return what was given for the target's inputs as arrays or tensors, the batch first; one alone is for all images.

    Raises:
        InputShapeError: for anything of another shape or type.
    """
    return {one.name: _for_each_image(one, asked[one.name], inputs) for one in plan.target_inputs if one.name in asked}


def _for_each_image(one: TargetInput, value: Any, inputs: Any) -> Any:
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    shape = shape_of(value)
    if shape is not None and len(shape) == len(one.shape) and isinstance(value, (np.ndarray, np.generic, tf.Tensor)):
        value = _repeated(value, inputs)
    if not one.fits(shape_of(value), batch_size(inputs)) or not one.takes(getattr(value, "dtype", None)):
        raise InputShapeError(
            f"`{one.name}` must be {one.is_one} for each image, {one.shape_text}, or one for all. Received: shape "
            f"{shape_of(value)} of type {getattr(value, 'dtype', None)}. {one.advice}"
        )
    return value


def _repeated(value: Any, inputs: Any) -> Any:
    count = batch_size(inputs)
    if count is not None and not tf.is_tensor(value):
        return np.full((count, *np.shape(value)), value)
    tensors = [tensor for tensor in keras.tree.flatten(inputs) if hasattr(tensor, "shape")]
    return tf.broadcast_to(value, tf.concat([tf.shape(tensors[0])[:1], tf.shape(value)], 0))
