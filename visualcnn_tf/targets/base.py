"""Target: what is explained, one or several scores for each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf._utils.types import AxisSize, Shape
from visualcnn_tf.targets.dense.head import DenseHead, find_dense_head, is_dense
from visualcnn_tf.targets.dense.scores import MaskScores
from visualcnn_tf.targets.graph_scores import ClassScores, Scores
from visualcnn_tf.targets.head import Head, find_head
from visualcnn_tf.targets.inputs import CLASS_INDEX, TargetInput
from visualcnn_tf.targets.logits import find_logits

Self = TypeVar("Self", bound="Target")
#: The end of a model that scores classes, once or at each position.
ClassHead: TypeAlias = Head | DenseHead
#: What was passed for the inputs of a target, by their names.
Given: TypeAlias = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Target:
    """What a heatmap explains: one or several scores for each image.

    A target is an immutable object; two targets of one class with the same options are equal. Keras saves it by
    :meth:`get_config`.

    Attributes:
        reports_classes: whether the explained model gets one more output, ``explained_class``.
        finds_output: whether it finds the output that is explained, where there are several.
        usual_method: the name of the method that ``attach`` uses where none is given; None for the usual one.
    """

    reports_classes: ClassVar[bool] = False
    finds_output: ClassVar[bool] = False
    usual_method: ClassVar[str | None] = None

    @property
    def inputs(self) -> tuple[TargetInput, ...]:
        """The inputs that the explained model gets beside those of the model, each of which may be left out."""
        return ()

    @property
    def takes_class_index(self) -> bool:
        """Whether one of the inputs is ``class_index``, ``(B,)`` int32."""
        return CLASS_INDEX in self.inputs

    @property
    def reads_logits(self) -> bool:
        """Whether the score is made of logits, where there are any."""
        return self.reports_classes

    def without_logits(self, output: Any) -> list[tf.Tensor]:
        """Return what is explained although no softmax or sigmoid follows, where logits are looked for."""
        return [output] if self.reads_logits and find_logits(output).kind == "linear" else []

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the keys of the heatmaps end in, one suffix for each score; ``("",)`` for a single score."""
        return ("",)

    def output_name(self, outputs: Mapping[str, tf.Tensor], asked: str | None) -> str:
        """Return the name of the model output that is explained.

        Args:
            outputs: the model's outputs by name.
            asked: the name that was asked for, or None.

        Raises:
            InvalidArgumentError: for a name that is not among them, or none where there are several.
        """
        if asked is None and len(outputs) > 1:
            raise bad_value("output", f"one of the model's outputs {quoted(outputs)}", None, "Name the one to explain.")
        if asked is not None:
            check_choice("output", asked, list(outputs))
        return next(iter(outputs)) if asked is None else asked

    def read(self, outputs: Mapping[str, tf.Tensor], name: str) -> Any:
        """Return what :meth:`scores` takes: the output of that name."""
        return outputs[name]

    def scores(self, output: tf.Tensor, given: Given | None = None) -> Scores:
        """Return the scores of a model's output, a tensor of the graph that is being built.

        Args:
            output: the output that is explained.
            given: what was passed for :attr:`inputs`, by their names; what was left out is not in it.

        Raises:
            InvalidArgumentError: for an output that this target can't explain.
        """
        raise NotImplementedError

    def reports(self, output: Any) -> dict[str, Shape]:
        """Return what the explained model tells of each score in further outputs: names, and shapes for one image."""
        return {}

    def reported(self, scores: Any, size: tuple[AxisSize, AxisSize] | None) -> dict[str, tf.Tensor]:
        """Return these outputs, ``(B, n, ...)`` float32 for n scores.

        Args:
            scores: what :meth:`scores` returned.
            size: height and width of the image that is explained, None where there is none.
        """
        return {}

    def check(self, output: tf.Tensor) -> None:
        """Raise for an output that this target can't explain; more thoroughly than :meth:`scores`."""

    def inputs_of(self, output: tf.Tensor) -> tuple[TargetInput, ...]:
        """Return :attr:`inputs` in the shapes that an output asks for."""
        return self.inputs

    def class_axis(self, output: tf.Tensor) -> int | None:
        """Return which axis of an output is that of the classes, None for a target that is no class."""
        return None

    def may_explain_nothing(self, output: tf.Tensor) -> bool:
        """Return whether an image may hold nothing of what is asked for; its heatmap is all zeros then."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Return the options, as Keras serializes them."""
        return asdict(self)

    @classmethod
    def from_config(cls: type[Self], config: dict[str, Any]) -> Self:
        """Return the target of a config."""
        return cls(**config)


class ClassTarget(Target):
    """A target whose scores are the logits of classes: of an output ``(B, K)``, or of masks ``(B, H, W, K)``.

    Those of masks are summed over the pixels that are predicted as the class, see :class:`MaskScores`.
    """

    reports_classes: ClassVar[bool] = True

    def scores(self, output: tf.Tensor, given: Given | None = None) -> Scores:
        """Return the logits of the classes that are explained."""
        if is_dense(output):
            masks = find_dense_head(output)
            classes = self.classes(masks, given or {})
            columns = [classes[:, index : index + 1] for index in range(len(self.suffixes))]
            return MaskScores(masks, classes, [masks.predicted_as(column) for column in columns])
        head = find_head(output)
        return ClassScores(head, self.classes(head, given or {}))

    def class_axis(self, output: tf.Tensor) -> int | None:
        """Return the axis of the classes."""
        return find_dense_head(output).class_axis if is_dense(output) else 1

    def may_explain_nothing(self, output: tf.Tensor) -> bool:
        """Return whether a class can be asked for that does not exist, or that no pixel is predicted as."""
        return self.takes_class_index or is_dense(output)

    def classes(self, head: ClassHead, given: Given) -> tf.Tensor:
        """Return the explained classes ``(B, n)`` int32, -1 where there is no such class."""
        raise NotImplementedError


def check_class_count(count: int, head: ClassHead, received: object) -> None:
    """Raise unless the model has so many classes."""
    if count > head.classes:
        raise bad_value("target", f"within the model's {head.classes} classes, 0 to {head.classes - 1}", received)
