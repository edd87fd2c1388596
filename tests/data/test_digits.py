"""The built-in data of the demo and the network trained on it."""

import sys

import numpy as np
import pytest

from visualcnn_tf.data import digits as digits_module
from visualcnn_tf.data.digits import accuracy, enlarge, load_digits, shift, train_cnn
from visualcnn_tf.errors import MissingExtraError


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_the_split_is_disjoint_and_complete(digits):
    train = {image.tobytes() for image in digits.train_images}
    test = {image.tobytes() for image in digits.test_images}
    assert not train & test
    assert len(train) + len(test) == 1797


def test_the_split_is_the_same_each_time(digits):
    for first, second in zip(digits, load_digits(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_each_digit_has_a_quarter_of_its_pictures_in_the_test_set(digits):
    in_test = np.bincount(digits.test_labels)
    in_all = in_test + np.bincount(digits.train_labels)
    assert np.all(np.abs(in_test - in_all / 4) <= 1)


def test_pictures_have_bright_ink_on_black_and_a_border(digits):
    images = digits.test_images
    assert images.shape == (450, 28, 28, 1)
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    border = images.copy()
    border[:, 4:-4, 4:-4] = 0
    assert not border.any()


def test_enlarging_keeps_brightness_and_place():
    white = enlarge(np.ones((1, 8, 8, 1)))
    np.testing.assert_allclose(white[0, 4:24, 4:24], 1, atol=1e-6)
    dot = np.zeros((1, 8, 8, 1))
    dot[0, 1, 6] = 1
    row, column = np.unravel_index(enlarge(dot)[0, :, :, 0].argmax(), (28, 28))
    # The center of pixel i of 8 lies at 4 + 2.5 (i + 0.5) of 28.
    assert abs(row + 0.5 - (4 + 2.5 * 1.5)) <= 0.5
    assert abs(column + 0.5 - (4 + 2.5 * 6.5)) <= 0.5


def test_shifting_moves_each_picture_by_up_to_two_pixels():
    images = np.zeros((500, 28, 28, 1), np.float32)
    images[:, 14, 10] = 1
    shifted = shift(images, np.random.default_rng(0))
    assert shifted.shape == images.shape
    np.testing.assert_array_equal(shifted.sum(axis=(1, 2, 3)), 1)
    _, rows, columns, _ = np.nonzero(shifted)
    moves = {(row - 14, column - 10) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)}
    assert moves == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


@pytest.mark.slow
def test_three_epochs_are_enough_for_95_percent(digits):
    assert accuracy(train_cnn(digits, seed=0, epochs=3), digits) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_every_seed_reads_95_percent(digits, seed):
    assert accuracy(train_cnn(digits, seed=seed), digits) >= 0.95


@pytest.mark.slow
def test_the_seed_decides_the_training(digits):
    few = digits._replace(train_images=digits.train_images[:64], train_labels=digits.train_labels[:64])
    first, again, other = (train_cnn(few, seed=seed, epochs=1).get_weights() for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert not np.allclose(first[0], other[0], atol=1e-3)


def test_accuracy_counts_the_right_answers(digits):
    class Always:
        def predict(self, images, **_):
            return np.eye(10)[np.full(len(images), 3)]

    assert accuracy(Always(), digits) == pytest.approx(np.mean(digits.test_labels == 3))


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r'pip install "visualcnn-tf\[demo\]"'):
        digits_module.load_digits()
