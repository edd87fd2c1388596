"""What methods of attention read: the weights between a tap and the outputs, and which tokens the outputs read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import NoAttentionError
from visualcnn_tf.introspect.batch_axes import has_row_per_example
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import OutputRecorder
from visualcnn_tf.introspect.sized_trace import sized_trace
from visualcnn_tf.introspect.tokens.attention import attention_between, count_of_attention
from visualcnn_tf.introspect.tokens.read_by_outputs import tokens_read
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.pipeline.model_run import ModelRun
from visualcnn_tf.pipeline.tap import Tap


def explained_outputs(outputs: Sequence[tf.Tensor], output_index: int | None) -> list[tf.Tensor]:
    """Return the output that is explained, or all of them where a method explains none."""
    return list(outputs) if output_index is None else [outputs[output_index]]


def attention_in_run(run: ModelRun[OutputRecorder], tap: Tap, output_index: int | None) -> list[tf.Tensor]:
    """Return the attention weights between a tap and the outputs of a run."""
    return attention_between(run.tensors(tap)[0], explained_outputs(run.outputs, output_index), tap.path)


def attention_of(call: LayerCall, outputs: Sequence[tf.Tensor], output_index: int | None) -> list[tf.Tensor]:
    """Return the attention weights between a call and the outputs of its trace.

    Raises:
        NoAttentionError: if there are none that can be rolled out.
    """
    explained = explained_outputs(outputs, output_index)
    with explained[0].graph.as_default():
        return attention_between(call.tensor, explained, call.path)


def first_tokens(trace: Trace, output_index: int | None) -> LayerCall:
    """Return the first call that returns all the tokens between which a model attends.

    Raises:
        NoAttentionError: for a model without tokens, or whose attention can't be rolled out to its first ones.
    """
    outputs = explained_outputs(flat_outputs(trace.outputs), output_index)
    calls = [call for call in trace.calls if call.tokens is not None and call.is_tappable and call.is_first_time_step]
    if not calls:
        raise NoAttentionError(
            "`method` rolls attention out to the tokens of a layer. Received: a model in which no layer returns tokens "
            "whose positions can be found. Say by `tokens` which do, or use 'gradcam'."
        )
    refusals: list[NoAttentionError] = []
    count = count_of_attention(calls[0].tensor, outputs)
    for call in calls:
        if count_of_attention(call.tensor, outputs) < count:
            break
        try:
            _with_known_sizes(call, trace, output_index)
        except NoAttentionError as error:
            refusals.append(error)
        else:
            return call
    raise refusals[0]


def with_tokens_read(tap: Tap, call: LayerCall, trace: Trace, output_index: int | None) -> Tap:
    """Return a tap of a method of attention with the tokens that the outputs read.

    Raises:
        NoAttentionError: for a layer without tokens, or weights that can't be rolled out.
    """
    _check_tokens(tap)
    weights, trace = _with_known_sizes(call, trace, output_index)
    _check_rows(weights, trace, tap.path)
    outputs = explained_outputs(flat_outputs(trace.outputs), output_index)
    return replace(tap, tokens_read=tokens_read(weights[-1], outputs))


def _with_known_sizes(call: LayerCall, trace: Trace, output_index: int | None) -> tuple[list[tf.Tensor], Trace]:
    """Return the attention weights behind a call in a trace in which it is known between how many tokens they are.

    Raises:
        NoAttentionError: if they are not between all tokens of the call.
    """
    weights = attention_of(call, flat_outputs(trace.outputs), output_index)
    if call.shape[1] is not None and all(None not in tuple(one.shape)[-2:] for one in weights):
        return weights, trace
    sized = sized_trace(trace)
    same = sized.same_call(call)
    if same is None:
        return weights, trace
    return attention_of(same, flat_outputs(sized.outputs), output_index), sized


def with_heads(weights: Iterable[tf.Tensor]) -> list[tf.Tensor]:
    """Return attention weights, or their gradients, in float32 with an axis of heads, ``(B, heads, N, N)``."""
    cast = [tf.cast(one, tf.float32) for one in weights]
    return [one if one.shape.rank == 4 else tf.expand_dims(one, 1) for one in cast]


def shares_read(tokens: Sequence[int], weights: tf.Tensor) -> tf.Tensor:
    """Return the share of each of N tokens in what is read, ``(1, N, 1)`` float32: equal shares for these tokens."""
    count = weights.shape[-1]
    if count is None:
        one_hot = tf.one_hot(list(tokens), tf.shape(weights)[-1])
        return tf.reduce_mean(one_hot, 0)[tf.newaxis, :, tf.newaxis]
    shares = np.zeros((1, count, 1), np.float32)
    shares[:, list(tokens)] = 1 / len(tokens)
    return tf.constant(shares)


def _check_tokens(tap: Tap) -> None:
    if tap.tokens is None or tap.has_steps:
        what = "the tokens of time steps, or of elements of each example" if tap.has_steps else "no tokens"
        raise NoAttentionError(
            f"`method`={tap.method.name!r} rolls attention out to the tokens of a layer, one row of them for each "
            f"example. Received: {tap.path!r} with shape {tap.shape}, {what}. `visualcnn layers MODEL` lists the "
            "layers with tokens; `tokens=` tells which layers have some where that can't be found."
        )


def _check_rows(weights: Sequence[tf.Tensor], trace: Trace, path: str) -> None:
    for one in weights:
        if has_row_per_example([one], trace) is False:
            raise NoAttentionError(
                f"`method` needs attention weights (B, heads, N, N) with one row for each example. Received: {path!r}, "
                f"behind which {one.op.name!r} has weights of shape {tuple(one.shape)}, where heads or windows are "
                "merged into the batch. Give them an axis of their own, or use 'gradcam'."
            )
