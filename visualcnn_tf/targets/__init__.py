"""What is explained: one class for each kind of target, each making one or several scores for each image."""

from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.box import Box
from visualcnn_tf.targets.class_index import ClassIndex
from visualcnn_tf.targets.from_input import FromInput
from visualcnn_tf.targets.mask import Mask
from visualcnn_tf.targets.predicted import Predicted
from visualcnn_tf.targets.registry import TargetLike, get
from visualcnn_tf.targets.score import Score
from visualcnn_tf.targets.top_k import TopK

__all__ = ["Box", "ClassIndex", "FromInput", "Mask", "Predicted", "Score", "Target", "TargetLike", "TopK", "get"]
