"""Finding methods by name, their options and traits, what they cost, and how Keras saves them."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.method_objects import ATTENTION_METHODS, VARIANTS

import visualcnn_tf as vc
from visualcnn_tf import methods
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError
from visualcnn_tf.methods import Cost

CLASSES = {name: type(methods.get(name)) for name in methods.NAMES}


@keras.saving.register_keras_serializable(package="test_registry")
def smallest(activations: Any) -> Any:
    """A method of one's own."""
    return tf.reduce_min(activations, -1)


@keras.saving.register_keras_serializable(package="test_registry")
def products(activations: Any, gradients: Any) -> Any:
    """One that reads gradients."""
    return tf.reduce_max(activations * gradients, -1)


# --- get ---


def test_a_name_means_the_method_with_its_default_options() -> None:
    for name, method_class in CLASSES.items():
        assert methods.get(name) == method_class()
        assert methods.get(name).name == name
    assert len(set(CLASSES.values())) == len(methods.NAMES)


def test_a_method_is_returned_as_it_is() -> None:
    method = methods.GradCAM(relu=False)
    assert methods.get(method) is method


def test_a_function_is_wrapped() -> None:
    assert methods.get(smallest) == methods.Custom(smallest)
    assert methods.get(smallest).name == "smallest"
    assert not methods.get(smallest).needs_gradients
    assert methods.get(products).needs_gradients


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("deviaton", "'deviation'"),
        ("mean-abs", "'mean_abs'"),
        ("L2", "'l2'"),
        ("GradCAM", "'gradcam'"),
        ("Grad-CAM", "'gradcam'"),
        ("GRADCAM++", "'gradcam++'"),
        ("ScoreCAM", "'scorecam'"),
        ("Mean", "'mean'"),
        ("reciprocam ", "'reciprocam'"),
    ],
)
def test_an_unknown_name_offers_a_near_miss(wrong: str, near: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        methods.get(wrong)
    message = str(caught.value)
    assert message.startswith("`method` must be one of 'deviation', 'mean', ")
    assert all(repr(name) in message for name in methods.NAMES)
    assert "or a method object such as `GradCAM()`, or a function" in message
    assert f"Received: {wrong!r}. Did you mean {near}" in message


@pytest.mark.parametrize("wrong", ["", "no such thing", None, 3, ["mean"], b"mean", {"method": "mean"}])
def test_what_is_no_method(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`method` must be one of .* or a method object .* Received: ") as e:
        methods.get(wrong)
    assert "Did you mean" not in str(e.value)


@pytest.mark.parametrize("name", methods.NAMES)
def test_a_class_must_be_called(name: str) -> None:
    wrong = CLASSES[name]
    with pytest.raises(InvalidTypeError) as caught:
        methods.get(wrong)
    message = str(caught.value)
    assert message.startswith("`method` must be a method, not its class. ")
    assert f"Received: {wrong.__name__}. Call it: `{wrong.__name__}()`" in message


def test_the_error_names_the_argument_that_is_meant() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^`fusion` must be one of "):
        methods.get("no such thing", "fusion")


# --- options and traits ---


@pytest.mark.parametrize("method", VARIANTS, ids=repr)
def test_methods_are_immutable_values(method: Any) -> None:
    twin = type(method)(**{field.name: getattr(method, field.name) for field in fields(method)})
    assert twin == method
    assert twin is not method
    assert hash(twin) == hash(method)
    assert len({*VARIANTS}) == len(VARIANTS)
    with pytest.raises(FrozenInstanceError):
        method.relu = False


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        (methods.Deviation(), "Deviation()"),
        (methods.L2(), "L2()"),
        (methods.GradCAM(), "GradCAM(relu=True)"),
        (methods.GradCAMPlusPlus(relu=False), "GradCAMPlusPlus(relu=False)"),
        (methods.ReciproCAM(), "ReciproCAM()"),
        (methods.ScoreCAM(max_channels=32), "ScoreCAM(max_channels=32, relu=True)"),
        (methods.AblationCAM(relu=False), "AblationCAM(max_channels=None, relu=False)"),
        (methods.AttentionRollout(heads="max"), "AttentionRollout(residual=0.5, heads='max')"),
        (methods.GradientRollout(), "GradientRollout()"),
        (methods.Custom(smallest), "Custom(smallest)"),
        (methods.Custom(lambda a: a), "Custom(<lambda>)"),
    ],
)
def test_repr(method: Any, shown: str) -> None:
    assert repr(method) == shown


#: Of each method: needs gradients, needs a replay, may be negative before the ReLU, has a ReLU, can be in int8.
TRAITS = {
    "deviation": (False, False, False, False, True),
    "mean": (False, False, True, False, True),
    "mean_abs": (False, False, False, False, True),
    "max": (False, False, True, False, True),
    "l2": (False, False, False, False, True),
    "std": (False, False, False, False, True),
    "eigen": (False, False, True, False, False),
    "gradcam": (True, False, True, True, False),
    "gradcam++": (True, False, True, True, False),
    "hirescam": (True, False, True, True, False),
    "layercam": (True, False, True, True, False),
    "xgradcam": (True, False, True, True, False),
    "eigengradcam": (True, False, True, True, False),
    "reciprocam": (False, True, True, False, False),
    "scorecam": (False, True, True, True, False),
    "ablationcam": (False, True, True, True, False),
    "attentionrollout": (False, False, False, False, False),
    "gradientrollout": (True, False, False, False, False),
    "detclassmap": (False, False, False, False, False),
}


@pytest.mark.parametrize("name", methods.NAMES)
def test_traits(name: str) -> None:
    method, (gradients, replay, signed, relu, integers) = methods.get(name), TRAITS[name]
    assert (method.needs_gradients, method.needs_replay) == (gradients, replay)
    head = name == "detclassmap"
    assert method.explains_target is (gradients or replay or head)
    assert method.supports_integers is integers
    attention = name in ATTENTION_METHODS
    assert isinstance(method, methods.AttentionMethod) is method.needs_attention is attention
    assert isinstance(method, methods.GradientMethod) is (gradients and not attention)
    assert isinstance(method, methods.ReplayMethod) is replay
    assert isinstance(method, methods.HeadMethod) is method.needs_head is head
    assert isinstance(method, methods.ActivationMethod) is not (gradients or replay or attention or head)
    assert method.returns_maps is (replay or attention or head)
    assert hasattr(method, "relu") is method.keeps_positive is relu
    assert method.is_signed is (signed and not relu)
    if relu:
        without = type(method)(relu=False)
        assert not without.keeps_positive
        assert without.is_signed


@pytest.mark.parametrize(
    ("method", "cost"),
    [
        *((name, Cost(0, "nothing")) for name in ("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen")),
        *(
            (name, Cost(1, "backward pass"))
            for name in ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigengradcam", "gradientrollout")
        ),
        ("reciprocam", Cost(7 * 5, "head")),
        ("scorecam", Cost(64, "model")),
        ("ablationcam", Cost(64, "head")),
        ("attentionrollout", Cost(0, "nothing")),
        ("detclassmap", Cost(0, "nothing")),
        (methods.ScoreCAM(max_channels=32), Cost(32, "model")),
        (methods.ScoreCAM(max_channels=100), Cost(64, "model")),
        (methods.AblationCAM(max_channels=3), Cost(3, "head")),
        (smallest, Cost(0, "nothing")),
        (products, Cost(1, "backward pass")),
    ],
)
def test_cost_of_a_layer_of_7_by_5_positions_and_64_channels(method: Any, cost: Cost) -> None:
    assert methods.get(method).cost((7, 5), 64) == cost


def test_every_method_has_traits() -> None:
    assert tuple(TRAITS) == methods.NAMES


# --- saving ---


@pytest.mark.parametrize("method", [*VARIANTS, methods.Custom(smallest), methods.Custom(products)], ids=repr)
def test_keras_saves_and_restores_it(method: Any) -> None:
    config = keras.saving.serialize_keras_object(method)
    config = json.loads(json.dumps(config))
    assert keras.saving.deserialize_keras_object(config) == method
    assert methods.get(config) == method
    assert type(methods.get(config)) is type(method)


def test_a_method_of_ones_own_class() -> None:
    @keras.saving.register_keras_serializable(package="test_registry")
    class Smallest(methods.ActivationMethod):
        name = "smallest"

        def __call__(self, activations: Any) -> Any:
            return tf.reduce_min(activations, -1)

    layer = vc.FeatureMapFusion(Smallest(), normalize=None)
    assert layer(tf.constant([[[[1.0, 3.0]]]])).numpy().tolist() == [[[1.0]]]
    assert vc.FeatureMapFusion.from_config(layer.get_config()).method == Smallest()


@pytest.mark.parametrize("wrong", [None, 3, "mean", [tf.reduce_max]])
def test_a_custom_method_needs_a_function(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`function` must be a callable .*Received: "):
        methods.Custom(wrong)
