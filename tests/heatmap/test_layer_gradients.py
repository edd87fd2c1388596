"""The gradients that flow back through a ``FeatureMapFusion`` layer, against differences of the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from support import oracle, oracle_gradient
from support.method_objects import ACTIVATION_METHODS, GRADIENT_METHODS

import visualcnn_tf as vc


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("method", [*ACTIVATION_METHODS, *GRADIENT_METHODS])
def test_gradients_of_the_layer_against_differences(method: str) -> None:
    generator = np.random.default_rng(4)
    a = generator.uniform(0.5, 2, (1, 3, 2, 4)).astype(np.float32)
    g = generator.uniform(0.5, 2, a.shape).astype(np.float32)
    weights = generator.normal(size=(1, 4, 5))

    def truth(a: np.ndarray) -> float:
        fused = oracle_gradient.fuse(a, g, method) if method in oracle_gradient.FUSIONS else oracle.fuse(a, method)
        return float((oracle_gradient.finished(fused, (4, 5)) * weights).sum())

    differences = np.zeros(a.shape)
    for position in np.ndindex(a.shape):
        moved = [a.astype(np.float64) for _ in range(2)]
        moved[0][position] += 1e-6
        moved[1][position] -= 1e-6
        differences[position] = (truth(moved[0]) - truth(moved[1])) / 2e-6
    layer = vc.FeatureMapFusion(method, size=(4, 5))
    with tf.GradientTape() as tape:
        tape.watch(maps := tf.constant(a))
        given = [maps, tf.constant(g)] if method in oracle_gradient.FUSIONS else maps
        total = tf.reduce_sum(layer(given) * tf.constant(weights, tf.float32))
    found = tape.gradient(total, maps).numpy()
    assert abs(differences).max() > 1e-2
    np.testing.assert_allclose(found, differences, atol=1e-3 * abs(differences).max())
