"""Models whose attention can't be rolled out: the errors' words are those of the table in ``support.bad_inputs``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from keras import ops
from support.transformer_layers import ExtraTokens
from support.unusual_attention import AnyCount, Plain, attend_once, attend_side_by_side, attend_without_gradients

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


def of_a_class_token(*before: Any) -> Any:
    image = x = keras.Input((16, 16, 3), name="image")
    for layer in (L.Conv2D(8, 4, strides=4), L.Reshape((16, 8), name="tokens"), *before, ExtraTokens(1, name="extra")):
        x = layer(x)
    return keras.Model(image, L.Dense(3, name="head")((x + Plain()(x))[:, 0]))


def test_a_number_of_tokens_that_is_known_at_run_time_only() -> None:
    known, unknown = of_a_class_token(), of_a_class_token(AnyCount())
    unknown.set_weights(known.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    options: Any = {"method": "gradientrollout", "size": None, "normalize": None}
    explained = [vc.attach(model, "extra", **options) for model in (known, unknown)]
    assert [one.taps[0].shape[1] for one in explained] == [17, None]
    assert [one.taps[0].tokens_read for one in explained] == [(0,), (0,)]
    maps = [one(x)["heatmap_extra"].numpy() for one in explained]
    assert np.ptp(maps[0]) > 0
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-5)
    with pytest.raises(NoAttentionError, match=r"'tokens' with 16 tokens, behind which .* of shape \(B, 17, 17\)"):
        vc.attach(unknown, "tokens", **options)


def test_an_error_says_what_was_received_and_what_to_do() -> None:
    with pytest.raises(NoAttentionError) as caught:
        vc.attach(attend_side_by_side(), "tokens", method="attentionrollout")
    assert str(caught.value).startswith("`method` needs attention in one block after the other. Received: 'tokens', ")
    assert str(caught.value).endswith("Use 'gradcam'.")
