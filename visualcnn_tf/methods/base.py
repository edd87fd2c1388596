"""Method: how the feature maps of a layer become one map, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf.methods.replay_protocol import Replay

Self = TypeVar("Self", bound="Method")


@dataclass(frozen=True)
class Cost:
    """How often something is evaluated for each image, beside the prediction itself.

    Attributes:
        evaluations: the number of evaluations.
        of: what is evaluated: ``"nothing"``, a ``"backward pass"``, the ``"head"`` (all that follows the layer) or
            the ``"model"``.
    """

    evaluations: int = 0
    of: str = "nothing"


@dataclass(frozen=True)
class Method:
    """How the feature maps of a layer become one map.

    A method is an immutable object. Its options are the arguments of its class; two methods of one class with the
    same options are equal. Keras saves it by :meth:`get_config`.

    To write a method of your own, pass a function to ``attach`` or derive from :class:`ActivationMethod`,
    :class:`GradientMethod`, :class:`ReplayMethod` or :class:`AttentionMethod`, and register the class with
    ``keras.saving.register_keras_serializable``.

    Attributes:
        name: the string that stands for the method with its default options.
        needs_gradients: whether it reads the gradients of a score with respect to the feature maps or the attention.
        needs_replay: whether it runs the model, or the part that follows the layer, again on changed values.
        needs_attention: whether it reads the attention weights of a transformer, in place of feature maps.
        needs_head: whether it reads the scores of a detector's dense head, in place of feature maps.
        masks_input: whether it masks the image, rather than changing feature maps.
        fuses_signed: whether what it computes may be negative, before negative values are set to zero if they are.
        supports_integers: whether TensorFlow Lite can compute it in int8 throughout: its divisors do not round to zero.
    """

    name: ClassVar[str] = ""
    needs_gradients: ClassVar[bool] = False
    needs_replay: ClassVar[bool] = False
    needs_attention: ClassVar[bool] = False
    needs_head: ClassVar[bool] = False
    masks_input: ClassVar[bool] = False
    fuses_signed: ClassVar[bool] = True
    supports_integers: ClassVar[bool] = False

    @property
    def explains_target(self) -> bool:
        """Whether its maps are about a target, such as the score of a class."""
        return self.needs_gradients or self.needs_replay or self.needs_head

    @property
    def returns_maps(self) -> bool:
        """Whether it returns maps of positions by itself, so that no channels are left to fuse."""
        return self.needs_replay or self.needs_attention or self.needs_head

    @property
    def keeps_positive(self) -> bool:
        """Whether negative values of its maps, the evidence against the target, are set to zero at the end."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether its maps may have values below zero."""
        return self.fuses_signed and not self.keeps_positive

    def cost(self, space: Sequence[int], channels: int) -> Cost:
        """Return what the method evaluates for one image, for feature maps of size ``space`` with so many channels."""
        return Cost(1, "backward pass") if self.needs_gradients else Cost()

    def get_config(self) -> dict[str, Any]:
        """Return the options, as Keras serializes them."""
        return asdict(self)

    @classmethod
    def from_config(cls: type[Self], config: dict[str, Any]) -> Self:
        """Return the method of a config."""
        return cls(**config)


class ActivationMethod(Method):
    """A method that reads activations alone: it shows what the layer responds to, whatever the target."""

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return maps ``(B, h, w)`` of float32 feature maps ``(B, h, w, C)``; signals and volumes likewise."""
        raise NotImplementedError

    def magnitudes(self, activations: tf.Tensor) -> tf.Tensor | None:
        """Return how large the terms are whose sum each value of a map is: the sum of their magnitudes.

        A map that is next to nothing beside them is rounding, and becomes all zeros.

        Returns:
            ``(B, h, w)``, or those of some positions; None for a method whose terms do not cancel.
        """
        return None


@dataclass(frozen=True)
class GradientMethod(Method):
    """A method that reads activations and the gradients of a score with respect to them.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the papers. Without it
            maps are signed.
    """

    needs_gradients: ClassVar[bool] = True

    relu: bool = True

    def __post_init__(self) -> None:
        check_choice("relu", self.relu, (True, False))

    @property
    def keeps_positive(self) -> bool:
        """Whether negative values are set to zero at the end: the option ``relu``."""
        return self.relu

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed maps ``(B, h, w)`` of float32 feature maps and gradients ``(B, h, w, C)``."""
        raise NotImplementedError

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor | None:
        """Return how large the terms are whose sum each value of a map is, as :meth:`ActivationMethod.magnitudes`."""
        return None


class HeadMethod(Method):
    """A method that reads the scores of a detector's dense head. It needs no layer and no gradients."""

    needs_head: ClassVar[bool] = True

    def __call__(self, levels: Sequence[tf.Tensor], classes: tf.Tensor) -> tf.Tensor:
        """Return maps ``(B, h, w)`` of the probabilities ``(B, h, w, A, K)`` of each level, for classes ``(B, 1)``."""
        raise NotImplementedError


class ReplayMethod(Method):
    """A method that runs the model again on changed feature maps, or on masked images. It needs no gradients."""

    needs_replay: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor, replay: Replay) -> tf.Tensor:
        """Return maps ``(B, h, w)`` of float32 feature maps ``(B, h, w, C)`` and a way to run the model again."""
        raise NotImplementedError


@dataclass(frozen=True)
class ChannelReplayMethod(ReplayMethod):
    """A method that runs the model again once for each channel.

    Args:
        max_channels: only so many channels are tried, those that vary most over the image; None for all of them.
        relu: whether negative values, the evidence against the target, are set to zero, as in the papers.
    """

    max_channels: int | None = None
    relu: bool = True

    def __post_init__(self) -> None:
        if self.max_channels is not None and not is_count(self.max_channels):
            raise bad_value("max_channels", "a number of at least 1, or None for all", self.max_channels)
        check_choice("relu", self.relu, (True, False))

    @property
    def keeps_positive(self) -> bool:
        """Whether negative values are set to zero at the end: the option ``relu``."""
        return self.relu

    def tried(self, channels: int) -> int:
        """Return how many of so many channels are tried."""
        return min(channels, self.max_channels or channels)


class AttentionMethod(Method):
    """A method that follows the attention of a transformer from what its head reads back to the tokens of a layer.

    Derived classes that set ``needs_gradients`` get a third argument: the gradients of the score with respect to each
    of the attention weights.
    """

    needs_attention: ClassVar[bool] = True
    fuses_signed: ClassVar[bool] = False

    def __call__(self, attention: Sequence[tf.Tensor], read: tf.Tensor, *gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the relevance of each token, ``(B, N)``.

        Args:
            attention: the weights ``(B, heads, N, N)`` float32 of each self-attention between the layer and the
                score, in order; row i holds what token i takes from each token.
            read: ``(1, N, 1)`` float32, the share of each token in what the head reads: 1 for a class token alone,
                equal shares for the mean over the tokens.
            gradients: of the score with respect to each of the weights, if the method needs them.
        """
        raise NotImplementedError
