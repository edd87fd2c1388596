"""The signatures of an exported model: what a client can ask it for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.export.preprocess import ImageDecoder
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs, model_inputs
from visualcnn_tf.introspect.outputs import flat_outputs, prediction_names
from visualcnn_tf.introspect.trace import probe
from visualcnn_tf.ops.exporting import exporting

SIGNATURES = ("serving_default", "serving_bytes", "predict")
VALID = "valid"


def check_signatures(names: Sequence[str] | None, image: ModelInput | None) -> tuple[str, ...]:
    """The names of the signatures to export: by default all that the model can serve.

    Raises:
        InvalidArgumentError: for unknown names, no ``serving_default``, or ``serving_bytes`` for a model that does
            not take one image of a known size.
    """
    possible = SIGNATURES if image is not None else tuple(n for n in SIGNATURES if n != "serving_bytes")
    if names is None:
        return possible
    listed = isinstance(names, (list, tuple, set)) and all(name in SIGNATURES for name in names)
    if not listed or "serving_default" not in names:
        raise bad_value("signatures", f"a list of {quoted(SIGNATURES)}, with 'serving_default'", names)
    if "serving_bytes" in names and image is None:
        raise bad_value(
            "signatures",
            "without 'serving_bytes' for a model that does not take one gray or color image of a known size",
            names,
            "Attach with `input_shape=(height, width, channels)` where the model leaves its size open.",
        )
    return tuple(names)


def own_inputs(model: Any, inputs: ModelInputs) -> ModelInputs:
    """Those of an exported model's inputs that the user's model takes: without the class index."""
    if not isinstance(model, ExplainedModel) or model.plan is None:
        return inputs
    own = model.plan.inputs
    return ModelInputs(own.structure, inputs.specs[: len(own.specs)])


def image_input(inputs: ModelInputs) -> ModelInput | None:
    """The user's model's input if it is one image of a known size, gray or color, channels last; else None."""
    spec = inputs.specs[0]
    is_image = len(inputs.specs) == 1 and len(spec.shape) == 4 and spec.shape[3] in (1, 3)
    return spec if is_image and None not in spec.shape[1:] else None


def exported_inputs(model: Any) -> ModelInputs:
    """What a model takes, the class index included.

    Raises:
        InvalidArgumentError: when nobody has said it yet.
    """
    inputs = model.plan.all_inputs if isinstance(model, ExplainedModel) and model.plan else model_inputs(model)
    if inputs is None:
        raise bad_value(
            "explained", "a model whose inputs are known", model.name, "Call it on a batch once, or use `input_shape`."
        )
    return inputs


def served_signatures(
    model: Any, inputs: ModelInputs, names: Sequence[str], decoder: ImageDecoder | None, blank: bool, png: bool
) -> dict[str, Any]:
    """Each signature as a function with fixed input names; every input and output has the batch first."""
    pictures = model.overlay_names if png else []
    classes = model.plan.classes if isinstance(model, ExplainedModel) and model.plan else None
    run = _never_empty(_explained_outputs(model, inputs))
    own = own_inputs(model, inputs)
    predict = _never_empty(_own_outputs(model, own))
    functions = {
        "serving_default": lambda: _tensors(run, inputs),
        "predict": lambda: _tensors(predict, own),
        "serving_bytes": lambda: _bytes(run, decoder, blank, inputs.specs[len(own.specs) :], pictures, classes),
    }
    return {name: functions[name]() for name in names}


def plain_signatures(model: Any, inputs: ModelInputs) -> dict[str, Any]:
    """``serving_default`` and ``predict`` as functions with fixed input names, for batches that are never empty."""
    own = own_inputs(model, inputs)
    return {
        "serving_default": _tensors(_explained_outputs(model, inputs), inputs),
        "predict": _tensors(_own_outputs(model, own), own),
    }


def _explained_outputs(model: Any, inputs: ModelInputs) -> Any:
    if not isinstance(model, ExplainedModel):
        return _own_outputs(model, inputs)

    @exporting()
    def run(*tensors: Any) -> Any:
        return model(inputs.pack(tensors), training=False)

    return run


def _own_outputs(model: Any, inputs: ModelInputs) -> Any:
    if isinstance(model, ExplainedModel):
        own, names = model.model, model.prediction_names
    else:
        own, names = model, prediction_names(model, probe(model, inputs).outputs)

    @exporting()
    def run(*tensors: Any) -> dict[str, Any]:
        return dict(zip(names, flat_outputs(own(inputs.pack(tensors), training=False)), strict=True))

    return run


def _tensors(run: Any, inputs: ModelInputs) -> Any:
    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs.specs]
    return tf.function(run, input_signature=specs, autograph=False)


def _never_empty(run: Any) -> Any:
    """``run`` for empty batches, too, of which some kernels make errors: a blank example stands in, and is cut off."""

    def guarded(*tensors: Any) -> dict[str, Any]:
        # Servers don't compare shapes, and a model that pools everything has an answer to images of any size.
        tensors = tuple(tf.ensure_shape(tensor, tensor.shape) for tensor in tensors)
        count = tf.shape(tensors[0])[0]
        # Not tf.cond, which would spare the copy: OpenVINO computes wrong values behind one.
        padding = [0, tf.maximum(0, 1 - count)]
        fed = [tf.pad(tensor, [padding, *[[0, 0]] * (tensor.shape.rank - 1)]) for tensor in tensors]
        for tensor, original in zip(fed, tensors, strict=True):
            tensor.set_shape(original.shape)
        return {key: value[:count] for key, value in run(*fed).items()}

    return guarded


def _bytes(
    run: Any, decoder: Any, blank: bool, others: Sequence[ModelInput], pictures: Sequence[str], classes: str | None
) -> Any:
    def serve(image_bytes: Any, *asked: Any) -> Any:
        images, valid = decoder(image_bytes)
        if blank:
            outputs = run(images, *asked)
            # An image that was not read has no class; 0 would be one.
            outputs = {key: _blanked(tensor, valid, -1 if key == classes else 0) for key, tensor in outputs.items()}
            return _encoded({**outputs, VALID: valid}, pictures)
        wrong = tf.squeeze(tf.where(tf.logical_not(valid)), 1)
        unreadable = ["`image_bytes` holds no readable JPEG, PNG, GIF or BMP image at index", wrong]
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(valid), unreadable)]):
            return _encoded(run(tf.identity(images), *asked), pictures)

    specs = [tf.TensorSpec([None], tf.string, "image_bytes")]
    specs += [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in others]
    return tf.function(serve, input_signature=specs, autograph=False)


def _encoded(outputs: dict[str, Any], pictures: Sequence[str]) -> dict[str, Any]:
    """The outputs with pictures as PNG files, under names that TensorFlow Serving answers in base64."""
    files = {f"{name}_png_bytes": tf.io.encode_png(outputs[name]) for name in pictures}
    return {**{name: value for name, value in outputs.items() if name not in pictures}, **files}


def _blanked(tensor: Any, valid: Any, blank: int) -> Any:
    """``blank`` in the rows of images that could not be read."""
    keep = tf.reshape(valid, [-1] + [1] * (tensor.shape.rank - 1))
    return tf.where(keep, tensor, tf.cast(blank, tensor.dtype))
