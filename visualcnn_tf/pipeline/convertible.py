"""What Keras, TensorFlow and converters ask a model for before they export, convert or save it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import check_is_keras_file
from visualcnn_tf.errors import UnsupportedOperationError
from visualcnn_tf.introspect.inputs import ModelInput
from visualcnn_tf.ops.exporting import exporting
from visualcnn_tf.pipeline.exported_module import exported_module
from visualcnn_tf.pipeline.plan import Plan


class ConvertibleModel(keras.Model):
    """The base class of explained models: their inputs, as Keras and other packages expect them.

    Attributes:
        model: the user's model.
        plan: what is read and returned, None before that is known.
    """

    model: keras.Model
    plan: Plan | None

    def _known(self) -> Plan:
        """Return the plan; raise where there is none yet."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """The inputs as Keras tensors: the model's own where it has them."""
        plan = self._known()
        symbolic = getattr(self.model, "inputs", None) or [_keras_tensor(spec) for spec in plan.inputs.specs]
        return [*symbolic, *(_keras_tensor(spec) for spec in plan.all_inputs.specs[len(plan.inputs.specs) :])]

    @property
    def input(self) -> Any:
        """The inputs as Keras tensors, in the structure that a call takes: what converters ask a model for."""
        return self._known().all_inputs.pack(self.inputs)

    @property
    def input_dtype(self) -> str:
        """The type of the inputs: that of the first one."""
        return self.plan.inputs.specs[0].dtype if self.plan is not None else super().input_dtype

    def _note_inputs(self) -> None:
        """Let Keras note the shapes of the inputs: converters ask it for them."""
        inputs = self._known().all_inputs
        self.build(inputs.pack([spec.shape for spec in inputs.specs]))

    def build(self, input_shape: Any) -> None:
        """Build nothing: the model inside is built. Keras notes the shapes, which converters ask for."""
        self.built = True

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Export as ``keras.Model.export`` does, on the inputs that the model is known to take.

        Args:
            filepath: where to.
            format: as for ``keras.Model.export``.
            **kwargs: of ``keras.Model.export``.
        """
        if kwargs.get("input_signature") is None:
            inputs = self._known().all_inputs
            specs = [keras.InputSpec(spec.dtype, spec.shape, name=spec.name) for spec in inputs.specs]
            kwargs["input_signature"] = [inputs.pack(specs)]
        with exporting():
            super().export(filepath, format, **kwargs)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Save as ``keras.Model.save`` does, as a ``.keras`` file.

        Args:
            filepath: where to.
            *args: of ``keras.Model.save``.
            **kwargs: of ``keras.Model.save``.

        Raises:
            InvalidArgumentError: for a ``.h5`` file, which Keras could not load.
        """
        check_is_keras_file(
            filepath,
            "An HDF5 file does not hold a class such as this one; the model inside can be saved so: "
            "`explained.model.save(...)`.",
        )
        super().save(filepath, *args, **kwargs)

    @property
    def _default_save_signature(self) -> tf.types.experimental.GenericFunction:
        # The name by which `tf.saved_model.save` asks a Keras model for its signature.
        inputs = self._known().all_inputs
        specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs.specs]

        @tf.function(input_signature=[inputs.pack(specs)], autograph=False)
        def serving_default(tensors: Any) -> dict[str, tf.Tensor]:
            with exporting():
                return self(tensors, training=False)  # type: ignore[no-any-return]

        return serving_default

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        # What `tf.saved_model.save` writes. With the model inside would come a function of its own, in which random
        # layers are random, and for which TensorFlow finds no variables.
        if save_type != "savedmodel":
            return super()._trackable_children(save_type, **kwargs)  # type: ignore[no-any-return]
        return {"_default_save_signature": self._default_save_signature, "module": exported_module(self)}

    def save_spec(self, dynamic_batch: bool = True) -> None:
        """Raise the error for a model that ``tf.lite.TFLiteConverter.from_keras_model`` can't convert.

        The converter asks for this where its first way, which serves models with inputs of one type, has failed.
        """
        raise UnsupportedOperationError(
            f"`tf.lite.TFLiteConverter.from_keras_model` can't convert {self.name!r}, a model with heatmaps and inputs "
            f"{[(spec.name, spec.dtype) for spec in self._known().all_inputs.specs]}. Use "
            "`visualcnn_tf.export_tflite(explained, path)`."
        )


def _keras_tensor(spec: ModelInput) -> keras.KerasTensor:
    return keras.KerasTensor(spec.shape, dtype=spec.dtype, name=spec.name)
