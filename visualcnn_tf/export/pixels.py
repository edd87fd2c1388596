"""The pixels of an exported model: known from ``attach``, or given, and the examples that have to agree with them."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.pixels.description import to_json
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.preprocessing import is_image
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.pixels.registry import get as get_pixels
from visualcnn_tf.pixels.resolve import check_images, resolve_pixels
from visualcnn_tf.render.value_range import check_brightness

_NARROW = 0.02  # of the range: all examples in so little of it have another range


def exported_pixels(model: keras.Model, given: PixelsLike | None, inputs: ModelInputs) -> Pixels | None:
    """Return what an exported model takes, None if that is not known.

    Args:
        model: The exported model.
        given: What the user says.
        inputs: The inputs of the user's model.

    Raises:
        InvalidArgumentError: If ``given`` contradicts what is known of the model, or it takes no images.
    """
    asked = None if given is None else get_pixels(given)
    images = image_specs(inputs.specs)
    if asked is not None and not images:
        raise bad_value("pixels", "None for a model without images", asked.values)
    if not isinstance(model, ExplainedModel):
        return resolve_pixels(asked, trace_model(model, inputs))
    if asked is None:
        return model.pixels
    for spec in images:
        check_images(asked, spec.shape)
    if model.pixels is not None and asked.values != model.pixels.values:
        allowed = f"{model.pixels.values!r} or left out, as `explained.pixels` says"
        raise bad_value("pixels", allowed, asked.values, "Attach with other `pixels` where they are wrong.")
    return asked


def image_specs(specs: Iterable[ModelInput]) -> list[ModelInput]:
    """Return the inputs that are gray or color images, or films of them."""
    return [spec for spec in specs if is_image(spec.shape)]


def check_examples(examples: Arrays, inputs: ModelInputs, pixels: Pixels | None) -> None:
    """Raise if the user's images are clearly not what the model takes.

    Args:
        examples: The inputs by name.
        inputs: The inputs of the user's model.
        pixels: What its images are, or None.

    Raises:
        InvalidArgumentError: If they go beyond black and white, or have a fiftieth of the range at most, as images from
            0 to 1 have of one from 0 to 255.
    """
    if pixels is None:
        return
    for spec in image_specs(inputs.specs):
        images = examples[spec.name]
        check_brightness(images, pixels, "representative_data")
        if pixels.limits is not None and np.ptp(images) < _NARROW * np.ptp(pixels.limits):
            low, high = pixels.limits
            raise bad_value(
                "representative_data",
                f"images from {low:g} to {high:g}, which the model takes",
                f"values from {np.min(images):g} to {np.max(images):g}",
                "Pass them as the model gets them in use.",
            )


def pixels_signature(pixels: Pixels) -> tf.types.experimental.GenericFunction:
    """Return a signature without inputs, by which a client asks a server what the model takes, as JSON."""
    return tf.function(lambda: {"json": tf.constant(to_json(pixels))}, input_signature=[], autograph=False)
