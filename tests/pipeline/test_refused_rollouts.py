"""Models whose attention can't be rolled out: the errors' words are those of the table in ``support.bad_inputs``."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers as L  # noqa: N812
from keras import ops
from support.transformer_layers import ExtraTokens
from support.unusual_attention import Plain, attend_once, attend_side_by_side, attend_without_gradients

import visualcnn_tf as vc
from visualcnn_tf.errors import NoAttentionError


def tokens_read(model: Any, layer: str) -> tuple[int, ...]:
    (tap,) = vc.attach(model, layer, method="attentionrollout").taps
    return tap.tokens_read


def test_attention_of_one_head_without_an_axis_of_heads() -> None:
    assert tokens_read(attend_once(), "tokens") == tuple(range(16))


def test_attention_that_passes_no_gradients() -> None:
    assert tokens_read(attend_without_gradients(), "tokens") == tuple(range(16))


def test_a_token_that_is_gathered() -> None:
    image = keras.Input((16, 16, 3), name="image")
    x = L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(image))
    x = ExtraTokens(1, name="extra")(x)
    read = L.Dense(3)(ops.take(x + Plain()(x), 0, axis=1))
    assert tokens_read(keras.Model(image, read), "extra") == (0,)


def test_an_error_says_what_was_received_and_what_to_do() -> None:
    with pytest.raises(NoAttentionError) as caught:
        vc.attach(attend_side_by_side(), "tokens", method="attentionrollout")
    assert str(caught.value).startswith("`method` needs attention in one block after the other. Received: 'tokens', ")
    assert str(caught.value).endswith("Use 'gradcam'.")
