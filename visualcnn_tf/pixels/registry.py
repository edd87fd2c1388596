"""From the short forms of pixels to their object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import keras

from visualcnn_tf.errors import InvalidTypeError
from visualcnn_tf.pixels.pixels import Pixels, Values

#: What stands for pixels: an object, or its ``values`` alone.
PixelsLike: TypeAlias = Pixels | Values


def get(identifier: PixelsLike | Mapping[str, object]) -> Pixels:
    """Return pixels.

    Args:
        identifier: a :class:`Pixels` (returned as it is), what it takes as ``values``, or the config that
            ``keras.saving.serialize_keras_object`` makes of it.

    Raises:
        InvalidArgumentError: for an unknown name; the message offers near misses.
        InvalidTypeError: for the class in place of an object.

    Example:
        >>> get("vgg16")
        Pixels(values='caffe', fit='squeeze', size=None)
    """
    if isinstance(identifier, Pixels):
        return identifier
    if identifier is Pixels:
        raise InvalidTypeError(
            "`pixels` must be an object, not the class. Received: Pixels. Call it: `Pixels('0..1')`."
        )
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return get(keras.saving.deserialize_keras_object(identifier))
    return Pixels(identifier)  # type: ignore[arg-type]
