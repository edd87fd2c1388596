"""Which calls have feature maps, and which make predictions of these: masks, pictures, or scores of boxes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.image_maps import data_format, graph_to_outputs, image_maps, image_spaces, learned_calls
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import PREDICTING_ACTIVATIONS, PROJECTIONS, is_softmax
from visualcnn_tf.introspect.sizes import Space, covers, is_map, space_of
from visualcnn_tf.introspect.steps import POOLING, SUM, channels, channels_read, operation_step, projects, step_of
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import is_upstream, nearest_upstream


@dataclass(frozen=True)
class _Output:
    """An output of the model.

    Attributes:
        tensor: its values.
        ends: the calls that it is directly computed from.
        predicting: those that make predictions of feature maps for it.
    """

    tensor: tf.Tensor
    ends: list[LayerCall]
    predicting: set[LayerCall]


def feature_calls(
    trace: Trace, graph: CallGraph, maps: Sequence[LayerCall], learned: Collection[LayerCall]
) -> set[LayerCall]:
    """Return the calls that lead to an output without being part of what makes predictions of feature maps.

    Args:
        trace: of the model.
        graph: the calls that lead to its outputs.
        maps: those with maps of its image.
        learned: those that a layer with weights has contributed to.
    """
    rank = len(maps[0].spatial_shape) if maps else 0
    outputs = [_output(trace, graph, tensor, rank) for tensor in trace.output_tensors]
    shared = _shared_heads(graph)
    features: set[LayerCall] = set()
    predicting: set[LayerCall] = set()
    for output in outputs:
        found = output.predicting
        if found and _is_level_of_pyramid(output, outputs, trace):
            found = set()
        predicting |= found
        heads = _made_of(graph, found | shared, learned) if found else set()
        features.update(call for call in graph.ancestors(output.ends) if call not in heads)
    return features - predicting


def is_prediction(trace: Trace, output: tf.Tensor) -> bool:
    """Return whether one of a model's outputs, with positions, holds predictions of feature maps, such as masks."""
    trace = replace(trace, outputs=output)
    graph = graph_to_outputs(trace)
    maps = image_maps(trace, graph, learned_calls(graph))
    return bool(_output(trace, graph, output, len(maps[0].spatial_shape) if maps else 0).predicting)


def _output(trace: Trace, graph: CallGraph, tensor: tf.Tensor, rank: int) -> _Output:
    known = {call.tensor.ref() for call in trace.calls if call.tensor is not None}
    ends = _nearest(graph, tensor, known)
    space = space_of(tensor.shape, data_format(trace)) if tensor.shape.rank is not None else ()
    if not is_map(space):
        return _Output(tensor, ends, set())
    is_rows, is_image = len(space) != rank, any(covers(space, image) for image in image_spaces(trace))
    step = "" if tensor.ref() in known else operation_step(tensor, known)
    return _Output(tensor, ends, prediction_calls(graph, ends, step, is_rows, is_image))


def _is_level_of_pyramid(output: _Output, outputs: Sequence[_Output], trace: Trace) -> bool:
    """Return whether an output that looks like a prediction is what other feature maps, of its kind, are made of.

    The top of a pyramid is a narrowing convolution of the backbone's last map; the levels below are computed from it.
    """
    axis = 1 if data_format(trace) == "channels_first" else -1
    return any(
        not other.predicting
        and other.tensor.shape.rank == output.tensor.shape.rank
        and other.tensor.shape[axis] == output.tensor.shape[axis]
        and is_upstream(output.tensor, other.tensor)
        for other in outputs
    )


def prediction_calls(
    graph: CallGraph, ends: Iterable[LayerCall], step: str, is_rows: bool, is_image: bool
) -> set[LayerCall]:
    """Return the calls that turn feature maps into an output with positions; none if it is itself a feature map.

    An output is a prediction (a mask, scores or offsets of boxes, a picture) if convolutions or dense layers make it,
    which only reshaping, joining and resizing, and perhaps an activation, follow, and each of them

    - is followed by a softmax; or
    - makes a single channel of several; or
    - has no activation, or a sigmoid, tanh or softplus, and makes fewer channels than it reads, or an output as large
      as the image, or rows instead of a map, as of boxes.

    All others are feature maps: what ends in a ReLU or another activation of hidden layers, a normalization, pooling
    or a sum, and convolutions without activation that keep the number of channels, as in feature pyramids. Of rows,
    one layer that predicts decides for all.

    Layers that already make the same scores of maps of other sizes, which are only enlarged, added and fused
    afterwards, belong to a prediction, too.

    Args:
        graph: the calls that lead to the output.
        ends: those that it is directly computed from.
        step: what plain operations do between these and the output, see :func:`steps.operation_step`.
        is_rows: whether the output has fewer or more axes than a map.
        is_image: whether it is as large as the image.
    """
    makers = _makers(graph, ends, step)
    predicting = {call for call, after in makers.items() if _predicts(graph, call, after, is_rows or is_image)}
    if not predicting or (len(predicting) < len(makers) and not is_rows):
        return set()
    return {other for call in makers for other in (call, *_other_scores(graph, call, channels(call)))}


def _nearest(graph: CallGraph, output: tf.Tensor, known: Collection[object]) -> list[LayerCall]:
    """Return the calls that an output is directly computed from; of TimeDistributed layers those of the first step."""
    if output.ref() in graph.call_of:
        return graph.nearest(output)
    nearest = [graph.call_of[one] for one in nearest_upstream(output, known) if one in graph.call_of]
    return nearest or graph.nearest(output)


def _makers(graph: CallGraph, ends: Iterable[LayerCall], step: str) -> dict[LayerCall, frozenset[str]]:
    """Return the layers with weights right behind an output, each with the steps that follow it.

    Behind a sigmoid or the like, sums and normalizations are passed as well: they are of scores.
    """
    found: dict[LayerCall, frozenset[str]] = {}
    todo = [(call, frozenset([step]) - {""}) for call in ends]
    seen = set(todo)
    while todo:
        call, after = todo.pop()
        step = step_of(graph, call)
        if not after & PREDICTING_ACTIVATIONS:
            after |= {step} - {""}
        if projects(graph, call):
            if is_map(call.spatial_shape):
                found[call] = found.get(call, frozenset()) | after
        elif step != POOLING and SUM not in after:
            new = [(source, after) for source in graph.sources[call] if (source, after) not in seen]
            seen.update(new)
            todo += new
    return found


def _predicts(graph: CallGraph, call: LayerCall, after: frozenset[str], is_dense: bool) -> bool:
    """Return whether a layer with weights right behind an output makes predictions.

    Args:
        graph: the calls that lead to the output.
        call: the call of the layer.
        after: the activation and other steps that follow.
        is_dense: whether the output is as large as the image, or no map.
    """
    read, made = channels_read(graph, call), channels(call)
    is_narrower = made is not None and read is not None and made < read
    if any(is_softmax(name) for name in after) or (made == 1 and is_narrower):
        return True
    return not after - PREDICTING_ACTIVATIONS and (is_narrower or is_dense)


def _other_scores(graph: CallGraph, call: LayerCall, made: int | None) -> set[LayerCall]:
    """Return the layers before a prediction that make the same scores of other maps, by narrowing these.

    Such are the side outputs of edge detectors, which a 1x1 convolution fuses, and the class scores of FCN, which
    transposed convolutions enlarge.
    """
    found: set[LayerCall] = set()
    todo, seen = list(graph.sources[call]), set(graph.sources[call])
    while todo:
        source = todo.pop()
        if step_of(graph, source) not in {"", SUM, *PREDICTING_ACTIVATIONS}:
            continue
        if not projects(graph, source):
            new = [one for one in graph.sources[source] if one not in seen]
            seen.update(new)
            todo += new
        elif channels(source) == made:
            before = _other_scores(graph, source, made)
            is_narrower = (channels_read(graph, source) or 0) > (made or 0)
            found |= {source, *before} if is_narrower or before else before
    return found


def _shared_heads(graph: CallGraph) -> set[LayerCall]:
    """Return the calls of layers that read feature maps of several sizes, as the heads of detectors do.

    A backbone that sees an image at several scales is no head: it reads no feature maps of others.
    """
    spaces: dict[int, set[Space]] = {}
    for call in graph.calls:
        if is_map(call.spatial_shape) and isinstance(call.layer, PROJECTIONS):
            spaces.setdefault(id(call.layer), set()).add(call.spatial_shape)
    shared = {call for call in graph.calls if len(spaces.get(id(call.layer), ())) > 1}
    of_shared = set(graph.descendants(shared)) if shared else set()
    others = [call for call in graph.calls if isinstance(call.layer, PROJECTIONS) and call not in of_shared]
    return shared.intersection(graph.descendants(others)) if shared else shared


def _made_of(graph: CallGraph, calls: Iterable[LayerCall], learned: Collection[LayerCall]) -> set[LayerCall]:
    """Return the calls themselves and those that are computed from them and from no other learned features."""
    found = set(calls)
    for call in graph.calls:
        sources = [source for source in graph.sources[call] if source in learned]
        if sources and found.issuperset(sources):
            found.add(call)
    return found
