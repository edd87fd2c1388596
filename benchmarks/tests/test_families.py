"""Models of other families for two-digit canvases: what they learn, how they are judged, and where they are kept."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from benchmarks import families, pointing, trained, ways
from benchmarks.composites import Grid, build, held_out


@pytest.fixture(scope="module")
def pairs():
    return held_out(6)


def test_boxes_start_on_a_grid():
    assert set(held_out(30, Grid(4, 14)).corners.ravel()) == {4, 18, 32}
    assert len(set(held_out(30).corners.ravel())) > 20


def test_the_class_of_a_pixel_is_the_digit_whose_ink_it_is(pairs):
    labels, weights = trained.pixel_labels(pairs)
    assert weights is None
    for image, digits, corners, found in zip(pairs.images, pairs.digits, pairs.corners, labels, strict=True):
        want = np.full((56, 56), 10)
        for digit, (top, left) in zip(digits, corners, strict=True):
            for row in range(top, top + 20):
                for column in range(left, left + 20):
                    if image[row, column, 0] > 0.3:
                        want[row, column] = digit
        np.testing.assert_array_equal(found, want)


def test_positions_near_the_middle_of_a_digit_stand_for_its_box(pairs):
    labels, weights = trained.box_labels(pairs)
    for i in range(len(pairs.images)):
        scores, boxes = np.zeros((196, 10)), np.zeros((196, 4))
        for digit, (top, left) in zip(pairs.digits[i], pairs.corners[i], strict=True):
            for n in range(196):
                y, x = 4 * (n // 14) + 2, 4 * (n % 14) + 2
                if abs(y - top - 10) < 6 and abs(x - left - 10) < 6:
                    scores[n, digit] = 1
                    boxes[n] = left, top, left + 20, top + 20
        np.testing.assert_array_equal(labels["scores"][i], scores)
        np.testing.assert_array_equal(labels["boxes"][i], boxes)
        np.testing.assert_array_equal(weights["boxes"][i], scores.any(axis=1))
    assert (weights["scores"] == 1).all()


def test_the_detector_measures_boxes_from_the_middle_of_their_positions():
    sides = np.zeros((1, 14, 14, 4), np.float32)
    sides[0, 3, 5] = -1, -2, 3, 4
    boxes = families.Corners()(sides).numpy()
    assert boxes.shape == (1, 196, 4)
    np.testing.assert_allclose(boxes[0, 3 * 14 + 5], [22 - 4, 14 - 8, 22 + 12, 14 + 16])
    np.testing.assert_allclose(boxes[0, 0], [2, 2, 2, 2])


def predicting(outputs):
    return SimpleNamespace(predict=lambda images, verbose: outputs)


def test_judges_of_pixels_and_boxes(pairs):
    pixels, _ = trained.pixel_labels(pairs)
    right = np.eye(11)[pixels]
    assert trained.pixel_accuracy(predicting(right), pairs) == 1
    background = np.eye(11)[np.full_like(pixels, 10)]
    assert trained.pixel_accuracy(predicting(background), pairs) == 0
    labels, _ = trained.box_labels(pairs)
    assert trained.box_accuracy(predicting(labels), pairs) == 1
    # Of two squares that are 7 apart 13·20 pixels are common: 260 / 540 is less than a half; 6 apart 280 / 520 is more.
    for off, share in ((6, 1), (7, 0)):
        moved = {**labels, "boxes": labels["boxes"] + [off, 0, off, 0]}
        assert trained.box_accuracy(predicting(moved), pairs) == share


def test_the_best_box_of_a_digit_has_its_largest_score():
    scores = np.zeros((2, 5, 10))
    scores[0, 3, 7], scores[0, 4, 2], scores[1, 1, 7] = 0.4, 0.9, 0.1
    np.testing.assert_array_equal(trained.best_boxes(scores, np.array([7, 7])), [3, 1])


def test_each_model_has_ways_and_one_default():
    assert set(ways.WAYS) == set(trained.RECIPES)
    for found in ways.WAYS.values():
        assert sum(way.default for way in found) == 1
        assert len({way.label for way in found}) == len(found) > 1


@pytest.mark.parametrize("pooling", ["token", "global"])
def test_transformers_of_patches_and_of_the_maps_of_a_network(pooling):
    cnn = build("global pooling")
    hybrid, pure = families.hybrid_transformer(cnn, pooling), families.pure_transformer(pooling)
    for model, count in ((hybrid, 49), (pure, 16)):
        assert model.get_layer("norm").output.shape[1] == count + (pooling == "token")
    # The hybrid reads the network's last maps, whose weights do not learn.
    images = held_out(2).images
    maps = keras.Model(hybrid.input, hybrid.get_layer("patches").input).predict(images, verbose=0)
    np.testing.assert_array_equal(maps, keras.Model(cnn.inputs, cnn.layers[-3].output).predict(images, verbose=0))
    learning = {weight.path for weight in hybrid.trainable_weights}
    assert learning
    assert not learning & {weight.path for weight in cnn.layers[0].weights}


def test_a_trained_model_is_kept_in_a_file(monkeypatch, tmp_path):
    trainings = []

    def train(recipe, *, count, seed, epochs, base):
        trainings.append((recipe.good[:4], seed))
        keras.utils.set_random_seed(seed)
        return recipe.build() if base is None else recipe.build(base)

    monkeypatch.setattr(trained, "train", train)
    images = held_out(2).images
    for name in ("detector", "ViT, hybrid, class token"):
        first, again, other = (trained.kept(name, count=8, seed=s, epochs=1, folder=tmp_path) for s in (1, 1, 2))
        a, b, c = (keras.tree.flatten(model.predict(images, verbose=0)) for model in (first, again, other))
        np.testing.assert_array_equal(a[-1], b[-1])
        assert np.abs(a[-1] - c[-1]).max() > 1e-4
    # The network that the transformer is made of is trained and kept as well.
    boths = [("both", seed) for seed in (1, 1, 2, 2)]
    assert trainings == [("of t", 1), ("of t", 2), *boths]


def test_probabilities_are_summed_over_the_mask_of_each_class(pairs):
    keras.utils.set_random_seed(0)
    model = families.u_net()
    probabilities = model.predict(pairs.images, verbose=0)
    want = np.zeros((6, 10))
    for i, image in enumerate(probabilities):
        for pixel in image.reshape(-1, 11):
            if pixel.argmax() < 10:
                want[i, pixel.argmax()] += pixel.max()
    assert want.any()
    np.testing.assert_allclose(ways._summed(model).predict(pairs.images, verbose=0), want, rtol=1e-4)


def test_values_stand_in_the_middle_of_their_positions():
    maps = np.arange(1, 9, dtype=np.float32).reshape(1, 2, 4)
    spread = ways.at_middles(maps)
    assert spread.shape == (1, 56, 56)
    assert {(int(row), int(column)): spread[0, row, column] for row, column in np.argwhere(spread[0])} == {
        (14, 7): 1,
        (14, 21): 2,
        (14, 35): 3,
        (14, 49): 4,
        (42, 7): 5,
        (42, 21): 6,
        (42, 35): 7,
        (42, 49): 8,
    }
    full = np.random.default_rng(0).random((2, 56, 56))
    np.testing.assert_array_equal(ways.at_middles(full), full)


@pytest.mark.slow
def test_training_lowers_the_loss():
    recipe = trained.RECIPES["detector"]
    pairs = held_out(64)
    labels, weights = recipe.labels(pairs)
    models = [trained.train(recipe, count=64, seed=0, epochs=epochs) for epochs in (1, 6)]
    first, later = (model.evaluate(pairs.images, labels, sample_weight=weights, verbose=0)[0] for model in models)
    assert later < first


def test_a_default_that_points_too_seldom_is_named():
    [name] = [way.label for way in ways.WAYS["U-Net"] if way.default]
    found = {way.label: [pointing.Pointing(0.5, 0.0)] for way in ways.WAYS["U-Net"]}
    heads = [pointing.Head("h", 1.0, 1.0, {"gradcam": pointing.Pointing(0.95, 0.0)})]
    for shares, is_enough in (((0.85, 0.97), True), ((0.8, 0.9), False)):
        found[name] = [pointing.Pointing(one, 0.0) for one in shares]
        family = pointing.Family("U-Net", ([1.0, 1.0], ""), found)
        assert family.default == pytest.approx(np.mean(shares))
        missed = pointing.too_few(heads, [family])
        assert missed == ([] if is_enough else ["the default of U-Net points at the digit in 85.0%, required 90%."])
