"""Build the signature ``serving_bytes``, which takes encoded images, and answer for those that cannot be read.

With ``on_error="raise"`` a request with unreadable images fails, and the error names the indices of these images.
With ``on_error="blank"`` it succeeds: these images get zeros in every output, and the output ``valid`` says which
images were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.image_decoder import ImageDecoder
from visualcnn_tf.export.types import Signature
from visualcnn_tf.introspect.inputs import ModelInput

ON_ERROR = ("raise", "blank")
VALID = "valid"


@dataclass(frozen=True)
class ServingBytes:
    """How the signature ``serving_bytes`` treats its images.

    Attributes:
        decoder: Decodes them into the model's input.
        on_error: ``"raise"`` or ``"blank"``, for images that cannot be read.
        pictures: The names of the outputs that are returned as PNG files.
        classes: The name of the output that holds explained classes, if there is one. An image that was not read has
            -1 there, no class.
    """

    decoder: ImageDecoder
    on_error: str
    pictures: Sequence[str] = ()
    classes: str | None = None

    def signature(self, run: Signature, others: Sequence[ModelInput]) -> tf.types.experimental.GenericFunction:
        """Return the signature.

        Args:
            run: The model: its input tensors in order, to its outputs by name.
            others: The inputs that follow the images, such as the class index.
        """

        def serve(image_bytes: tf.Tensor, *other_inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            images, valid = self.decoder(image_bytes)
            if self.on_error == "blank":
                outputs = run(images, *other_inputs)
                return {**self._as_files(self._blanked(outputs, valid)), VALID: valid}
            with tf.control_dependencies([_assert_all(valid)]):
                return self._as_files(run(tf.identity(images), *other_inputs))

        specs = [tf.TensorSpec([None], tf.string, "image_bytes")]
        specs += [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in others]
        return tf.function(serve, input_signature=specs, autograph=False)

    def _blanked(self, outputs: dict[str, tf.Tensor], valid: tf.Tensor) -> dict[str, tf.Tensor]:
        return {key: _blank_rows(value, valid, -1 if key == self.classes else 0) for key, value in outputs.items()}

    def _as_files(self, outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the outputs with pictures as PNG files, under names that TensorFlow Serving sends in base64."""
        files = {f"{name}_png_bytes": tf.io.encode_png(outputs[name]) for name in self.pictures}
        return {**{name: value for name, value in outputs.items() if name not in self.pictures}, **files}


def check_no_options(on_error: str, png: bool) -> None:
    """Raise for options of ``serving_bytes`` that are given without that signature.

    Raises:
        InvalidArgumentError: If one of them is not the default.
    """
    if on_error != "raise":
        raise bad_value("on_error", "'raise' without the signature 'serving_bytes'", on_error)
    if png:
        raise _no_pictures()


def check_pictures(explained: keras.Model) -> None:
    """Raise unless a model has overlays.

    Raises:
        InvalidArgumentError: If there are none.
    """
    if not getattr(explained, "overlay_names", []):
        raise _no_pictures()


def _no_pictures() -> InvalidArgumentError:
    """Return the error for ``png=True`` where there is nothing to return as a picture."""
    return bad_value("png", "False without the signature 'serving_bytes' and `attach(..., render='overlay')`", True)


def _assert_all(valid: tf.Tensor) -> tf.Operation:
    unreadable = tf.squeeze(tf.where(tf.logical_not(valid)), 1)
    message = "`image_bytes` holds no readable JPEG, PNG, GIF or BMP image at index"
    return tf.debugging.Assert(tf.reduce_all(valid), [message, unreadable])


def _blank_rows(tensor: tf.Tensor, valid: tf.Tensor, blank: int) -> tf.Tensor:
    """Return a tensor with ``blank`` in the rows of images that were not read."""
    keep = tf.reshape(valid, [-1] + [1] * (tensor.shape.rank - 1))
    return tf.where(keep, tensor, tf.cast(blank, tensor.dtype))
