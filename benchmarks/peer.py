"""tf-keras-vis, used as its documentation says: one explainer for all calls, on the network's logits."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import keras
import numpy as np

from benchmarks.timing import Contender

NAME = "tf-keras-vis"
#: The module and class of tf-keras-vis for each of our methods.
KINDS = {
    "gradcam": ("gradcam", "Gradcam"),
    "gradcam++": ("gradcam_plus_plus", "GradcamPlusPlus"),
    "layercam": ("layercam", "Layercam"),
    "scorecam": ("scorecam", "Scorecam"),
}


class Explainer:
    """One method at one layer.

    Args:
        method: Our name of the method.
        model: The network.
        path: The name of the layer.
    """

    def __init__(self, method: str, model: keras.Model, path: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it imports `zoom` from a deprecated module of SciPy
            module, name = KINDS[method]
            kind = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)
            from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
            from tf_keras_vis.utils.scores import CategoricalScore
        self._explainer, self._score = kind(model, model_modifier=ReplaceToLinear()), CategoricalScore
        self._layer = {"penultimate_layer": path, "seek_penultimate_conv_layer": False}

    def caller(self, images: np.ndarray, classes: np.ndarray, **options: Any) -> Contender:
        """Return a call that computes the maps of these images for these classes."""
        score = self._score(classes[: len(images)].tolist())

        def call() -> Any:
            keras.utils.disable_interactive_logging()  # Score-CAM calls `predict`, which prints a progress bar
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "The structure of `inputs`", UserWarning)  # it passes a list
                    return self._explainer(score, images, **self._layer, **options)
            finally:
                keras.utils.enable_interactive_logging()

        return call
