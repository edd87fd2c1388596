"""Colorize, Overlay and BlurByImportance: layers for models that output pictures."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf._utils.checks import check_choice
from visualcnn_tf.render.blur import blur_by_importance
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP, color_table
from visualcnn_tf.render.overlay import check_alpha, colorize, overlay
from visualcnn_tf.render.value_range import check_value_range


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class Colorize(keras.layers.Layer):
    """Turns the values of a heatmap into colors: the function ``colorize`` as a layer.

    Example:
        >>> import numpy as np
        >>> from visualcnn_tf import Colorize
        >>> Colorize("viridis")(np.zeros((1, 2, 2))).shape
        TensorShape([1, 2, 2, 3])

    Args:
        colormap: A name in ``visualcnn_tf.COLORMAPS``.
        **kwargs: ``name`` and ``trainable`` of ``keras.layers.Layer``.

    Call arguments:
        heatmap: Any shape; floats in [0, 1] or uint8 in 0 … 255.

    Returns:
        uint8 RGB, ``(..., 3)``.

    Raises:
        InvalidArgumentError: ``colormap`` is unknown, or the heatmap is not of real numbers.
    """

    def __init__(self, colormap: str = DEFAULT_COLORMAP, **kwargs: object) -> None:
        check_backend()
        color_table(colormap)
        super().__init__(dtype="float32", **kwargs)
        self.colormap = colormap
        self.supports_jit = True
        self.built = True

    def call(self, heatmap: tf.Tensor) -> tf.Tensor:
        """Return the colors; see the class."""
        return colorize(heatmap, self.colormap)

    def get_config(self) -> dict[str, object]:
        """Return the arguments of ``__init__``."""
        return {**_base_config(self), "colormap": self.colormap}


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class Overlay(keras.layers.Layer):
    """Lays a heatmap over its image in color: the function ``overlay`` as a layer.

    Example:
        >>> import keras, visualcnn_tf as vc
        >>> images = keras.Input((32, 32, 3))
        >>> features = keras.layers.Conv2D(8, 3)(images)
        >>> heatmap = vc.FeatureMapFusion(size="input")(features, like=images)
        >>> keras.Model(images, vc.Overlay(alpha=0.4)(images, heatmap)).output.shape
        (None, 32, 32, 3)

    Args:
        alpha: Opacity of the colors, from 0 (the image alone) to 1.
        colormap: A name in ``visualcnn_tf.COLORMAPS``.
        weighted: Whether the opacity is also proportional to the heatmap.
        value_range: The image's black and its white; by default (0, 1) for floats and (0, 255) for integers.
        **kwargs: ``name`` and ``trainable`` of ``keras.layers.Layer``.

    Call arguments:
        image: ``(B, H, W, 3)`` or ``(B, H, W, 1)``.
        heatmap: ``(B, H, W)``, floats in [0, 1] or uint8 in 0 … 255.

    Returns:
        uint8 RGB, ``(B, H, W, 3)``.

    Raises:
        InvalidArgumentError: An option is not allowed, shapes do not fit, or, in eager mode, an image goes beyond
            ``value_range``.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        colormap: str = DEFAULT_COLORMAP,
        *,
        weighted: bool = False,
        value_range: Sequence[float] | None = None,
        **kwargs: object,
    ) -> None:
        check_backend()
        check_alpha(alpha)
        color_table(colormap)
        check_choice("weighted", weighted, (True, False))
        value_range = check_value_range(value_range)
        super().__init__(dtype="float32", **kwargs)
        self.alpha = float(alpha)
        self.colormap = colormap
        self.weighted = weighted
        self.value_range = value_range
        self.supports_jit = True
        self.built = True

    def call(self, image: tf.Tensor, heatmap: tf.Tensor) -> tf.Tensor:
        """Return the pictures; see the class."""
        return overlay(image, heatmap, self.alpha, self.colormap, weighted=self.weighted, value_range=self.value_range)

    def get_config(self) -> dict[str, object]:
        """Return the arguments of ``__init__``."""
        options = ("alpha", "colormap", "weighted", "value_range")
        return {**_base_config(self), **{name: getattr(self, name) for name in options}}


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class BlurByImportance(keras.layers.Layer):
    """Blurs an image where its heatmap is low: the function ``blur_by_importance`` as a layer.

    Example:
        >>> import keras, visualcnn_tf as vc
        >>> images = keras.Input((32, 32, 3))
        >>> features = keras.layers.Conv2D(8, 3)(images)
        >>> heatmap = vc.FeatureMapFusion(size="input")(features, like=images)
        >>> keras.Model(images, vc.BlurByImportance()(images, heatmap)).output.shape
        (None, 32, 32, 3)

    Args:
        **kwargs: ``name`` and ``trainable`` of ``keras.layers.Layer``.

    Call arguments:
        image: ``(B, H, W, C)``, floats of any range, or integers.
        heatmap: ``(B, H, W)``, floats in [0, 1] or uint8 in 0 … 255.

    Returns:
        The image's shape and dtype.

    Raises:
        InvalidArgumentError: Ranks or sizes do not fit.
    """

    def __init__(self, **kwargs: object) -> None:
        check_backend()
        # Without autocast the image keeps its dtype.
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.supports_jit = True
        self.built = True

    def call(self, image: tf.Tensor, heatmap: tf.Tensor) -> tf.Tensor:
        """Return the pictures; see the class."""
        return blur_by_importance(image, heatmap)

    def get_config(self) -> dict[str, object]:
        """Return the arguments of ``__init__``."""
        return _base_config(self)


def _base_config(layer: keras.layers.Layer) -> dict[str, object]:
    """Return the base configuration without the dtype: pictures are always computed in float32."""
    return {"name": layer.name, "trainable": layer.trainable}
