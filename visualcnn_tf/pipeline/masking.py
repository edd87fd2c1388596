"""Whether the reference input of a tap can be masked, as Score-CAM does: multiplied by maps between 0 and 1."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import InputShapeError, NoFeatureMapError
from visualcnn_tf.gradients.graph_paths import upstream_operations
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import READING_SHAPES
from visualcnn_tf.pipeline.tap import Tap

# The inputs of an operation that are indices: which of them, by the operation's type.
_INDICES = {
    "GatherV2": (1, 2),
    "GatherNd": (1,),
    "ResourceGather": (1,),
    "ResourceGatherNd": (1,),
    "OneHot": (0,),
    "LookupTableFindV2": (1,),
    "DenseBincount": (0,),
    "Bincount": (0,),
}


def check_masking(trace: Trace, tap: Tap, call: LayerCall, inputs: ModelInputs) -> None:
    """Check that the image of a tap can be masked.

    Raises:
        InputShapeError: when no input has the spatial axes of the layer.
        NoFeatureMapError: for an image of unknown size.
        InvalidArgumentError: for an input whose values are no amounts, such as the numbers of tokens.
    """
    if tap.reference_input is None:
        raise InputShapeError(
            f"`method`={tap.method.name!r} masks the input with the spatial axes of {tap.path!r}, {tap.shape}. "
            f"Received: a model with inputs {[spec.shape for spec in inputs.specs]}. Use 'ablationcam', which changes "
            "feature maps instead."
        )
    spec = inputs.specs[tap.reference_input]
    if None in spec.shape[1:]:
        raise NoFeatureMapError(
            f"`method`={tap.method.name!r} masks the input {spec.name!r}, whose size must be known. Received: shape "
            f"{spec.shape}. Pass `input_shape`, or use 'gradcam'."
        )
    if not _depends_on_values(call.tensor, trace.inputs[tap.reference_input]):
        raise bad_value(
            "method",
            f"one that does not mask the input {spec.name!r}: {tap.path!r} reads indices in it, no amounts",
            tap.method.name,
            "Use 'ablationcam' or 'gradcam'.",
        )


def _depends_on_values(result: tf.Tensor, source: tf.Tensor) -> bool:
    """Return whether a result is computed from the numbers in a source, not just from what they are indices of."""
    found = {source.ref()}
    for op in upstream_operations([result]):
        if op.type in READING_SHAPES:
            continue
        indices = _INDICES.get(op.type, ())
        if any(tensor.ref() in found for position, tensor in enumerate(op.inputs) if position not in indices):
            found.update(output.ref() for output in op.outputs if _holds_amounts(output.dtype))
    return _holds_amounts(source.dtype) and result.ref() in found


def _holds_amounts(dtype: tf.DType) -> bool:
    return bool(dtype.is_floating or dtype.is_integer or dtype == tf.variant)
