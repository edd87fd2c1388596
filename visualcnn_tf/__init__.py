"""Makes a trained TensorFlow/Keras model explain itself: heatmaps as outputs of the model, computed in its graph."""

from visualcnn_tf import errors
from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.compat.visualizer import Visualizer
from visualcnn_tf.errors import (
    Image1DError,
    ImageTooSmallError,
    IncompatibleModelError,
    InvalidTypeError,
    NanLayerOutputError,
    OutputBiggerThanInputError,
    SizeTooSmall,
    SmallConvolutionWarning,
    VisualCNNError,
)
from visualcnn_tf.export.saved_model import export_saved_model
from visualcnn_tf.export.tflite import export_tflite
from visualcnn_tf.heatmap.layer import FeatureMapFusion
from visualcnn_tf.methods import FUSIONS
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.render.colormaps import COLORMAPS
from visualcnn_tf.render.layers import BlurByImportance, Colorize, Overlay
from visualcnn_tf.render.pictures import blur_by_importance, colorize, overlay
from visualcnn_tf.training.callback import HeatmapCallback
from visualcnn_tf.viz.figures import plot_heatmaps, plot_pages

__version__ = "1.0.0"

__all__ = [
    "COLORMAPS",
    "FUSIONS",
    "BlurByImportance",
    "Colorize",
    "ExplainedModel",
    "FeatureMapFusion",
    "HeatmapCallback",
    "Image1DError",
    "ImageTooSmallError",
    "IncompatibleModelError",
    "InvalidTypeError",
    "NanLayerOutputError",
    "OutputBiggerThanInputError",
    "Overlay",
    "SizeTooSmall",
    "SmallConvolutionWarning",
    "Tap",
    "VisualCNNError",
    "Visualizer",
    "attach",
    "blur_by_importance",
    "colorize",
    "errors",
    "export_saved_model",
    "export_tflite",
    "overlay",
    "plot_heatmaps",
    "plot_pages",
]
