"""Which calls of which layers are tapped, and by which method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.patterns import value_per_path
from visualcnn_tf.introspect.reference_input import Positions
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.outputs import heatmap_key, unique
from visualcnn_tf.pipeline.tap import Tap


@dataclass(frozen=True)
class TapRequest:
    """A heatmap that is wanted.

    Attributes:
        call: the call of a layer that is read, in the trace of the model.
        method: how its feature maps become one map.
        target_index: which score of the target is explained.
        key: key of the heatmap; before :func:`with_unique_keys`, the one that it gets unless that is taken.
    """

    call: LayerCall
    method: Method
    target_index: int
    key: str

    def tap(self, positions: Positions) -> Tap:
        """Return the tap, which no longer needs the trace."""
        call, view = self.call, positions.view(self.call)
        return Tap(
            path=call.path,
            key=self.key,
            shape=call.shape,
            method=self.method,
            target_index=self.target_index,
            call_index=positions.trace.calls_of(call.layer).index(call),
            calls=call.indices_of_steps,
            time_steps=call.time_steps,
            returns_sequence=call.returns_sequence,
            elements=call.elements,
            tokens=call.tokens,
            data_format=call.data_format,
            reference_input=view.input_index,
            reference_axes=view.axes,
            region=view.region,
            has_open_region=view.is_open,
        )


def requested_taps(
    calls: Sequence[LayerCall], options: Options, first_tokens: LayerCall | None = None
) -> list[TapRequest]:
    """Return a request for each call, each of its methods, and each score of the target that these explain.

    Args:
        calls: what is tapped.
        options: the methods and the target.
        first_tokens: what methods of attention read, once, in place of the calls; None for the calls.
    """
    default = get_method(options.usual_method)
    choices = value_per_path(options.method, [call.path for call in calls], default, "method")
    requests: dict[tuple[object, ...], TapRequest] = {}
    for call, choice in zip(calls, choices, strict=True):
        several = isinstance(choice, tuple)
        for method in choice if several else [choice]:
            read = first_tokens if first_tokens is not None and method.needs_attention else call
            ending = "_" + method.name.replace("+", "p") if several else ""
            suffixes = options.resolved_target.suffixes if method.explains_target else ("",)
            for index, suffix in enumerate(suffixes):
                key = heatmap_key(read.path) + ending + suffix
                requests.setdefault((read, method, index), TapRequest(read, method, index, key))
    return list(requests.values())


def with_head_call(requests: Iterable[TapRequest], find: Callable[[Method], LayerCall]) -> list[TapRequest]:
    """Return the requests, those of methods that read a dense head moved to the call that makes its scores, once each.

    Args:
        requests: what is asked for.
        find: returns that call.
    """
    found: dict[TapRequest, None] = {}
    for request in requests:
        if request.method.needs_head:
            call = find(request.method)
            key = request.key.replace(heatmap_key(request.call.path), heatmap_key(call.path), 1)
            request = replace(request, call=call, key=key)
        found[request] = None
    return list(found)


def with_unique_keys(requests: Iterable[TapRequest], taken: Iterable[str]) -> list[TapRequest]:
    """Return the requests with keys of their own."""
    names, unique_requests = list(taken), []
    for request in requests:
        key = unique(request.key, names)
        names.append(key)
        unique_requests.append(TapRequest(request.call, request.method, request.target_index, key))
    return unique_requests
