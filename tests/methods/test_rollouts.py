"""The two rollouts of attention, on weights and gradients as they are, against the formulas of their papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support import oracle_attention

from visualcnn_tf import methods
from visualcnn_tf.errors import InvalidArgumentError

BATCH, HEADS, TOKENS, BLOCKS = 3, 2, 7, 4
#: A class token, the mean over all tokens, over those behind a class token, two tokens.
READ = [(0,), tuple(range(TOKENS)), tuple(range(1, TOKENS)), (0, 1)]
VARIANTS = [methods.AttentionRollout(residual=r, heads=h) for r in (0.5, 0.0, 0.9) for h in ("mean", "max", "min")]


def shares(read: Any) -> Any:
    found = np.zeros((1, TOKENS, 1), np.float32)
    found[:, list(read)] = 1 / len(read)
    return tf.constant(found)


def attention(seed: int = 0) -> list[np.ndarray]:
    scores = np.random.default_rng(seed).normal(scale=2, size=(BLOCKS, BATCH, HEADS, TOKENS, TOKENS))
    powers = np.exp(scores)
    return list((powers / powers.sum(-1, keepdims=True)).astype(np.float32))


def gradients() -> list[np.ndarray]:
    return list(np.random.default_rng(9).normal(size=(BLOCKS, BATCH, HEADS, TOKENS, TOKENS)).astype(np.float32))


def expected(method: Any, weights: list[np.ndarray], read: Any, of: list[np.ndarray] | None = None) -> np.ndarray:
    """Image by image."""
    images = []
    for index in range(BATCH):
        blocks = [block[index] for block in weights]
        if of is None:
            images.append(oracle_attention.attentionrollout(blocks, read, method.residual, method.heads))
        else:
            images.append(oracle_attention.gradientrollout(blocks, [block[index] for block in of], read))
    return np.array(images)


def assert_close(got: Any, want: np.ndarray) -> None:
    assert got.shape == want.shape
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize("read", READ, ids=len)
@pytest.mark.parametrize("method", VARIANTS, ids=repr)
def test_attention_rollout(method: Any, read: Any) -> None:
    assert_close(method([*map(tf.constant, attention())], shares(read)), expected(method, attention(), read))


@pytest.mark.parametrize("read", READ, ids=len)
def test_gradient_rollout(read: Any) -> None:
    method, given = methods.GradientRollout(), [[*map(tf.constant, each)] for each in (attention(), gradients())]
    assert_close(method(given[0], shares(read), given[1]), expected(method, attention(), read, gradients()))


def test_by_hand() -> None:
    # The class token takes half of the second token, which in the block before took all of the first.
    first, second = (tf.constant(matrix)[None, None] for matrix in ([[1.0, 0], [1, 0]], [[0.5, 0.5], [0, 1]]))
    read = tf.constant([[[1.0], [0.0]]])
    without = methods.AttentionRollout(residual=0)
    np.testing.assert_allclose(without([first, second], read), [[1, 0]])
    np.testing.assert_allclose(methods.AttentionRollout()([first, second], read), [[0.75 + 0.25 / 2, 0.25 / 2]])
    # R = I + M_2 + M_1 + M_2 M_1, with M = A where the gradient is 2 and there are two heads, one of zeros.
    heads = [tf.concat([block, tf.zeros_like(block)], 1) for block in (first, second)]
    twos = [tf.fill(block.shape, 2.0) for block in heads]
    np.testing.assert_allclose(methods.GradientRollout()(heads, read, twos), [[0.5 + 1 + 0.5 + 0.5, 0.5]])


def test_rows_of_masked_attention_need_not_sum_to_1() -> None:
    weights = [block * np.linspace(0.1, 1.0, TOKENS, dtype=np.float32)[:, None] for block in attention()]
    for method in VARIANTS:
        assert_close(method([*map(tf.constant, weights)], shares((0,))), expected(method, weights, (0,)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_reaches_the_result(bad: float) -> None:
    weights = attention()
    weights[1][1, 0, 2, 3] = bad
    for method in VARIANTS:
        got = method([*map(tf.constant, weights)], shares(READ[1]))
        assert np.isfinite(got).all(1).tolist() == [True, False, True]
    given = [[*map(tf.constant, each)] for each in (weights, np.abs(gradients()))]
    got = methods.GradientRollout()(given[0], shares(READ[1]), given[1])
    assert np.isfinite(got).all(1).tolist() == [True, False, True]


def test_in_graphs_of_unknown_sizes_and_compiled() -> None:
    method, weights, of = methods.GradientRollout(), attention(), gradients()

    def both(weights: Any, of: Any, read: Any) -> Any:
        return methods.AttentionRollout()(weights, read), method(weights, read, of)

    specs = [[tf.TensorSpec((None, HEADS, None, None))] * BLOCKS] * 2
    unknown = tf.function(both, input_signature=[*specs, tf.TensorSpec((1, None, 1))], autograph=False)
    for graph in (unknown, tf.function(both, jit_compile=True, autograph=False)):
        rolled, evidence = graph([*map(tf.constant, weights)], [*map(tf.constant, of)], shares((0,)))
        assert_close(rolled, expected(methods.AttentionRollout(), weights, (0,)))
        assert_close(evidence, expected(method, weights, (0,), of))


@pytest.mark.parametrize("residual", [1, -0.1, 1.5, True, None, "0.5", float("nan")])
def test_residual_is_refused(residual: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`residual` must be a number from 0 to below 1. Received: "):
        methods.AttentionRollout(residual=residual)


def test_heads_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`heads` must be one of 'mean', 'max', 'min'. Received: 'mena'"):
        methods.AttentionRollout(heads="mena")
