"""A network with images, its predicted classes, and the expected class maps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

import visualcnn_tf as vc
from benchmarks import checks
from benchmarks.closed_form import LinearHead, heatmaps
from benchmarks.models import Subject
from visualcnn_tf.errors import ExpensiveMethodWarning


class Scene:
    """A network with images, its predicted classes, and the expected class maps.

    Args:
        subject: The network, which must end in global average pooling and a dense layer.
    """

    def __init__(self, subject: Subject) -> None:
        self.name = subject.name
        self.model, self.images = subject.make()
        self.path = vc.attach(self.model, layers="last").taps[0].path
        self.head = LinearHead(self.model, self.path)
        self.activations = self.head.activations(self.images)
        self.classes = self.head.logits(self.activations).argmax(-1)
        checks.require_variety(f"{self.name}, predictions", self.model.predict(self.images, verbose=0))

    def explained(self, method: str, max_channels: int | None = None, **options: Any) -> vc.ExplainedModel:
        """Return the network explained by one method at its last feature map."""
        how = vc.methods.get(method)
        if max_channels is not None:
            how = replace(how, max_channels=max_channels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExpensiveMethodWarning)
            return vc.attach(self.model, layers="last", method=how, **options)

    def expected(self, method: str, count: int) -> np.ndarray:
        """Return the expected heatmaps of the first images."""
        return heatmaps(
            getattr(self.head, method), self.activations[:count], self.classes[:count], self.images.shape[1:3]
        )
