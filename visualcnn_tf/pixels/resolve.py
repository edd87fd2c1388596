"""What is asked for and what is found, in one: the pixels of a model."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.pixels.find import Found, find_values, range_of
from visualcnn_tf.pixels.pixels import Pixels, Values
from visualcnn_tf.pixels.preprocessing import image_tensors


def resolve_pixels(given: Pixels | None, trace: Trace) -> Pixels | None:
    """Return the pixels that a model takes: those that were given, or else found; None if neither.

    Raises:
        InvalidArgumentError: if the given ones contradict what the model does itself, or don't fit its images.
    """
    found, images = find_values(trace), image_tensors(trace)
    if given is None:
        return None if found is None else Pixels(found.values[0], found.fit)
    if not images:
        raise bad_value("pixels", "None for a model that takes no gray or color images", given.values)
    if found is not None:
        _check_not_twice(given.values, found)
    for image in images:
        check_images(given, tuple(image.shape))
    return given


def check_images(pixels: Pixels, shape: Shape) -> None:
    """Raise unless pixels can be made for images of a shape ``(B, H, W, C)``.

    Raises:
        InvalidArgumentError: for scalings of three colors and a gray input, a size where the input has one, and a
            function that is not made of TensorFlow operations or returns another shape.
    """
    if pixels.scaling is not None and pixels.scaling.is_colored and 3 not in (shape[-1], shape[1]):
        raise bad_value("pixels", "'0..255', '0..1', '-1..1' or a function for gray images", pixels.values)
    if pixels.size is not None and None not in shape[1:3]:
        raise bad_value("pixels", f"without `size` for a model that takes images of {shape[1:3]}", pixels)
    if pixels.scaling is None:
        _try(pixels.values, shape)


def _check_not_twice(values: Values, found: Found) -> None:
    """Raise for a preprocessing on top of one that the model has."""
    made = range_of(values) if callable(values) and values not in found.values else values
    if made is None or made in found.values:
        return
    by = f" by {quoted(found.by)}" if found.by else ""
    raise bad_value(
        "pixels",
        f"{quoted(found.values)} or left out, because the model preprocesses its images itself{by}",
        values,
        "To preprocess them once more would be wrong.",
    )


def _try(function: Values, shape: Shape) -> None:
    """Raise unless a function turns images of a shape into images of the same shape, in a graph."""
    spec = tf.TensorSpec(shape, tf.float32)
    try:
        result = tf.function(function, autograph=False).get_concrete_function(spec).structured_outputs
    except Exception as error:
        raise bad_value(
            "pixels",
            "a name, or a function of TensorFlow operations, because it runs in servers without Python",
            function,
            f"It failed on a symbolic tensor with {type(error).__name__}: {error}",
        ) from error
    if not tf.is_tensor(result) or not result.shape.is_compatible_with(shape):
        raise bad_value("pixels", f"a function that returns images of shape {shape}", function)
