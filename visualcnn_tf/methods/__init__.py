"""How the feature maps of a layer become one map: one class for each method, and their registry.

``A`` are the activations of a layer, ``A_k`` the feature map of channel k, ``G`` the gradient of the target's score
with respect to ``A``, ⊙ the product at each position. Methods of attention read ``A_l`` instead, the attention weights
``(B, heads, N, N)`` of block l of a transformer. Each image is computed by itself, in float32, by operations that
XLA compiles and TensorFlow Lite has natively. Feature maps are ``(B, h, w, C)``, signals ``(B, t, C)`` or volumes
``(B, d, h, w, C)``.
"""

from visualcnn_tf.methods.ablationcam import AblationCAM
from visualcnn_tf.methods.attentionrollout import AttentionRollout
from visualcnn_tf.methods.base import (
    ActivationMethod,
    AttentionMethod,
    Cost,
    GradientMethod,
    HeadMethod,
    Method,
    ReplayMethod,
)
from visualcnn_tf.methods.channel_statistics import L2, Max, Mean, MeanAbs, Std
from visualcnn_tf.methods.custom import Custom
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
from visualcnn_tf.methods.registry import NAMES, MethodLike, get
from visualcnn_tf.methods.replay_protocol import Replay
from visualcnn_tf.methods.scorecam import ScoreCAM
from visualcnn_tf.methods.xgradcam import XGradCAM

__all__ = [
    "L2",
    "NAMES",
    "AblationCAM",
    "ActivationMethod",
    "AttentionMethod",
    "AttentionRollout",
    "Cost",
    "Custom",
    "DetClassMap",
    "Deviation",
    "Eigen",
    "EigenGradCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "GradientMethod",
    "GradientRollout",
    "HeadMethod",
    "HiResCAM",
    "LayerCAM",
    "Max",
    "Mean",
    "MeanAbs",
    "Method",
    "MethodLike",
    "ReciproCAM",
    "Replay",
    "ReplayMethod",
    "ScoreCAM",
    "Std",
    "XGradCAM",
    "get",
]
