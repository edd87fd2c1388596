"""Scaling: the arithmetic between pixels of 0 to 255 and what a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Scaling:
    """``(pixels / unit - mean) / std``, for each channel.

    Attributes:
        unit: what pixels are divided by first.
        mean: what is subtracted then: one number, or one for each channel.
        std: what the difference is divided by: one number, or one for each channel.
        bgr: whether the channels of the result are blue, green and red.
    """

    unit: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def __post_init__(self) -> None:
        # Keras restores tuples as lists.
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "std", tuple(map(float, self.std)))

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return what a model takes of float32 pixels from 0 to 255, ``(..., C)``."""
        images = images[..., ::-1] if self.bgr else images
        images = images if self.unit == 1 else images / self.unit
        images = images if not any(self.mean) else images - _constant(self.mean)
        return images if set(self.std) == {1.0} else images / _constant(self.std)

    def inverse(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the float32 pixels from 0 to 255 that a model's input was made of."""
        pixels = inputs if set(self.std) == {1.0} else inputs * _constant(self.std)
        pixels = pixels if not any(self.mean) else pixels + _constant(self.mean)
        pixels = pixels if self.unit == 1 else pixels * self.unit
        return pixels[..., ::-1] if self.bgr else pixels

    @property
    def is_colored(self) -> bool:
        """Whether it treats channels differently, so that images must be in color."""
        return self.bgr or len(self.mean) > 1 or len(self.std) > 1

    @property
    def limits(self) -> tuple[float, float] | None:
        """Black and white; None if they differ between channels."""
        if self.is_colored:
            return None
        return self._of_gray(0)[0], self._of_gray(255)[0]

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """Black and white of each channel, in the order in which the model takes them, or of all channels."""
        return tuple(zip(self._of_gray(0), self._of_gray(255), strict=True))

    def _of_gray(self, pixel: float) -> list[float]:
        count = max(len(self.mean), len(self.std))
        mean, std = (_repeated(numbers, count) for numbers in (self.mean, self.std))
        return [(pixel / self.unit - m) / s for m, s in zip(mean, std, strict=True)]

    def get_config(self) -> dict[str, Any]:
        """Return the attributes, as Keras serializes them."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaling:
        """Return the scaling of a config."""
        return cls(**config)


#: The scalings by name. They are those of ``preprocess_input`` in ``keras.applications``: its modes ``"tf"`` (here
#: ``"-1..1"``), ``"caffe"`` and ``"torch"`` with the means and deviations of ImageNet.
SCALINGS: dict[str, Scaling] = {
    "0..255": Scaling(),
    "0..1": Scaling(255.0),
    "-1..1": Scaling(127.5, (1.0,)),
    "caffe": Scaling(1.0, (103.939, 116.779, 123.68), bgr=True),
    "torch": Scaling(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def _constant(numbers: Sequence[float]) -> tf.Tensor:
    return tf.constant(numbers if len(numbers) > 1 else numbers[0], tf.float32)


def _repeated(numbers: Sequence[float], count: int) -> Sequence[float]:
    return numbers if len(numbers) == count else list(numbers) * count
