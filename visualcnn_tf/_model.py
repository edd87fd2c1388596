"""ExplainedModel: the user's model with one heatmap for each tap among its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.serialization import warn_if_not_loadable
from visualcnn_tf.errors import InvalidArgumentError, NotBuiltError
from visualcnn_tf.introspect.inputs import ModelInputs, check_arrays
from visualcnn_tf.introspect.tasks import preprocesses
from visualcnn_tf.methods.custom import Custom
from visualcnn_tf.ops.layout import to_channels_last
from visualcnn_tf.pipeline.batches import (
    batch_size,
    blank_example,
    checked_inputs,
    empty_batch,
    example_spec,
    is_empty,
)
from visualcnn_tf.pipeline.convertible import ConvertibleModel
from visualcnn_tf.pipeline.description import describe_outputs
from visualcnn_tf.pipeline.make_plan import plan_of_call, restore_plan
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.predict import check_predict, preprocessed
from visualcnn_tf.pipeline.run import Pipeline, naming_the_layer
from visualcnn_tf.pipeline.saved_taps import save_taps
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.value_range import check_brightness


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class ExplainedModel(ConvertibleModel):
    """A model that returns heatmaps beside its predictions; made by :func:`visualcnn_tf.attach`.

    Its outputs are a flat dict: the model's own output under ``"predictions"`` (several keep their own names), then
    ``"explained_class"``, one heatmap for each tap in the order in which the layers run, ``"heatmap"`` when they are
    combined, and overlays. It shares the weights of the model, which is not changed.

    Attributes:
        model: the user's model.
        options: the options of ``attach``, checked.
        plan: what is read and returned; None before the first call of a model whose inputs are not known.
    """

    def __init__(self, model: keras.Model, options: Options, plan: Plan | None = None, **kwargs: Any) -> None:
        # No autocast: the model casts its inputs itself, as it does without us.
        super().__init__(autocast=False, **kwargs)
        self.model = model
        self.options = options
        self.plan: Plan | None = None
        if options.check_numerics:
            self.jit_compile = False  # XLA would drop the check
        if plan is not None:
            self._adopt(plan)

    # Properties ------------------------------------------------------------------------------------------------

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What is tapped, in the order of the heatmaps; see :class:`visualcnn_tf.Tap`."""
        return self._known().taps

    @property
    def output_names(self) -> list[str]:
        """The keys of the outputs, in order."""
        return [spec.name for spec in self._known().outputs]

    @property
    def prediction_names(self) -> list[str]:
        """The keys of the model's own outputs."""
        return self._known().names("model")

    @property
    def heatmap_names(self) -> list[str]:
        """The keys of the heatmaps, the combined one last."""
        return self._known().names("heatmap", "combined")

    @property
    def overlay_names(self) -> list[str]:
        """The keys of the overlays, one for each heatmap, or none."""
        return self._known().names("overlay")

    @property
    def explanation_names(self) -> list[str]:
        """The keys of all that the model itself does not return: explained classes, heatmaps, overlays."""
        return self._known().names("classes", "report", "heatmap", "combined", "overlay")

    @property
    def pixels(self) -> Pixels | None:
        """How a photo becomes what the model takes, see :class:`visualcnn_tf.Pixels`; None if that is not known.

        It was given to ``attach`` or else found in the model. A function is kept in saved models if it is registered.
        """
        return self.options.given_pixels if self.plan is None else self.plan.pixels

    @property
    def outputs(self) -> list[keras.KerasTensor]:
        """The outputs as Keras tensors, in the order of ``output_names``."""
        return [spec.tensor() for spec in self._known().outputs]

    def summary(self, *args: Any, print_fn: Callable[[str], object] | None = None, **kwargs: Any) -> None:
        """Print Keras's summary of the model, then a table of the outputs of the explained model.

        Args:
            *args: of ``keras.Model.summary``.
            print_fn: what prints; by default ``print``.
            **kwargs: of ``keras.Model.summary``.
        """
        self.model.summary(*args, print_fn=print_fn, **kwargs)
        write = print_fn or print
        write(f'Explained model: "{self.name}"')
        write("Taps and outputs are known after its first call." if self.plan is None else describe_outputs(self.plan))

    def _known(self) -> Plan:
        if self.plan is None:
            raise NotBuiltError(
                f"The inputs of {self.model.name!r} are not known before its first call, nor are taps and outputs. "
                "Call it on a batch once, or attach with `input_shape=(height, width, channels)`."
            )
        return self.plan

    # Calling ---------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = False) -> dict[str, tf.Tensor]:
        """Return predictions and heatmaps.

        Args:
            inputs: as the model takes them, in any of the forms that Keras accepts.
            training: goes to the model. Unless the caller, or a model around this one, says otherwise it is False, as
                in ``predict``: Keras's random layers would otherwise be random, and batch normalizations be trained.
        """
        if tf.executing_eagerly() and self._pipeline.needs_graph:
            return self._pipeline.in_graph(inputs, bool(training))  # type: ignore[no-any-return]
        return self._pipeline(inputs, bool(training))

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Check the inputs, then call the model; see :meth:`call`."""
        inputs = self._prepared(inputs)
        with naming_the_layer():
            if batch_size(inputs) != 0:
                return super().__call__(inputs, *args, **kwargs)
            outputs = super().__call__(blank_example(inputs), *args, **kwargs)
        return {name: tensor[:0] for name, tensor in outputs.items()}

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> dict[str, np.ndarray]:
        """Return what Keras's ``predict`` returns: NumPy arrays under ``output_names``, in their order.

        The predictions are those that the model's own ``predict`` returns. A ``keras_hub`` task preprocesses there: the
        images may be raw, and the heatmaps are of the preprocessed ones.

        Args:
            x: as for ``keras.Model.predict``. The class index may be a single number, for all images.
            batch_size: this and the following are those of ``keras.Model.predict``.
            verbose: see there.
            steps: see there.
            callbacks: see there.

        Raises:
            InputShapeError: for inputs of the wrong structure, rank, channel count or size.
            InvalidTypeError: for what is no array of numbers, or of texts where the model takes texts.
            IncompatibleModelError: for a model with a ``predict`` or ``predict_step`` of its own.
            NanLayerOutputError: with ``check_numerics``, for NaN or infinite activations, naming the layer.
        """
        check_predict(self.model)
        if x is None or isinstance(x, (str, bytes, int, float)):
            check_arrays(x)
        if preprocesses(self.model):
            x, batch_size = preprocessed(self.model, self._known(), x, batch_size), None
        spec = example_spec(x)
        if spec is not None and spec is x:
            x = spec = self._prepared(x)
        elif spec is not None:
            self._checked(spec)
        if is_empty(x):
            # Keras's own predict raises an internal error for an empty batch.
            return {name: tensor.numpy() for name, tensor in self(empty_batch(spec)).items()}
        with naming_the_layer():
            outputs = super().predict(x, batch_size, verbose, steps, callbacks)
        return {name: outputs[name] for name in self.output_names}

    def _prepared(self, inputs: Any) -> Any:
        """Return checked inputs in the form that the model takes, the target's inputs with the batch first."""
        inputs = self._checked(inputs)
        return self._known().standardize(inputs)

    def _checked(self, inputs: Any) -> Any:
        """Check inputs, or what tells their shapes; at the first call of an unknown model, plan from them."""
        check_arrays(inputs)
        if self.plan is None:
            self._adopt(plan_of_call(self.model, inputs, self.options))
        inputs = checked_inputs(self._known(), inputs)
        self._check_pixel_values(inputs)
        return inputs

    def _check_pixel_values(self, inputs: Any) -> None:
        """Raise if eager images that overlays are drawn on are darker than black or brighter than white."""
        plan = self._known()
        if self.options.overlay is None or plan.pixels is None:
            return
        flat = plan.inputs.flatten(plan.split(inputs)[0])
        for index, data_format in {(tap.reference_input or 0, tap.data_format) for tap in plan.taps}:
            images = flat[index]
            if isinstance(images, np.ndarray) or (tf.is_tensor(images) and tf.executing_eagerly()):
                check_brightness(to_channels_last(tf.convert_to_tensor(images), data_format), plan.pixels)

    def _adopt(self, plan: Plan) -> None:
        self.plan = plan
        self._pipeline = Pipeline(self.model, plan, self.options)
        self._note_inputs()

    # Saving ----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the model, the options, and where the taps are in the model."""
        plan = self._known()
        for tap in plan.taps:
            if isinstance(tap.method, Custom):
                warn_if_not_loadable("method", tap.method.function)
        self.options.warn_if_not_loadable()
        return {
            "name": self.name,
            "trainable": self.trainable,
            "model": keras.saving.serialize_keras_object(self.model),
            "options": self.options.get_config(),
            "inputs": plan.inputs.get_config(),
            "taps": save_taps(self.model, plan.taps),
            "weights": plan.weights,
            "pixels": keras.saving.serialize_keras_object(plan.pixels),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ExplainedModel:
        """Return the explained model of a config, around the deserialized model."""
        if "taps" not in config:
            # No TypeError, which Keras would wrap in an error of its own.
            raise InvalidArgumentError(
                "The file must hold an explained model saved by visualcnn_tf 2.0 or newer. Received: one of an earlier "
                "version. Load the bare model and `attach` again."
            )
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects=custom_objects)
        pixels = keras.saving.deserialize_keras_object(config["pixels"])
        options = Options.from_config({**config["options"], "pixels": pixels})
        inputs = ModelInputs.from_config(config["inputs"])
        plan = restore_plan(model, inputs, options, config["taps"], config["weights"])
        return cls(model, options, plan, name=config["name"], trainable=config["trainable"])

    def get_build_config(self) -> dict[str, Any]:
        """Return nothing: the model inside knows how it is built."""
        return {}
