"""Convert signatures to a TensorFlow Lite file, and explain which operation is to blame where that fails."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.errors import UnsupportedOperationError
from visualcnn_tf.export.types import Signature
from visualcnn_tf.io.atomic import writing
from visualcnn_tf.pipeline.exported_module import exported_module


def convert(model: keras.Model, functions: Mapping[str, Signature], quantize: str | None) -> bytes:
    """Return the content of a TensorFlow Lite file.

    Args:
        model: The float32 model that the signatures run.
        functions: The signatures by name, as concrete functions.
        quantize: None, ``"float16"`` or ``"dynamic"``.

    Raises:
        UnsupportedOperationError: If an operation is not built into TensorFlow Lite.
        PathNotWritableError: If the folder for temporary files cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        with writing(Path(folder)):
            tf.saved_model.save(exported_module(model), folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content: bytes = converter.convert()
        except Exception as error:
            raise _unsupported_operation(error, model) from None
    return content


def _unsupported_operation(error: Exception, model: keras.Model) -> UnsupportedOperationError:
    """Return the converter's error in a few sentences, with the operation and the layer that it comes from."""
    text = str(error)
    found = re.search(r'loc\(.*?"([^"]*)".*?error: \'tf\.(\w+)\' op', text, re.DOTALL)
    operation = found.group(2) if found else (re.findall(r"tf\.(\w+)\(", text) or ["unknown"])[0]
    paths = re.findall(r'"([\w/.\-:@;>]+/[\w/.\-]+)', found.group(0) if found else text)
    layer = f" in {paths[-1]!r}" if paths else ""
    fallbacks = model.plan.fallbacks if isinstance(model, ExplainedModel) and model.plan else ()
    return UnsupportedOperationError(
        f"The operation {operation!r}{layer} is not built into TensorFlow Lite, and this file would need more than "
        "builtin operations. Use another method or layer there, or write it with other TensorFlow operations."
        + _advice_on_gradients(fallbacks)
    )


def _advice_on_gradients(fallbacks: Sequence[tuple[str, str]]) -> str:
    """Return a sentence on the operations, by type and name, whose gradient is TensorFlow's own."""
    if not fallbacks:
        return ""
    found = ", ".join(f"{kind!r} in {name!r}" for kind, name in fallbacks)
    return (
        f" The backward pass from the score leads through {found}, whose gradient is TensorFlow's own: tap a layer "
        "after it, or use a method without gradients, such as 'reciprocam'."
    )
