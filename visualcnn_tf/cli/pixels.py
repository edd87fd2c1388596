"""From the pixels of a file to what a model takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._utils.checks import check_choice
from visualcnn_tf.export.preprocess import PREPROCESS
from visualcnn_tf.introspect.named_layers import named_layers

Preprocessing: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_RESCALING = (keras.layers.Rescaling, keras.layers.Normalization)


def preprocessing(model: keras.Model, scale: str | None, module: str | None) -> Preprocessing:
    """Return the function from pixel values in 0 … 255 to what the model takes.

    Args:
        model: A model of images.
        scale: The range that the model takes: ``"none"`` (0 … 255), ``"0..1"`` or ``"-1..1"``. By default it is guessed
            from the model's layers, and printed.
        module: A module of ``keras.applications`` whose ``preprocess_input`` is used instead.

    Raises:
        InvalidArgumentError: There is no such module.
    """
    if module:
        return _of_application(module)
    if scale is None:
        rescales = any(isinstance(layer, _RESCALING) for layer in named_layers(model).values())
        scale = "none" if rescales else "0..1"
        print(f"Pixel values: {'0..255' if rescales else scale} (--scale or --preprocess change them).")
    return PREPROCESS[None if scale == "none" else scale].forward


def _of_application(module: str) -> Preprocessing:
    """Return ``preprocess_input`` of a module of ``keras.applications``."""
    functions = {
        name: application.preprocess_input
        for name, application in vars(keras.applications).items()
        if hasattr(application, "preprocess_input")
    }
    check_choice("--preprocess", module, sorted(functions))
    # A copy, because some of these functions change the array that they are given.
    return lambda images: np.asarray(functions[module](images.copy()))
