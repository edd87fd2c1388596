"""tf-keras-vis, called as its users do: the explainer is made once, on the network's logits."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from benchmarks.timing import Contender

NAME = "tf-keras-vis"


class _Explainer:
    """One method at one layer.

    Args:
        model: the network.
        path: name of the layer.
    """

    def __init__(self, model: keras.Model, path: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it imports zoom from where SciPy had it
            from tf_keras_vis import gradcam, scorecam
            from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
            from tf_keras_vis.utils.scores import CategoricalScore

        kind = {"Gradcam": gradcam.Gradcam, "Scorecam": scorecam.Scorecam}[type(self).__name__]
        self._explainer, self._score = kind(model, model_modifier=ReplaceToLinear()), CategoricalScore
        self._layer = {"penultimate_layer": path, "seek_penultimate_conv_layer": False}

    def caller(self, images: np.ndarray, classes: np.ndarray, **options: Any) -> Contender:
        """The maps of these images, each of its class."""
        score = self._score(classes[: len(images)].tolist())

        def call() -> Any:
            keras.utils.disable_interactive_logging()  # Score-CAM's `predict` draws a progress bar
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "The structure of `inputs`", UserWarning)  # it passes a list
                    return self._explainer(score, images, **self._layer, **options)
            finally:
                keras.utils.enable_interactive_logging()

        return call


class Gradcam(_Explainer):
    """Its Grad-CAM."""


class Scorecam(_Explainer):
    """Its Score-CAM, with ``max_N`` its Faster Score-CAM."""
