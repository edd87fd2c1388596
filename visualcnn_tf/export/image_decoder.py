"""Decode the encoded images of a request inside the exported graph.

An image that cannot be read (corrupt, truncated, of another format, or claiming more than ``MAX_PIXELS`` pixels) does
not stop the others of its batch: the decoder returns a blank image in its place, and False in ``valid``. What the
request is answered then is decided in ``serving_bytes.py``: an error that names the index of the image, or blank
outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.introspect.inputs import ModelInput
from visualcnn_tf.io.decode import decode_checked
from visualcnn_tf.pixels.pixels import Pixels


@dataclass(frozen=True)
class ImageDecoder:
    """Decodes a batch of JPEG, PNG, GIF (first frame) or BMP files into the image input of a model.

    The images may have different sizes: each is fitted to the size of the input, bilinear and anti-aliased.

    Attributes:
        spec: The model's input, ``(B, H, W, 1)`` or ``(B, H, W, 3)`` with known height and width.
        pixels: What the model takes.
    """

    spec: ModelInput
    pixels: Pixels

    def __call__(self, image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decode and preprocess images.

        Args:
            image_bytes: The encoded images, strings ``(B,)``.

        Returns:
            ``images``: ``(B, H, W, C)`` in the type of the input; those that could not be read are 0 before they are
            preprocessed.
            ``valid``: bool ``(B,)``, whether each could be read.
        """
        shape = self.spec.shape[1:]
        images, valid = tf.map_fn(
            self._decode_or_blank,
            image_bytes,
            fn_output_signature=(tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.bool)),
        )
        return self.pixels.scale(images, self.spec.dtype), valid

    def _decode_or_blank(self, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        blank = tf.data.Dataset.from_tensors((tf.zeros(self.spec.shape[1:]), False))
        # A graph has no try. A dataset of one element has: it drops elements that fail, and the blank one follows.
        # Every loader of SavedModels runs it.
        image = tf.data.Dataset.from_tensors(encoded).map(self._decode).ignore_errors()
        pixels, valid = image.concatenate(blank).take(1).get_single_element()
        return pixels, valid

    def _decode(self, encoded: tf.Tensor) -> tuple[tf.Tensor, bool]:
        height, width, channels = self.spec.shape[1:]
        image = decode_checked(encoded, channels or 3)
        return self.pixels.fitted(image, (height, width)), True
