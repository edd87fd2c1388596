"""The picture that the README opens with, of a network that is not trained."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks import composites, opening
from benchmarks.models import adapt_normalizations


@pytest.mark.slow
def test_each_digit_is_asked_for_and_shown_beside_its_canvas() -> None:
    model = composites.build("global pooling")
    adapt_normalizations(model, composites.held_out(8).images)
    pairs = composites.held_out(2)
    axes = opening.draw(model, pairs).axes
    columns = [np.stack([np.asarray(ax.images[0].get_array()) for ax in axes[i : i + 2]]) for i in range(0, 10, 2)]
    questions = [ax.get_title() for ax in axes[6:]]
    assert questions == [f"where is the {digit}?" for digit in pairs.digits.T.ravel()]
    images = columns[0][..., 0] / 255
    np.testing.assert_array_equal(columns[0], columns[0][..., :1].repeat(3, -1))
    assert np.abs(images.reshape(2, 56, 6, 56, 6).mean((2, 4)) - pairs.images[..., 0]).mean() < 0.01
    for column, digits in enumerate(pairs.digits.T):
        for row, digit in enumerate(digits):
            fixed = vc.attach(model, "last", method="gradcam", target=int(digit), size=(opening.SIDE,) * 2)
            heatmap = fixed(pairs.images[row : row + 1])[fixed.heatmap_names[0]]
            large = tf.image.resize(pairs.images[row : row + 1], (opening.SIDE,) * 2, "bicubic")
            expected = vc.overlay(np.clip(large, 0, 1), heatmap, alpha=0.85, weighted=True).numpy()
            difference = np.abs(columns[3 + column][row].astype(int) - expected[0])
            assert np.mean(difference > 1) < 0.01  # a heatmap half-way between two colors may get either
            assert difference.max() <= 8
