"""ExplainedModel: the user's model with one heatmap for each tap among its outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.serialization import warn_if_not_loadable
from visualcnn_tf.errors import InputShapeError, NanLayerOutputError, NotBuiltError
from visualcnn_tf.introspect.fused_blocks import FusedBlock
from visualcnn_tf.introspect.inputs import ModelInput, check_arrays, model_inputs, shaped_inputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.outputs import CLASS_INDEX
from visualcnn_tf.methods import method_name
from visualcnn_tf.ops.exporting import exporting
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.plan import Plan, make_plan
from visualcnn_tf.pipeline.run import NOT_FINITE, explain
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.render.pictures import check_values

_RANGE_ADVICE = "Say which values are black and white: attach with `render=Overlay(value_range=(0, 255))` or the like."


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class ExplainedModel(keras.Model):
    """A model that returns heatmaps beside its predictions; made by :func:`visualcnn_tf.attach`.

    Its outputs are a flat dict: the model's own output under ``"predictions"`` (several keep their own names), then
    one heatmap for each tap in the order in which the layers run, then ``"heatmap"`` when they are combined. It
    shares the weights of the model, which is not changed.

    Attributes:
        model: the user's model.
        taps: what is tapped, see :class:`visualcnn_tf.Tap`.
        output_names: the keys of the outputs, in order.
    """

    def __init__(self, model: Any, options: Options, plan: Plan | None = None, **kwargs: Any) -> None:
        # No autocast: the model casts its inputs itself, as it does without us.
        super().__init__(autocast=False, **kwargs)
        self.model = model
        self.options = options
        self.plan: Plan | None = None
        if options.check_numerics:
            self.jit_compile = False  # XLA would drop the check
        if plan is not None:
            self._adopt(plan)

    # What it is ------------------------------------------------------------------------------------------------

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What is tapped, in the order of the outputs."""
        return self._known().taps

    @property
    def output_names(self) -> list[str]:
        """The keys of the outputs, in order."""
        return [spec.name for spec in self._known().outputs]

    @property
    def heatmap_names(self) -> list[str]:
        """The keys of the heatmaps, the combined one last."""
        count = len(self.taps) + (self.options.combine is not None)
        names = self.output_names
        return names[-2 * count : -count] if self.options.render is not None else names[-count:]

    @property
    def overlay_names(self) -> list[str]:
        """The keys of the pictures, one for each heatmap, or none."""
        names = self.output_names
        return [] if self.options.render is None else names[len(names) - len(self.heatmap_names) :]

    @property
    def explanation_names(self) -> list[str]:
        """The keys of all that the model itself does not return: explained classes, heatmaps, pictures."""
        classes = self._known().classes
        return [*([] if classes is None else [classes]), *self.heatmap_names, *self.overlay_names]

    @property
    def prediction_names(self) -> list[str]:
        """The keys of the model's own outputs."""
        return self.output_names[: len(self.output_names) - len(self.explanation_names)]

    @property
    def inputs(self) -> list[Any]:
        """The inputs as Keras tensors: the model's own where it has them."""
        plan = self._known()
        own = getattr(self.model, "inputs", None) or [_keras_tensor(spec) for spec in plan.inputs.specs]
        return [*own, *(_keras_tensor(spec) for spec in plan.all_inputs.specs[len(plan.inputs.specs) :])]

    @property
    def outputs(self) -> list[Any]:
        """The outputs as Keras tensors, in the order of ``output_names``."""
        return [spec.tensor() for spec in self._known().outputs]

    def _known(self) -> Plan:
        if self.plan is None:
            raise NotBuiltError(
                f"The inputs of {self.model.name!r} are not known before its first call, nor are taps and outputs. "
                "Call it on a batch once, or attach with `input_shape=(height, width, channels)`."
            )
        return self.plan

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Keras's summary, then a line for each tap."""
        super().summary(*args, **kwargs)
        write = kwargs.get("print_fn") or print
        for tap in self.taps:
            write(f" {tap.key}: {method_name(tap.method)} of {tap.path} {tap.shape}")

    # What it does ----------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """Predictions and heatmaps; ``training`` goes to the model."""
        if tf.executing_eagerly() and self._known().scored is not None:
            # The walk back from a score needs a graph.
            return self._in_graph(inputs, training)  # type: ignore[no-any-return]
        return self._explain(inputs, training)

    def _explain(self, inputs: Any, training: bool | None) -> dict[str, Any]:
        outputs = explain(self.model, self._known(), self.options, self.fusions, self.chains, inputs, training)
        return dict(zip(self.output_names, outputs, strict=True))

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Checks the inputs, then calls the model; see :meth:`call`."""
        self._prepare(inputs)
        if _batch_size(inputs) == 0:
            return self._empty(inputs, lambda one: super(ExplainedModel, self).__call__(one, *args, **kwargs))
        with _naming_the_layer():
            return super().__call__(inputs, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> dict[str, np.ndarray]:
        """Keras's ``predict``: NumPy arrays under ``output_names``, in their order.

        Raises:
            InputShapeError: for inputs of the wrong structure, rank, channel count or size.
            InvalidTypeError: for what is no array of numbers.
            NanLayerOutputError: with ``check_numerics``, for NaN or infinite activations, naming the layer.
        """
        if x is None or isinstance(x, (str, bytes, int, float)):
            check_arrays(x)
        spec = _example_spec(x)
        if spec is not None:
            self._prepare(spec)
        if _holds_nothing(x):
            # Keras's own predict has no answer to that.
            return {name: tensor.numpy() for name, tensor in self(_no_examples(spec)).items()}
        if spec is x:
            x = self._complete(x)
        with _naming_the_layer():
            outputs = super().predict(x, *args, **kwargs)
        return {name: outputs[name] for name in self.output_names}

    def _prepare(self, inputs: Any) -> None:
        """Checks the inputs; at the first call of a model that nobody has described yet, plans from them."""
        check_arrays(inputs)
        if self.plan is None:
            shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape[1:]), inputs)
            plan = make_plan(self.model, shaped_inputs(self.model, shapes, fixed=False), self.options)
            self._adopt(replace(plan, inputs=model_inputs(self.model) or plan.inputs))
        own, class_index = self._known().split(inputs)
        self._known().inputs.check(own)
        if class_index is not None:
            _check_class_index(class_index, own)
        elif isinstance(own, Mapping) and CLASS_INDEX in set(own) - set(self._known().inputs.names):
            raise InputShapeError(
                f"`inputs` holds {CLASS_INDEX!r}, which this model does not take. Attach with `target`='input'."
            )
        if self.options.render is not None:
            self._check_pictures(self._known().inputs.flatten(own))

    def _check_pictures(self, inputs: Sequence[Any]) -> None:
        """Raises where the values of images, as far as they are at hand, are not what pictures of them assume."""
        for reference in {tap.reference or 0 for tap in self.taps}:
            images = inputs[reference]
            # A NaN is no wrong range.
            if isinstance(images, np.ndarray) or (tf.is_tensor(images) and tf.executing_eagerly()):
                check_values(images, self.options.render.value_range, _RANGE_ADVICE, allow_nan=True)

    def _complete(self, x: Any) -> Any:
        """``x`` with the channel axis of gray images, whether or not a class index stands beside them."""
        plan = self._known()
        own, class_index = plan.split(x)
        own = plan.inputs.complete(own)
        if class_index is None:
            return own
        named = dict(zip(plan.inputs.names, plan.inputs.flatten(own), strict=True))
        return {**named, str(plan.class_index): class_index}

    def _adopt(self, plan: Plan) -> None:
        self.plan = plan
        self._in_graph = tf.function(self._explain, autograph=False, reduce_retracing=True)
        self.fusions = [self.options.fusion(tap.method, tap.data_format, tap.key) for tap in plan.taps]
        layers = named_layers(self.model) if plan.chains else {}
        self.chains = [FusedBlock([layers[path] for path in paths]) for paths in plan.chains]
        self.built = True

    def _empty(self, inputs: Any, run: Any) -> dict[str, Any]:
        """The outputs of an empty batch: those of one blank example, without it."""
        one = keras.tree.map_structure(lambda t: tf.zeros((1, *t.shape[1:]), t.dtype), inputs)
        return {name: tensor[:0] for name, tensor in run(one).items()}

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Keras's ``export``, on the inputs that the model is known to take."""
        if kwargs.get("input_signature") is None:
            inputs = self._known().all_inputs
            specs = [keras.InputSpec(spec.dtype, spec.shape, name=spec.name) for spec in inputs.specs]
            kwargs["input_signature"] = [inputs.pack(specs)]
        with exporting():
            super().export(filepath, format, **kwargs)

    # How it is kept --------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The model, the options and the resolved taps."""
        plan = self._known()
        for tap in plan.taps:
            warn_if_not_loadable("method", tap.method)
        warn_if_not_loadable("target", self.options.target)
        warn_if_not_loadable("combine", self.options.combine)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "model": keras.saving.serialize_keras_object(self.model),
            "options": self.options.get_config(),
            "plan": plan.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ExplainedModel:
        """The explained model of a config, around the deserialized model."""
        return cls(
            keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects),
            Options.from_config(config["options"]),
            Plan.from_config(config["plan"]),
            name=config["name"],
            trainable=config["trainable"],
        )

    def get_build_config(self) -> dict[str, Any]:
        """Nothing: the model inside knows how it is built."""
        return {}


def _keras_tensor(spec: ModelInput) -> Any:
    return keras.KerasTensor(spec.shape, dtype=spec.dtype, name=spec.name)


def _check_class_index(class_index: Any, own: Any) -> None:
    shape = tuple(getattr(class_index, "shape", ()))
    batch, kind = _batch_size(own), getattr(class_index, "dtype", None)
    is_integer = kind is not None and "int" in keras.backend.standardize_dtype(kind)
    if len(shape) != 1 or (batch and shape[0] and shape[0] != batch) or not is_integer:
        raise InputShapeError(
            f"`class_index` must be one integer for each image, (B,). Received: shape {shape} of type {kind}. "
            "-1 means the predicted class."
        )


def _batch_size(inputs: Any) -> int | None:
    shapes = [tensor.shape for tensor in keras.tree.flatten(inputs) if hasattr(tensor, "shape")]
    return shapes[0][0] if shapes and len(shapes[0]) else None


def _example_spec(x: Any) -> Any:
    """What tells the shapes of one batch of what ``predict`` was given, or None when only a first batch will."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        return spec[0] if isinstance(spec, tuple) else spec
    return x if all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x)) else None


def _holds_nothing(x: Any) -> bool:
    if isinstance(x, tf.data.Dataset):
        return int(x.cardinality()) == 0
    return _batch_size(x) == 0


def _no_examples(spec: Any) -> Any:
    return keras.tree.map_structure(lambda t: tf.zeros((0, *(n or 1 for n in t.shape[1:])), t.dtype), spec)


@contextlib.contextmanager
def _naming_the_layer() -> Iterator[None]:
    """Turns TensorFlow's error for a failed numerics check into ours."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if NOT_FINITE not in error.message:
            raise
        layer = error.message.split(NOT_FINITE)[1].split("'")[1]
        raise NanLayerOutputError(
            f"`inputs` give NaN or infinite activations in the layer {layer!r}. Check the input and the weights; "
            "without `check_numerics` such an image gets an all-zero heatmap."
        ) from None
