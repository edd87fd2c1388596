"""Every exception and warning of the package.

Each error is a :class:`VisualCNNError` and also the built-in type that a caller would expect, so both
``except vc.VisualCNNError`` and ``except ValueError`` work.
"""

from __future__ import annotations


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
    """Something was asked that is known only after the model's first call."""


class NanLayerOutputError(VisualCNNError, ValueError):
    """A layer's activations hold NaN or infinity."""


class NoGradientError(VisualCNNError, ValueError):
    """A method needs the gradient of the score, and none leads to the layer."""


class ExportVerificationError(VisualCNNError, ValueError):
    """A written model does not give what the model gives."""


class UnsupportedOperationError(VisualCNNError, ValueError):
    """An operation is not built into the format of an export."""


class MissingExtraError(VisualCNNError, ImportError, ValueError):
    """A feature needs an optional package that is not installed."""


class PathNotWritableError(VisualCNNError, OSError, ValueError):
    """A file or folder can't be written: no permission, a full disk, or a file where a folder should be."""


class ImageReadError(VisualCNNError, ValueError):
    """A file is not an image that can be read."""


class ImageTooSmallError(VisualCNNError, ValueError):
    """The image is smaller than the smallest layer that would be shown."""


class Image1DError(VisualCNNError, ValueError):
    """The image has one dimension; two or more are needed."""


class OutputBiggerThanInputError(VisualCNNError, ValueError):
    """Kept for callers that catch it: layers larger than the input are supported, so it is never raised."""


class SizeTooSmall(VisualCNNError, ValueError):  # noqa: N818 - a name that existing callers catch
    """The requested picture size is too small to be looked at."""


class SmallConvolutionWarning(UserWarning):
    """A layer smaller than 14×14 was left out."""


class NotSerializableWarning(UserWarning):
    """The model is saved, but it will not load without help."""


class ExpensiveMethodWarning(UserWarning):
    """A method runs the model very often for each image."""


class NoPlaceWarning(UserWarning):
    """A layer comes after the spatial axes were lost, so its heatmap shows no places of the image."""
