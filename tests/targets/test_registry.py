"""From the short forms of a target to its object, what no target is, and how Keras saves targets."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support.linear_classifier import classifier, layercam

from visualcnn_tf import targets
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError
from visualcnn_tf.targets import ClassIndex, FromInput, Predicted, Score, TopK


@keras.saving.register_keras_serializable(package="test_targets_registry")
def second(output: Any) -> Any:
    """A score of one's own."""
    return output[:, 1]


# --- get ---


@pytest.mark.parametrize(
    ("short", "target"),
    [
        ("predicted", Predicted()),
        ("input", FromInput()),
        ("top1", TopK(1)),
        ("top12", TopK(12)),
        (0, ClassIndex(0)),
        (7, ClassIndex(7)),
        (np.int64(3), ClassIndex(3)),
        (np.array(2), ClassIndex(2)),
        ([0, 7], ClassIndex([0, 7])),
        ([np.int32(2), 0], ClassIndex((2, 0))),
        ((2,), ClassIndex((2,))),
        (np.array([2, 0]), ClassIndex([2, 0])),
        (second, Score(second)),
    ],
)
def test_short_forms(short: Any, target: Any) -> None:
    assert targets.get(short) == target
    assert type(targets.get(short)) is type(target)
    assert targets.get(target) is target


def test_one_class_and_a_list_of_one_are_two_targets() -> None:
    assert targets.get(2) != targets.get([2])
    assert targets.get(2).suffixes == ("",)
    assert targets.get([2]).suffixes == ("_class2",)


@pytest.mark.parametrize("wrong", [Predicted, FromInput, TopK, ClassIndex, Score])
def test_a_class_must_be_called(wrong: Any) -> None:
    with pytest.raises(InvalidTypeError) as caught:
        targets.get(wrong)
    message = str(caught.value)
    assert message.startswith("`target` must be a target, not its class. ")
    assert f"Received: {wrong.__name__}. Call it: `{wrong.__name__}(...)`" in message


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("predict", "predicted"), ("Predicted", "predicted"), ("inputs", "input"), ("Input", "input"), ("TOP3", "top3")],
)
def test_an_unknown_name_offers_a_near_miss(wrong: str, near: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        targets.get(wrong)
    message = str(caught.value)
    assert message.startswith("`target` must be 'predicted', 'input', 'top<n>' such as 'top3', a class index")
    assert f"Received: {wrong!r}. Did you mean {near!r}?" in message


# --- traits and options ---


@pytest.mark.parametrize(
    ("target", "suffixes", "takes_class_index", "reports_classes", "reads_logits", "shown"),
    [
        (Predicted(), ("",), False, True, True, "Predicted()"),
        (FromInput(), ("",), True, True, True, "FromInput()"),
        (TopK(3), ("_top1", "_top2", "_top3"), False, True, True, "TopK(k=3)"),
        (ClassIndex(7), ("",), False, True, True, "ClassIndex(index=7)"),
        (ClassIndex([7, 0]), ("_class7", "_class0"), False, True, True, "ClassIndex(index=(7, 0))"),
        (Score(second), ("",), False, False, False, "Score(second, on='output')"),
        (Score(second, on="logits"), ("",), False, False, True, "Score(second, on='logits')"),
    ],
)
def test_traits(
    target: Any, suffixes: Any, takes_class_index: bool, reports_classes: bool, reads_logits: bool, shown: str
) -> None:
    assert target.suffixes == suffixes
    assert target.takes_class_index is takes_class_index
    assert target.reports_classes is reports_classes
    assert target.reads_logits is reads_logits
    assert repr(target) == shown
    assert hash(target) == hash(targets.get(target))
    with pytest.raises(FrozenInstanceError):
        target.index = 3


@pytest.mark.parametrize("wrong", [-1, True, 2.0, None, "7", [], [1, 1], [0, -1], [0, True], np.array([[1]])])
def test_what_no_class_index_is(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`index` must be a class index from 0, or a list .*Received: "):
        ClassIndex(wrong)


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, None, "3", 2**16])
def test_what_no_number_of_classes_is(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`k` must be a number of classes from 1 to 65535\. Received: "):
        TopK(wrong)


@pytest.mark.parametrize("wrong", [None, 3, "predicted", [second]])
def test_a_score_needs_a_function(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`function` must be a callable .*Received: "):
        Score(wrong)


@pytest.mark.parametrize("wrong", ["logit", "outputs", None, 1])
def test_a_score_is_on_the_output_or_the_logits(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`on` must be one of 'output', 'logits'\. Received: "):
        Score(second, on=wrong)


# --- saving ---


@pytest.mark.parametrize(
    "target",
    [
        *(Predicted(), FromInput(), TopK(3), ClassIndex(7), ClassIndex([7, 0]), ClassIndex([7])),
        *(Score(second), Score(second, on="logits")),
    ],
    ids=repr,
)
def test_keras_saves_and_restores_it(target: Any) -> None:
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(target)))
    for restored in (keras.saving.deserialize_keras_object(config), targets.get(config)):
        assert restored == target
        assert type(restored) is type(target)
        assert restored.suffixes == target.suffixes


# --- in attach ---


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(2)
    return classifier(L.Dense(4, activation="softmax", name="head"))


KINDS = (
    r"`target` must be 'predicted', 'input', 'top<n>' such as 'top3', a class index, a list of different ones, "
    r"a function of the model's output, or a target object such as `ClassIndex\(7\)`"
)
RANGE = r"`target` must be within the model's 4 classes, 0 to 3\. Received: "


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("best", KINDS + r".*Received: 'best'"),
        ("top", KINDS),
        ("top0", KINDS),
        ("top-1", KINDS),
        ("top2.5", KINDS),
        ("top²", KINDS),
        ("", KINDS),
        (None, KINDS + r".*Received: None"),
        (-1, KINDS + r".*Received: -1"),
        (True, KINDS + r".*Received: True"),
        (2.0, KINDS + r".*Received: 2\.0"),
        ([], KINDS + r".*Received: \[\]"),
        ([1, 1], KINDS + r".*Received: \[1, 1\]"),
        ([0, -1], KINDS),
        ([0, True], KINDS),
        (["top1"], KINDS),
        (np.array([[1]]), KINDS),
        (np.array([0.5]), KINDS),
        ({0: 1}, KINDS),
        (4, RANGE + "4"),
        ([0, 9], RANGE + r"\(0, 9\)"),
        ("top5", RANGE + "'top5'"),
    ],
)
def test_what_no_target_is(model: Any, target: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        layercam(model, target=target)


def test_class_indices_have_one_form() -> None:
    assert targets.get([np.int32(2), 0]).index == (2, 0)
    assert targets.get(np.int64(3)).index == 3
    assert type(targets.get(np.int64(3)).index) is int
    assert all(type(k) is int for k in targets.get(np.array([2, 0])).indices)
