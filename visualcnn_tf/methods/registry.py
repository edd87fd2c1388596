"""The methods by name. To add one, write its class and add its row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import keras

from visualcnn_tf._utils.checks import check_choice
from visualcnn_tf.errors import InvalidTypeError
from visualcnn_tf.methods.ablationcam import AblationCAM
from visualcnn_tf.methods.attentionrollout import AttentionRollout
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.channel_statistics import L2, Max, Mean, MeanAbs, Std
from visualcnn_tf.methods.custom import Custom, FusionFunction
from visualcnn_tf.methods.detclassmap import DetClassMap
from visualcnn_tf.methods.deviation import Deviation
from visualcnn_tf.methods.eigen import Eigen
from visualcnn_tf.methods.eigengradcam import EigenGradCAM
from visualcnn_tf.methods.gradcam import GradCAM
from visualcnn_tf.methods.gradcam_plus_plus import GradCAMPlusPlus
from visualcnn_tf.methods.gradientrollout import GradientRollout
from visualcnn_tf.methods.hirescam import HiResCAM
from visualcnn_tf.methods.layercam import LayerCAM
from visualcnn_tf.methods.reciprocam import ReciproCAM
from visualcnn_tf.methods.scorecam import ScoreCAM
from visualcnn_tf.methods.xgradcam import XGradCAM

#: What stands for a method: an object, a name, or a function.
MethodLike: TypeAlias = Method | str | FusionFunction

_CLASSES: tuple[type[Method], ...] = (
    *(Deviation, Mean, MeanAbs, Max, L2, Std, Eigen),
    *(GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM, EigenGradCAM),
    *(ReciproCAM, ScoreCAM, AblationCAM),
    *(AttentionRollout, GradientRollout),
    DetClassMap,
)
#: Every method's class by its name: those of activations alone, of gradients, of replays, and of attention.
METHODS: dict[str, type[Method]] = {method.name: method for method in _CLASSES}
#: The names that ``attach(model, method=...)`` takes.
NAMES: tuple[str, ...] = tuple(METHODS)


def get(identifier: MethodLike | Mapping[str, object], argument: str = "method") -> Method:
    """Return a method, as ``keras.losses.get`` returns a loss.

    Args:
        identifier: a :class:`Method` (returned as it is), a name in :data:`NAMES` (the method with its default
            options), a function (wrapped in :class:`Custom`), or the config that
            ``keras.saving.serialize_keras_object`` makes of a method.
        argument: what an error calls it.

    Raises:
        InvalidArgumentError: for an unknown name; the message offers near misses.
        InvalidTypeError: for a method's class in place of an object.

    Example:
        >>> get("gradcam")
        GradCAM(relu=True)
    """
    if isinstance(identifier, Method):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Method):
        raise InvalidTypeError(
            f"`{argument}` must be a method, not its class. Received: {identifier.__name__}. Call it: "
            f"`{identifier.__name__}()`."
        )
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return get(keras.saving.deserialize_keras_object(identifier), argument)
    if callable(identifier):
        return Custom(identifier)
    check_choice(argument, identifier, NAMES, also="a method object such as `GradCAM()`, or a function")
    return METHODS[str(identifier)]()
