"""Pixels: how a photo becomes what a model's image input takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf._utils.serialization import callable_from_config, callable_to_config
from visualcnn_tf.pixels.fit import Size, fit_image, undo_fit, undo_fit_of_points
from visualcnn_tf.pixels.names import FITS, MODULES, VALUES
from visualcnn_tf.pixels.scaling import SCALINGS, Scaling

#: A name, or a function of TensorFlow operations on float32 images ``(B, H, W, C)`` from 0 to 255.
Values: TypeAlias = str | Callable[[tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Pixels:
    """How a photo becomes what a model's image input takes.

    Args:
        values: what the model takes where a photo has pixels of 0 to 255: ``"0..255"``, ``"0..1"``, ``"-1..1"``,
            ``"caffe"`` (blue, green and red, the means of ImageNet subtracted) or ``"torch"`` (0 to 1, standardized by
            the means and deviations of ImageNet); the name of a module of ``keras.applications`` such as
            ``"mobilenet_v2"``, or its function ``preprocess_input``, for one of these; or a function of TensorFlow
            operations on float32 images ``(B, H, W, C)`` from 0 to 255.
        fit: how a photo of another shape is fitted to the input: ``"squeeze"`` (all of the photo on all of the input),
            ``"crop"`` (the largest part from the middle that has the input's proportions) or ``"pad"`` (all of the
            photo in the middle, on black).
        size: height and width to fit photos to, only for a model that leaves its size open.

    Raises:
        InvalidArgumentError: An argument is not as described.

    Example:
        >>> pixels = Pixels("mobilenet_v2", fit="crop")
        >>> pixels.values, pixels.scale(np.array([[[[0.0, 127.5, 255.0]]]])).numpy().tolist()
        ('-1..1', [[[[-1.0, 0.0, 1.0]]]])
    """

    values: Values = "0..255"
    fit: str = "squeeze"
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked_values(self.values))
        check_choice("fit", self.fit, FITS)
        object.__setattr__(self, "size", _checked_size(self.size))

    @property
    def scaling(self) -> Scaling | None:
        """The arithmetic, or None for a function."""
        if isinstance(self.values, Scaling):
            return self.values
        return SCALINGS[self.values] if isinstance(self.values, str) else None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Black and white in the model's input; None if they differ between colors, and for a function."""
        return None if self.scaling is None else self.scaling.limits

    def scale(self, images: ArrayLike | tf.Tensor, dtype: str = "float32") -> tf.Tensor:
        """Return what the model takes.

        Args:
            images: pixels from 0 to 255, ``(B, H, W, C)``, RGB or gray.
            dtype: the type of the model's input; integers are rounded.
        """
        pixels = tf.cast(images, tf.float32)
        scaled = self.values(pixels) if self.scaling is None else self.scaling(pixels)  # type: ignore[operator]
        return tf.cast(tf.round(scaled) if tf.as_dtype(dtype).is_integer else scaled, dtype)

    def unscale(self, inputs: ArrayLike | tf.Tensor) -> tf.Tensor | None:
        """Return the float32 pixels from 0 to 255 that an input was made of; None for a function."""
        return None if self.scaling is None else self.scaling.inverse(tf.cast(inputs, tf.float32))

    def fitted(self, image: ArrayLike | tf.Tensor, size: Size) -> tf.Tensor:
        """Return a photo ``(H, W, C)``, or a batch, fitted to a height and width: float32 pixels, not scaled."""
        return fit_image(tf.convert_to_tensor(image), size, self.fit)

    def undo_fit(
        self, heatmap: ArrayLike, photo_size: Sequence[int], size: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Return a heatmap over the photo that the model saw.

        Args:
            heatmap: ``(h, w)``, over all of the model's input.
            photo_size: height and width of the photo.
            size: those of the input, by default those of the heatmap.

        Returns:
            ``photo_size``; NaN where the model did not see the photo.
        """
        return undo_fit(heatmap, photo_size, self.fit, size)

    def undo_fit_of_points(
        self, points: ArrayLike, photo_size: Sequence[int], size: Sequence[int]
    ) -> NDArray[np.float64]:
        """Return where points of the model's input are in the photo.

        Args:
            points: rows and columns in pixels of the input, ``(N, 2)``, from the upper left corner.
            photo_size: height and width of the photo.
            size: those of the input.
        """
        return undo_fit_of_points(points, photo_size, self.fit, size)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, as Keras serializes them."""
        return {
            "values": callable_to_config(self.values),
            "fit": self.fit,
            "size": None if self.size is None else list(self.size),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Pixels:
        """Return the pixels of a config."""
        return cls(**{**config, "values": callable_from_config(config["values"])})


def _checked_values(values: object) -> Values:
    """Return a name of ``VALUES``, or a function."""
    if callable(values):
        return _name_of(values) or values
    known = (*VALUES, *MODULES)
    check_choice("pixels", values, known, also="a function of TensorFlow operations")
    return MODULES.get(str(values), str(values))


def _name_of(function: Callable[..., Any]) -> str | None:
    """Return what ``preprocess_input`` of a module in ``keras.applications`` makes, None of any other function."""
    package, _, module = (getattr(function, "__module__", None) or "").rpartition(".")
    is_of_keras = package.startswith("keras.") and getattr(function, "__name__", "") == "preprocess_input"
    return MODULES.get(module) if is_of_keras else None


def _checked_size(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, (tuple, list)) or len(size) != 2 or not all(is_count(n) for n in size):
        raise bad_value("size", "None or a height and a width, such as (224, 224)", size)
    return int(size[0]), int(size[1])
