"""GraphModel: a TensorFlow graph as a Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import check_is_keras_file
from visualcnn_tf.errors import IncompatibleModelError, InputShapeError
from visualcnn_tf.graphs.analysis import Analysis
from visualcnn_tf.graphs.constants import digest_of, from_text, large_constants, set_value, to_text, value_of
from visualcnn_tf.graphs.foreign_operations import check_operations
from visualcnn_tf.graphs.layers import layers_inside, placed_layers
from visualcnn_tf.graphs.nodes import VARIABLES, NodeDef, Ref, name_of, ref_of
from visualcnn_tf.graphs.program import Program
from visualcnn_tf.introspect.operation_layers import OperationLayer


class _Parts:
    """What a model is made of: in an object of its own, since Keras looks into everything that is set on a model."""

    def __init__(self, graph_def: Any, inputs: Mapping[str, str], outputs: Mapping[str, Ref]) -> None:
        analysis = Analysis(graph_def, inputs.values(), list(outputs.values()))
        placed = placed_layers(analysis)
        layers = [one.layer for one in placed]
        self.graph_def = graph_def
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self.layers = [*layers, *layers_inside(graph_def, [layer.name for layer in layers])]
        self.program = Program(graph_def, list(outputs.values()), placed)
        tensors = [analysis.tensor((name, 0)) for name in inputs.values()]
        self.symbolic = {
            key: keras.KerasTensor(tuple(tensor.shape), dtype=tensor.dtype.name, name=key)
            for key, tensor in zip(inputs, tensors, strict=True)
        }
        self.variable_nodes = [node for node in graph_def.node if node.op in VARIABLES]
        self.variables: list[keras.Variable] = []
        self.constants: list[NodeDef] = []
        self.run_in_graph = tf.function(self.run, autograph=False, reduce_retracing=True)

    def run(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the outputs, in the graph that is being built."""
        fed = {(name, 0): tensor for name, tensor in zip(self.inputs.values(), tensors, strict=True)}
        for node, variable in zip(self.variable_nodes, self.variables, strict=True):
            value = variable.value
            is_handle = node.op == "VarHandleOp"
            fed[node.name, 0] = _captured(value.handle) if is_handle else tf.convert_to_tensor(value)
        return self.program.run(fed)


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class GraphModel(keras.Model):
    """A TensorFlow graph without Keras code as a Keras model, made by :func:`visualcnn_tf.load_graph`.

    Its layers are the operations of the graph that compute floating-point numbers; see ``operations``. Variables of the
    graph are its weights; the weights of a frozen graph stay constants. All of it is for inference: nothing is
    trainable, and ``training`` has no effect.

    Args:
        graph_def: a graph, each node after those that it reads.
        inputs: the names of its placeholders by key.
        outputs: its outputs by key.
        values: the values of its variables, by the names of their nodes; zeros where they are missing.
        **kwargs: of ``keras.Model``.
    """

    #: Operations can be imported into a graph only.
    needs_graph = True

    def __init__(
        self,
        graph_def: Any,
        inputs: Mapping[str, str],
        outputs: Mapping[str, Ref],
        values: Mapping[str, np.ndarray] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, dtype="float32", **kwargs)
        self.supports_jit = False  # XLA lacks some operations, such as those of detectors
        self._parts = _Parts(graph_def, inputs, outputs)
        self._parts.constants = large_constants(graph_def)
        for node in self._parts.variable_nodes:
            self._parts.variables.append(self._new_variable(node, (values or {}).get(node.name)))
        self.build(keras.tree.map_structure(lambda tensor: tensor.shape, self.input))

    def _new_variable(self, node: NodeDef, value: np.ndarray | None) -> keras.Variable:
        """Return a weight for a variable of the graph."""
        if value is not None:
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
        dtype, shape = tf.as_dtype(node.attr["dtype"].type), tf.TensorShape(node.attr["shape"].shape)
        if dtype == tf.string or not shape.is_fully_defined():
            raise IncompatibleModelError(
                f"`path` must hold a graph whose variables are numbers of known shapes. Received: {node.name!r} of "
                f"type {dtype.name} and shape {shape}."
            )
        variable = self.add_weight(
            shape=tuple(shape),
            initializer="zeros",
            dtype=dtype.name,
            trainable=False,
            autocast=False,
            name=node.name.replace("/", "."),
        )
        if value is not None:
            variable.assign(value)
        return variable

    # Properties ------------------------------------------------------------------------------------------------

    @property
    def operations(self) -> list[OperationLayer]:
        """The layers, in the order in which they run; those inside of loops and branches, out of reach, last."""
        return list(self._parts.layers)

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """The inputs as Keras tensors."""
        return list(self._parts.symbolic.values())

    @property
    def input(self) -> Any:
        """The inputs in the structure that a call takes: one tensor, or a dict of several."""
        return dict(self._parts.symbolic) if len(self._parts.symbolic) > 1 else self.inputs[0]

    @property
    def output_names(self) -> list[str]:
        """The keys of the outputs."""
        return list(self._parts.outputs)

    # Calling ---------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Build nothing: the graph is there. Keras notes the shapes."""
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the output, or a dict of several.

        Args:
            inputs: one tensor, or several as a list or a dict by name.
            training: has no effect.
        """
        parts = self._parts
        flat = [inputs[key] for key in parts.inputs] if isinstance(inputs, Mapping) else tf.nest.flatten(inputs)
        tensors = [_as_taken(tensor, spec) for tensor, spec in zip(flat, self.inputs, strict=True)]
        outputs = parts.run_in_graph(tensors) if tf.executing_eagerly() else parts.run(tensors)
        return dict(zip(parts.outputs, outputs, strict=True)) if len(outputs) > 1 else outputs[0]

    # Saving ----------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Save as ``keras.Model.save`` does, as a ``.keras`` file.

        Args:
            filepath: where to.
            *args: of ``keras.Model.save``.
            **kwargs: of ``keras.Model.save``.

        Raises:
            InvalidArgumentError: for a ``.h5`` file, which Keras could not load.
        """
        check_is_keras_file(filepath, "An HDF5 file does not hold a graph.")
        super().save(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the graph, without the weights, and its inputs and outputs."""
        parts = self._parts
        return {
            "name": self.name,
            "graph": to_text(parts.graph_def, {node.name for node in parts.constants}),
            "inputs": parts.inputs,
            "outputs": {key: name_of(ref) for key, ref in parts.outputs.items()},
            "constants": {node.name: digest_of(node) for node in parts.constants},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> GraphModel:
        """Return the model of a config, whose weights are to be loaded: until then they are zero or NaN."""
        graph_def = from_text(config["graph"])
        check_operations(graph_def.node, graph_def, "filepath")
        outputs = {key: ref_of(name) for key, name in config["outputs"].items()}
        model = cls(graph_def, config["inputs"], outputs, name=config["name"])
        model._parts.constants = [node for node in graph_def.node if node.name in config["constants"]]
        return model

    def get_build_config(self) -> dict[str, Any]:
        """Return nothing: the graph tells how it is built."""
        return {}

    def save_own_variables(self, store: Any) -> None:
        """Save the weights, and the constants that are weights."""
        for index, variable in enumerate(self._parts.variables):
            store[str(index)] = np.asarray(variable)
        for index, node in enumerate(self._parts.constants):
            store[f"constant_{index}"] = value_of(node)

    def load_own_variables(self, store: Any) -> None:
        """Load what :meth:`save_own_variables` saved."""
        for index, variable in enumerate(self._parts.variables):
            variable.assign(np.asarray(store[str(index)]))
        for index, node in enumerate(self._parts.constants):
            set_value(node, np.asarray(store[f"constant_{index}"]))


def _as_taken(given: Any, spec: keras.KerasTensor) -> tf.Tensor:
    """Return what a caller passed as a tensor of the type of an input.

    Raises:
        InputShapeError: for another batch size than the one that the graph is made for: it may mix up examples.
    """
    tensor = tf.cast(tf.convert_to_tensor(given), spec.dtype)
    batch = tensor.shape[0] if tensor.shape.rank else None
    if None not in (batch, spec.shape[0]) and batch != spec.shape[0]:
        raise InputShapeError(
            f"`inputs` must have batches of {spec.shape[0]} for {spec.name!r}, as the graph has. Received: {batch}. "
            f"Use `predict(x, batch_size={spec.shape[0]})`."
        )
    return tensor


def _captured(tensor: tf.Tensor) -> tf.Tensor:
    """Return a tensor from outside of the graph that is being built as one of it."""
    graph = tf.compat.v1.get_default_graph()
    return graph.capture(tensor) if hasattr(graph, "capture") else tensor
