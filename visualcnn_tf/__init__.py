"""Makes a trained TensorFlow/Keras model explain itself: heatmaps as outputs of the model, computed in its graph."""

from importlib import import_module
from typing import TYPE_CHECKING

from visualcnn_tf._utils.worker import import_tensorflow, is_worker
from visualcnn_tf.cli.invocation import is_command
from visualcnn_tf.cli.quiet import held_standard_error
from visualcnn_tf.errors import *  # noqa: F403

__version__ = "2.0.0"

__all__ = [  # noqa: F405 - they come with the star imports
    "COLORMAPS",
    "BatchError",
    "BatchExplainer",
    "BatchReport",
    "BlurByImportance",
    "Colorize",
    "ExpensiveMethodWarning",
    "ExplainedModel",
    "ExplainedPhoto",
    "ExportVerificationError",
    "FeatureMapFusion",
    "HeatmapCallback",
    "Image1DError",
    "ImageReadError",
    "ImageTooSmallError",
    "IncompatibleModelError",
    "InputShapeError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "LayerNotFoundError",
    "MissingExtraError",
    "NanLayerOutputError",
    "NoAttentionError",
    "NoFeatureMapError",
    "NoGradientError",
    "NotBuiltError",
    "NotSerializableWarning",
    "Overlay",
    "PathNotWritableError",
    "PhotoPages",
    "Pixels",
    "PositionsUnknownWarning",
    "ProbabilityWarning",
    "SizeTooSmall",
    "SmallConvolutionWarning",
    "SpatialAxesLostWarning",
    "Tap",
    "TokenGrid",
    "UnsupportedOperationError",
    "VisualCNNError",
    "Visualizer",
    "attach",
    "blur_by_importance",
    "colorize",
    "drise",
    "errors",
    "explain_dataset",
    "explain_photos",
    "export_saved_model",
    "export_tflite",
    "load_graph",
    "methods",
    "overlay",
    "plot_heatmaps",
    "plot_pages",
    "read_maps",
    "read_pixels",
    "targets",
]

# Importing the package imports all of it, because Keras can load a saved model only when the classes in it are
# registered. Two kinds of processes wait until a name is asked for. The command ``visualcnn`` reads its arguments
# first: TensorFlow takes seconds to import, and ``visualcnn --help`` should answer at once. The workers of batch jobs
# run exported models, without Keras.
if is_worker():
    with held_standard_error():
        import_tensorflow()
if TYPE_CHECKING or not (is_command() or is_worker()):
    from visualcnn_tf._public import *  # noqa: F403

if not TYPE_CHECKING:  # a type checker would take every misspelled name for one that exists

    def __getattr__(name: str) -> object:
        """Return a public name in the processes that have imported none at the start."""
        if name in __all__:
            return getattr(import_module("visualcnn_tf._public"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
