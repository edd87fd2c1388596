"""Which calls of a model have maps of its image, signal or volume, not tensors of other meaning with as many axes."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import ATTENTION_LAYERS, CONV_LAYERS, CONV_LSTM_LAYERS
from visualcnn_tf.introspect.sizes import Space, has_aspect_of, is_map, space_of
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import upstream
from visualcnn_tf.introspect.windows import outside_windows


def graph_to_outputs(trace: Trace) -> CallGraph:
    """Link the calls that the model's outputs are computed from."""
    needed = upstream(*trace.output_tensors)
    return CallGraph(call for call in trace.calls if _is_node(call) and call.tensor.ref() in needed)


def learned_calls(graph: CallGraph) -> list[LayerCall]:
    """Return the calls that a layer with weights, a convolution or a pooling layer has contributed to."""
    return graph.descendants(call for call in graph.calls if _learns(call.layer))


def image_maps(trace: Trace, graph: CallGraph, learned: Sequence[LayerCall]) -> list[LayerCall]:
    """Return those of the learned calls that have maps of the model's image.

    Their spatial axes are as many as those of the model's convolutions. A convolution has such maps, and so has what
    keeps their size, or has the aspect of the image; others, such as attention scores, which have axes of heads and
    tokens, do not.
    """
    maps = _outside_attention(trace, [call for call in learned if is_map(call.spatial_shape)])
    maps = _of_main_rank(trace, outside_windows(trace, maps))
    rank = len(maps[0].spatial_shape) if maps else 0
    images = [space[-rank:] for space in image_spaces(trace) if len(space) >= rank]
    found: dict[LayerCall, None] = {}
    for call in maps:
        spaces = {source.spatial_shape for source in graph.sources[call] if source in found}
        is_derived = isinstance(call.layer, CONV_LAYERS) or call.spatial_shape in spaces
        if is_derived or _has_aspect_of_any(call.spatial_shape, images):
            found[call] = None
    return list(found)


def data_format(trace: Trace) -> str:
    """Return where a model's images have their channels: where its convolutions have them."""
    formats = (call.data_format for call in trace.calls if isinstance(call.layer, CONV_LAYERS))
    return next(formats, "channels_last")


def image_spaces(trace: Trace) -> list[Space]:
    """Return the spatial shapes of the model's inputs that have any."""
    spaces = [space_of(tuple(tensor.shape), data_format(trace)) for tensor in trace.inputs]
    return [space for space in spaces if space]


def _of_main_rank(trace: Trace, calls: Sequence[LayerCall]) -> list[LayerCall]:
    """Return the calls with as many spatial axes as the model's feature maps, more than one position on these.

    That is how many its convolutions have, ConvLSTMs before all others; without any, how many the image has if there
    are such maps; else the most.
    """
    maps = [call for call in calls if is_map(call.spatial_shape)]
    ranks = {len(call.spatial_shape) for call in maps}
    ranks = ranks.intersection(map(len, image_spaces(trace))) or ranks
    for kinds in (CONV_LAYERS, CONV_LSTM_LAYERS):
        ranks = {len(call.spatial_shape) for call in maps if isinstance(call.layer, kinds)} or ranks
    return [call for call in maps if len(call.spatial_shape) == max(ranks)]


def _has_aspect_of_any(space: Space, images: Sequence[Space]) -> bool:
    """Return whether a map may be one of an image; True if no image is known."""
    return not images or any(has_aspect_of(space, image) for image in images)


def _is_node(call: LayerCall) -> bool:
    is_tensor = call.tensor is not None and not call.untappable_because
    return is_tensor and call.is_first_time_step and not isinstance(call.layer, keras.layers.TimeDistributed)


def _learns(layer: keras.Operation) -> bool:
    has_weights = bool(getattr(layer, "weights", None)) and not isinstance(layer, keras.layers.Normalization)
    return has_weights or isinstance(layer, CONV_LAYERS)


def _outside_attention(trace: Trace, calls: Sequence[LayerCall]) -> list[LayerCall]:
    attention = tuple(f"{path}/" for path, layer in trace.layers.items() if _attends(layer))
    return [call for call in calls if not call.path.startswith(attention)]


def _attends(layer: keras.Operation) -> bool:
    """Return whether a layer is attention: one of Keras's, or a custom one that is called so."""
    is_called_so = "attention" in type(layer).__name__.lower() and not isinstance(layer, keras.Model)
    return isinstance(layer, ATTENTION_LAYERS) or is_called_so
