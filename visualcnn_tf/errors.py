"""Every exception and warning of the package.

Each error is a :class:`VisualCNNError` and also the built-in type that a caller would expect, so both
``except vc.VisualCNNError`` and ``except ValueError`` work.
"""


class VisualCNNError(Exception):
    """Base class of every error that this package raises."""


class InvalidArgumentError(VisualCNNError, ValueError):
    """An argument has a value that is not allowed."""


class InvalidTypeError(VisualCNNError, TypeError):
    """An argument has a type that is not allowed."""


class IncompatibleModelError(VisualCNNError, TypeError):
    """The object is not a Keras 3 model on the TensorFlow backend."""


class LayerNotFoundError(VisualCNNError, ValueError):
    """A layer selector matches nothing in the model."""


class NoFeatureMapError(VisualCNNError, ValueError):
    """A selected layer has no spatial output, or the model has no layer that has one."""


class InputShapeError(VisualCNNError, ValueError):
    """The model's input has the wrong structure, rank, channel count or size."""


class NotBuiltError(VisualCNNError, AttributeError, ValueError):
    """The model has to be built or called first: only then is the requested information known."""


class NanLayerOutputError(VisualCNNError, ValueError):
    """A layer's activations hold NaN or infinity."""


class NoGradientError(VisualCNNError, ValueError):
    """A method needs the gradient of the score, and the score does not depend on the layer's output differentiably."""


class NoAttentionError(VisualCNNError, ValueError):
    """A method reads attention weights, and there are none between the layer and the output that it can roll out."""


class ExportVerificationError(VisualCNNError, ValueError):
    """The outputs of an exported model differ from those of the original model.

    Attributes:
        example: The index in the user's `representative_data` of the example that differs most; None if that is none
            of them.
    """

    example: int | None = None


class UnsupportedOperationError(VisualCNNError, ValueError):
    """The model needs an operation that the export format does not have built in."""


class BatchError(VisualCNNError, ValueError):
    """Some shards of a batch job could not be explained; all others are done."""


class MissingExtraError(VisualCNNError, ImportError, ValueError):
    """A feature needs an optional package that is not installed."""


class PathNotWritableError(VisualCNNError, OSError, ValueError):
    """A file or folder can't be written: no permission, a full disk, or a file where a folder is needed."""


class ImageReadError(VisualCNNError, ValueError):
    """A file can't be read as an image."""


class ImageTooSmallError(VisualCNNError, ValueError):
    """The image is smaller than 14×14, the smallest layer that ``Visualizer`` shows by default."""


class Image1DError(VisualCNNError, ValueError):
    """The image has fewer than two dimensions."""


class SizeTooSmall(VisualCNNError, ValueError):  # noqa: N818 - a name that existing callers catch
    """The requested width of a picture is under 100 pixels."""


class SmallConvolutionWarning(UserWarning):
    """``Visualizer`` left out a layer smaller than 14×14."""


class NotSerializableWarning(UserWarning):
    """The model was saved, but loading it needs ``custom_objects``."""


class ExpensiveMethodWarning(UserWarning):
    """A method runs the model very many times for each image."""


class ProbabilityWarning(UserWarning):
    """The score of a class is a probability, because no logit was found behind it."""


class SpatialAxesLostWarning(UserWarning):
    """A layer comes after the spatial axes were lost, so positions in its heatmap are not positions in the image."""


class PositionsUnknownWarning(UserWarning):
    """A layer comes after an operation that moves pixels in a way that can't be followed, such as a flip."""
