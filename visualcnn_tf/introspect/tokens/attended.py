"""The tokens that explain a target best: those that the last attention reads, and from which the target is reached."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence

from visualcnn_tf.introspect.batch_axes import batch_axes
from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS, NORMALIZATIONS
from visualcnn_tf.introspect.tokens.reach import PRODUCTS, PositionReach
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import upstream


def read_by_attention(trace: Trace, graph: CallGraph, last: LayerCall, bottlenecks: Collection[LayerCall]) -> LayerCall:
    """Return what the last attention reads, in place of the last map of a model.

    After the last attention, a class token is all that is read, so that the other tokens reach nothing; where the
    tokens are averaged, they have seen each other by then. It is the normalization before the attention or, without
    one, what everything later is computed from. The last map stays where convolutions follow the attention.

    Args:
        trace: of the model, in which the sizes are known.
        graph: the calls that lead to its outputs.
        last: the last map.
        bottlenecks: the calls of its resolution that everything later is computed from.
    """
    outputs = trace.output_tensors
    needed = upstream(*outputs)
    if not _has_attention(trace, needed):
        return last
    reaching = [last] if _reach(last).reaches(outputs) else []
    for call in reversed([call for call in graph.calls if call in bottlenecks]):
        if last.tokens is None and _has_convolutions(graph.consumers[call], graph):
            return last
        reach = _reach(call)
        if reach.attends(needed):
            return _normalization(_readers(graph, call), call, needed) or call
        if reach.reaches(outputs):
            reaching.append(call)
    # Without attention, the first that reaches the outputs; if none does, which is never to be expected, the last map.
    return reaching[0] if reaching else last


def _reach(call: LayerCall) -> PositionReach:
    return PositionReach(call.tensor, call.tokens)


def _has_convolutions(calls: Sequence[LayerCall], graph: CallGraph) -> bool:
    """Return whether calls, or those computed from them, are convolutions."""
    return any(isinstance(call.layer, CONV_LAYERS) for call in graph.descendants(calls))


def _has_attention(trace: Trace, needed: set[Hashable]) -> bool:
    """Return whether the outputs are computed from a product of tensors that both depend on the inputs."""
    computed = batch_axes(trace)
    return any(
        op.type in PRODUCTS and all(tensor.ref() in computed and tensor.ref() in needed for tensor in op.inputs)
        for op in trace.inputs[0].graph.get_operations()
    )


def _readers(graph: CallGraph, call: LayerCall) -> list[LayerCall]:
    """Return the calls that read the output of a call; of a normalization that is several operations, the last one."""
    operations = [one for one in graph.calls if getattr(one.layer, "normalized", "") == call.layer.name]
    return [*graph.consumers[call], *operations]


def _normalization(readers: Iterable[LayerCall], call: LayerCall, needed: set[Hashable]) -> LayerCall | None:
    """Return the normalization among the readers of a call that attention reads."""
    for reader in readers:
        kind, normalized = type(reader.layer).__name__, getattr(reader.layer, "normalized", "")
        is_one = kind in NORMALIZATIONS or normalized == call.layer.name
        if is_one and reader.spatial_shape == call.spatial_shape and _reach(reader).attends(needed):
            return reader
    return None
