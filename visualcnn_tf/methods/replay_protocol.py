"""Replay: what a method needs in order to run a model again on changed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import tensorflow as tf

#: From the numbers ``(n,)`` of several variations to a tensor ``(B, n, ...)``.
Variations: TypeAlias = Callable[[tf.Tensor], tf.Tensor]


class Replay(Protocol):
    """Run a model again on variations of what a layer returned, or of the images, and return the target's scores."""

    def on_maps(self, change: Variations, spatial_mean: Variations, count: int) -> tf.Tensor:
        """Return the scores ``(B, count)`` with other feature maps; only what follows the layer runs.

        Args:
            change: from the numbers ``(n,)`` of some of the variations to feature maps ``(B, n, h, w, C)``.
            spatial_mean: from the same numbers to the mean of these maps over positions, ``(B, n, C)``. It is all
                that global average pooling reads, at a fraction of the cost.
            count: the number of variations.
        """

    def on_images(self, masks: Variations, count: int) -> tf.Tensor:
        """Return the scores ``(B, count)`` of masked images; the whole model runs.

        Args:
            masks: from the numbers ``(n,)`` of some of the variations to maps ``(B, n, h, w)``, which are resized to
                the images, scaled to [0, 1] and multiplied with them.
            count: the number of variations.
        """
