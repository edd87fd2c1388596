"""Build the signatures of an exported model: the functions that a client can call by name.

``serving_default`` returns predictions and heatmaps, ``predict`` predictions alone, and ``serving_bytes`` what
``serving_default`` returns, for encoded images (see ``serving_bytes.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.serving_bytes import ServingBytes
from visualcnn_tf.export.types import Signature
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.introspect.outputs import flat_outputs, prediction_names
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.ops.exporting import exporting
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.targets.inputs import TargetInput

SIGNATURES = ("serving_default", "serving_bytes", "predict")
_WITHOUT_PHOTOS = ("serving_default", "predict")


def chosen_signatures(
    names: Sequence[str] | None, image: ModelInput | None, pixels: Pixels | None, decodes: bool
) -> tuple[str, ...]:
    """Return the names of the signatures to export: by default all that the model can serve.

    Args:
        names: The user's choice, or None.
        image: The model's image input, if it has one that encoded images can be resized to; see :func:`image_input`.
        pixels: What it takes, if that is known.
        decodes: Whether the user gives options of ``serving_bytes``.

    Raises:
        InvalidArgumentError: If a name is unknown, ``serving_default`` is missing, or ``serving_bytes`` is chosen for
            a model that does not take one image of a known size, or of which nobody knows what it takes.
    """
    possible = SIGNATURES if image is not None else _WITHOUT_PHOTOS
    if names is not None:
        _check_signatures(names, possible)
    wants_photos = decodes and image is not None if names is None else "serving_bytes" in names
    if wants_photos and pixels is None:
        raise _unknown_pixels()
    return tuple(names or (possible if pixels is not None else _WITHOUT_PHOTOS))


def _check_signatures(names: Sequence[str], possible: Sequence[str]) -> None:
    """Raise unless the user's choice is a list of signatures, the default one among them, that a model can serve."""
    if not _are_signatures(names) or "serving_default" not in names:
        raise bad_value("signatures", f"a list of {quoted(SIGNATURES)}, with 'serving_default'", names)
    if not set(names) <= set(possible):
        raise bad_value(
            "signatures",
            "without 'serving_bytes' for a model that does not take one gray or color image of a known size",
            names,
            "Attach with `input_shape=(height, width, channels)` where the model leaves its size open.",
        )


def _unknown_pixels() -> InvalidArgumentError:
    """Return the error for a model that is to be served on photos, and does not tell what it takes."""
    return bad_value(
        "pixels",
        "given for the signature 'serving_bytes', which decodes photos: what the model takes can't be found out",
        None,
        "Say what it takes where a photo has pixels of 0 to 255, such as `pixels='0..1'`.",
    )


def _are_signatures(names: object) -> bool:
    return isinstance(names, (list, tuple, set)) and all(name in SIGNATURES for name in names)


def exported_inputs(model: keras.Model) -> ModelInputs:
    """Return the inputs of an exported model, including those of its target.

    Raises:
        InvalidArgumentError: If they are not known yet.
    """
    inputs = model.plan.all_inputs if isinstance(model, ExplainedModel) and model.plan else model_inputs(model)
    if inputs is None:
        raise bad_value(
            "explained", "a model whose inputs are known", model.name, "Call it on a batch once, or use `input_shape`."
        )
    return inputs


def without_target_inputs(model: keras.Model, inputs: ModelInputs) -> ModelInputs:
    """Return those of an exported model's inputs that the user's model takes: all but those of its target."""
    if not isinstance(model, ExplainedModel) or model.plan is None:
        return inputs
    user_inputs = model.plan.inputs
    return ModelInputs(user_inputs.structure, inputs.specs[: len(user_inputs.specs)])


def target_inputs_of(model: keras.Model) -> tuple[TargetInput, ...]:
    """Return the inputs that say what is explained, such as the class index."""
    return model.plan.target_inputs if isinstance(model, ExplainedModel) and model.plan else ()


def image_input(inputs: ModelInputs) -> ModelInput | None:
    """Return the input of a model that takes one gray or color image of a known size, channels last; else None."""
    spec = inputs.specs[0]
    is_image = len(inputs.specs) == 1 and len(spec.shape) == 4 and spec.shape[3] in (1, 3)
    return spec if is_image and None not in spec.shape[1:] else None


def served_signatures(
    model: keras.Model, inputs: ModelInputs, names: Sequence[str], serving_bytes: ServingBytes | None
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Return the signatures of a SavedModel by name.

    Args:
        model: The exported model.
        inputs: Its inputs.
        names: The signatures to build.
        serving_bytes: How ``serving_bytes`` treats encoded images; None without that signature.
    """
    user_inputs = without_target_inputs(model, inputs)
    run, predict = _accept_empty(_all_outputs(model, inputs)), _accept_empty(_predictions(model, user_inputs))
    functions = {"serving_default": _signature(run, inputs), "predict": _signature(predict, user_inputs)}
    if serving_bytes is not None:
        functions["serving_bytes"] = serving_bytes.signature(run, inputs.specs[len(user_inputs.specs) :])
    return {name: functions[name] for name in names}


def tflite_signatures(model: keras.Model, inputs: ModelInputs) -> dict[str, tf.types.experimental.GenericFunction]:
    """Return ``serving_default`` and ``predict`` for TensorFlow Lite, which has no empty batches."""
    user_inputs = without_target_inputs(model, inputs)
    return {
        "serving_default": _signature(_all_outputs(model, inputs), inputs),
        "predict": _signature(_predictions(model, user_inputs), user_inputs),
    }


def _all_outputs(model: keras.Model, inputs: ModelInputs) -> Signature:
    if not isinstance(model, ExplainedModel):
        return _predictions(model, inputs)

    @exporting()
    def run(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return model(inputs.pack(tensors), training=False)  # type: ignore[no-any-return]

    return run


def _predictions(model: keras.Model, inputs: ModelInputs) -> Signature:
    if isinstance(model, ExplainedModel):
        user_model, names = model.model, model.prediction_names
    else:
        user_model, names = model, prediction_names(model, trace_model(model, inputs).outputs)

    @exporting()
    def run(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, flat_outputs(user_model(inputs.pack(tensors), training=False)), strict=True))

    return run


def _signature(run: Signature, inputs: ModelInputs) -> tf.types.experimental.GenericFunction:
    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs.specs]
    return tf.function(run, input_signature=specs, autograph=False)


def _accept_empty(run: Signature) -> Signature:
    """Return a function that also takes empty batches, for which some kernels raise errors.

    A blank example is added to an empty batch, and cut off from its outputs.
    """

    def accepting(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        # Servers don't check shapes, and a model with global pooling would accept images of any size.
        tensors = tuple(tf.ensure_shape(tensor, tensor.shape) for tensor in tensors)
        count = tf.shape(tensors[0])[0]
        # Not tf.cond, which would avoid the copy: OpenVINO computes wrong values after one.
        padding = [0, tf.maximum(0, 1 - count)]
        padded = [tf.pad(tensor, [padding, *[[0, 0]] * (tensor.shape.rank - 1)]) for tensor in tensors]
        for tensor, original in zip(padded, tensors, strict=True):
            tensor.set_shape(original.shape)
        return {key: value[:count] for key, value in run(*padded).items()}

    return accepting
