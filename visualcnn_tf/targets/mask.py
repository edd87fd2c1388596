"""Mask: the pixels of a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.serialization import array_from_config, array_to_config
from visualcnn_tf.targets.base import ClassTarget, Given, Target
from visualcnn_tf.targets.dense.head import find_dense_head
from visualcnn_tf.targets.dense.regions import RegionLike, checked_region, region_of
from visualcnn_tf.targets.dense.scores import MaskScores
from visualcnn_tf.targets.inputs import TargetInput
from visualcnn_tf.targets.short_forms import class_target

#: What stands for a class, see :class:`Mask`.
MaskClass: TypeAlias = int | Sequence[int] | str


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True, eq=False)
class Mask(Target):
    """Explain the pixels of a segmentation, an output ``(B, H, W, K)`` or ``(B, K, H, W)``.

    The score is the logit of a class, summed over a region of the output: Seg-Grad-CAM (Vinogradova, Dibrov and Myers,
    2020, https://arxiv.org/abs/2002.11434, equation 1). No gradient goes through the region. Where it holds no pixel,
    the heatmap is all zeros, and ``explained_class`` is -1.

    Args:
        class_index: the index of the class, from 0; several, for one heatmap each; ``"predicted"``, the class that most
            pixels are predicted as; ``"top3"`` and so on; ``"input"``: the explained model gets one more input,
            ``class_index``. Of a single sigmoid mask class 1 is the logit, class 0 minus the logit.
        region: which pixels of the output count.

            - None: those that are predicted as the class. ``target=7`` is short for ``Mask(7)``.
            - ``"all"``: all of them.
            - An array ``(H, W)`` of the output's size: the weight of each pixel, at least 0; of a bool array those that
              are true.
            - A point ``(row, column)`` of the output.
            - ``"input"``: the explained model gets one more input, ``region``, ``(B, H, W)`` float32, such weights for
              each image. A pixel of -1 counts if it is predicted as the class, and so do all without this input.
            - ``"point"``: it gets the input ``point``, ``(B, 2)`` int32, a row and a column for each image; -1, or no
              such input, stands for None. No pixel counts for a point beyond the output.

    Raises:
        InvalidArgumentError: for anything else and, in ``attach``, for an output that is no masks, or is of another
            size than the region.

    Example:
        >>> Mask([3, 7], region=(12, 40)).suffixes
        ('_class3', '_class7')
        >>> [added.name for added in Mask("input", region="input").inputs]
        ['class_index', 'region']
    """

    reports_classes: ClassVar[bool] = True

    class_index: MaskClass
    region: RegionLike = None

    def __post_init__(self) -> None:
        classes = class_target(self.class_index, "class_index")
        object.__setattr__(self, "class_index", getattr(classes, "index", self.class_index))
        object.__setattr__(self, "region", checked_region(self.region))

    @property
    def _classes(self) -> ClassTarget:
        return class_target(self.class_index, "class_index")

    @property
    def inputs(self) -> tuple[TargetInput, ...]:
        """The class index and the region, as far as requests give them."""
        region = region_of(self.region).input
        return (*self._classes.inputs, *([region] if region else []))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of the classes."""
        return self._classes.suffixes

    def inputs_of(self, output: tf.Tensor) -> tuple[TargetInput, ...]:
        """Return the inputs, a region of the size of the output."""
        return (*self._classes.inputs, *region_of(self.region).inputs(find_dense_head(output).space))

    def class_axis(self, output: tf.Tensor) -> int | None:
        """Return the axis of the classes."""
        return find_dense_head(output).class_axis

    def may_explain_nothing(self, output: tf.Tensor) -> bool:
        """Return True: a region may hold no pixel."""
        return True

    def scores(self, output: tf.Tensor, given: Given | None = None) -> MaskScores:
        """Return the logits of the classes, summed over the region."""
        head, region, given = find_dense_head(output), region_of(self.region), given or {}
        region.check(head.space)
        classes = self._classes.classes(head, given)
        passed = None if region.input is None else given.get(region.input.name)
        columns = [classes[:, index : index + 1] for index in range(len(self.suffixes))]
        weights = [region.weights(head.predicted_as(column), head, passed) for column in columns]
        return MaskScores(head, classes, weights)

    def __repr__(self) -> str:
        """Show an array by its shape."""
        region = f"<array {self.region.shape}>" if isinstance(self.region, np.ndarray) else repr(self.region)
        return f"Mask(class_index={self.class_index!r}, region={region})"

    def __eq__(self, other: object) -> bool:
        """Return whether the options are the same."""
        return type(other) is type(self) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        """Return a hash of the options."""
        return hash(repr(self.get_config()))

    def get_config(self) -> dict[str, Any]:
        """Return the options, an array as text."""
        return {"class_index": self.class_index, "region": array_to_config(self.region)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Mask:
        """Return the target of a config."""
        return cls(config["class_index"], array_from_config(config["region"]))
