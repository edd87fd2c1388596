"""Rollouts of attention in whole models, against transformers by hand in float64; in every way that models run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle_attention, transformers
from support.oracle_attention import ByHand
from support.runtimes import run_litert

import visualcnn_tf as vc

RAW: dict[str, Any] = {"size": None, "normalize": None}
BOTH = ("attentionrollout", "gradientrollout")
PATCHES = 16
#: Models, the tokens before those of patches, and those that the head reads.
MODELS: dict[str, tuple[Callable[[], Any], int, Sequence[int]]] = {
    "class token": (transformers.vit, 1, [0]),
    "class token and registers": (lambda: transformers.vit(registers=2, blocks=3), 1, [0]),
    "mean of patches": (lambda: transformers.vit("mean", registers=2), 0, range(PATCHES)),
    "hybrid": (lambda: transformers.vit("mean", hybrid=True, heads=4), 0, range(PATCHES)),
    "two class tokens": (transformers.deit, 2, [0, 1]),
    "relative positions": (transformers.beit, 1, range(1, PATCHES + 1)),
}


@pytest.fixture
def float64() -> Iterator[None]:
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


def images(batch: int = 3) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(batch, 16, 16, 3)).astype(np.float32)


def truth(hand: ByHand, prefix: int, read: Sequence[int], classes: Any = None, first_block: int = 0) -> np.ndarray:
    """Maps ``(B, 4, 4)`` from a block on: of attention, or of the evidence for a class of each image."""
    return hand.rolled_out((4, 4), prefix, read, classes, first_block)


def assert_close(got: Any, want: np.ndarray, tolerance: float = 1e-5) -> None:
    assert tuple(got.shape) == want.shape
    for one, other in zip(np.asarray(got, np.float64), want, strict=True):
        assert np.ptp(other) > 0
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


# --- values ---


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_papers_in_float64(name: str, float64: None) -> None:
    build, prefix, read = MODELS[name]
    model, x = build(), images().astype(np.float64)
    explained, hand = vc.attach(model, "tokens", method=BOTH, **RAW), ByHand(model, x)
    outputs = explained(x)
    np.testing.assert_allclose(outputs["predictions"], tf.nn.softmax(hand.logits), rtol=0, atol=1e-7)
    classes = outputs["explained_class"].numpy()
    np.testing.assert_array_equal(classes, np.argmax(hand.logits, 1))
    assert_close(outputs["heatmap_tokens_attentionrollout"], truth(hand, prefix, read, None), 1e-6)
    assert_close(outputs["heatmap_tokens_gradientrollout"], truth(hand, prefix, read, classes), 1e-6)


def test_equals_the_papers_in_float32() -> None:
    build, prefix, read = MODELS["relative positions"]
    model, x = build(), images()
    outputs, hand = vc.attach(model, "tokens", method=BOTH, **RAW).predict(x, verbose=0), ByHand(model, x)
    assert_close(outputs["heatmap_tokens_attentionrollout"], truth(hand, prefix, read, None))
    assert_close(outputs["heatmap_tokens_gradientrollout"], truth(hand, prefix, read, outputs["explained_class"]))


def test_all_tokens_that_a_head_flattens_are_read() -> None:
    explained = vc.attach(transformers.keras_io_vit(), "tokens", method="attentionrollout")
    assert explained.taps[0].tokens_read == tuple(range(PATCHES))
    assert vc.attach(transformers.vit(), "tokens", method="attentionrollout").taps[0].tokens_read == (0,)


def test_only_blocks_behind_the_layer_are_rolled_out() -> None:
    model, x = transformers.vit(), images()
    layers = ["block0_norm1", "block0_attended", "block1_norm1"]
    outputs, hand = vc.attach(model, layers, method=BOTH, **RAW)(x), ByHand(model, x)
    classes = outputs["explained_class"].numpy()
    for name, blocks in zip(layers, (0, 1, 1), strict=True):
        assert_close(outputs[f"heatmap_{name}_attentionrollout"], truth(hand, 1, [0], None, blocks))
        assert_close(outputs[f"heatmap_{name}_gradientrollout"], truth(hand, 1, [0], classes, blocks))


def test_each_score_of_a_target_has_its_map() -> None:
    model, x = transformers.vit(), images()
    hand = ByHand(model, x)
    best = np.argsort(-hand.logits.numpy(), 1)
    top = vc.attach(model, "tokens", method=BOTH, target="top2", **RAW)(x)
    assert_close(top["heatmap_tokens_attentionrollout"], truth(hand, 1, [0]))
    for index in range(2):
        assert_close(top[f"heatmap_tokens_gradientrollout_top{index + 1}"], truth(hand, 1, [0], best[:, index]))


def test_a_class_is_asked_for_with_each_image() -> None:
    model, x = transformers.vit(), images(4)
    explained, hand = vc.attach(model, "tokens", method=BOTH, target="input", **RAW), ByHand(model, x)
    asked = np.array([2, -1, 4, 77], np.int32)
    outputs = explained.predict({"image": x, "class_index": asked}, verbose=0)
    best = int(np.argmax(hand.logits[1]))
    np.testing.assert_array_equal(outputs["explained_class"], [2, best, 4, -1])
    want = truth(hand, 1, [0], [2, best, 4, 0])
    assert_close(outputs["heatmap_tokens_gradientrollout"][:3], want[:3])
    np.testing.assert_array_equal(outputs["heatmap_tokens_gradientrollout"][3], np.zeros((4, 4)))
    assert_close(outputs["heatmap_tokens_attentionrollout"], truth(hand, 1, [0], None))


def test_options_of_the_rollout() -> None:
    model, x = transformers.vit(heads=4), images()
    method = vc.methods.AttentionRollout(residual=0.2, heads="max")
    got = vc.attach(model, "tokens", method=method, **RAW)(x)["heatmap_tokens"]
    for index, weights in enumerate(zip(*ByHand(model, x).attention, strict=True)):
        want = oracle_attention.attentionrollout([one.numpy() for one in weights], [0], 0.2, "max")[1:].reshape(4, 4)
        np.testing.assert_allclose(got[index], want, rtol=0, atol=1e-5 * want.max())


# --- which layer ---


#: The first layers that return all tokens: after the class token and the registers.
FIRST = {
    "class token": (transformers.vit, "extra"),
    "none": (transformers.keras_io_vit, "cut"),
    "pixels before": (lambda: transformers.vit("mean", hybrid=True), "reshape"),
}


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("layers", ["last", None])
@pytest.mark.parametrize("name", FIRST)
def test_by_default_a_rollout_starts_at_the_first_tokens(name: str, layers: str | None) -> None:
    build, first = FIRST[name]
    paths = [tap.path for tap in vc.attach(build(), layers, method=BOTH).taps]
    assert [path.split("_")[0] for path in paths] == [first, first]  # Keras numbers the layer that reshapes


def test_beside_other_methods_each_has_its_own_last_layer() -> None:
    explained = vc.attach(transformers.vit(), "last", method=["gradcam", "gradientrollout"])
    paths = [tap.path for tap in explained.taps]
    assert paths[1] == "extra"
    assert paths[0] not in ("extra", "tokens")


# --- in every way ---


@pytest.fixture(scope="module")
def explained() -> Any:
    return vc.attach(transformers.vit(registers=1), "tokens", method=BOTH, target="input")


X, ASKED = images(), np.array([1, 4, -1], np.int32)
GIVEN = {"image": X, "class_index": ASKED}


@pytest.fixture(scope="module")
def predicted(explained: Any) -> Any:
    outputs = explained.predict(GIVEN, verbose=0)
    assert all(np.ptp(outputs[name]) == 1 for name in explained.heatmap_names)
    return outputs


def assert_same(got: Any, want: Any, tolerance: float) -> None:
    assert set(got) == set(want)
    for key, value in want.items():
        np.testing.assert_allclose(got[key], value, rtol=0, atol=tolerance, err_msg=key)


def test_calls_and_files(explained: Any, predicted: Any, tmp_path: Path) -> None:
    explained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.plan == explained.plan
    assert_same(loaded(GIVEN), predicted, 1e-6)
    one = loaded({"image": X[:1], "class_index": ASKED[:1]})
    assert_same(one, {key: value[:1] for key, value in predicted.items()}, 1e-5)
    none = loaded({"image": X[:0], "class_index": ASKED[:0]})
    assert none["heatmap_tokens_gradientrollout"].shape == (0, 16, 16)


@pytest.mark.slow
def test_xla(explained: Any, predicted: Any) -> None:
    given = {name: tf.constant(array) for name, array in GIVEN.items()}
    compiled = tf.function(lambda given: explained(given), jit_compile=True)
    assert_same(compiled(given), predicted, 2e-5)


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_tflite(explained: Any, predicted: Any, tmp_path: Path, batch: int) -> None:
    report = vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch, verify=False)
    assert report.builtin_only
    got = run_litert(report.path, X[:batch], class_index=ASKED[:batch])
    assert_same(got, {key: value[:batch] for key, value in predicted.items()}, 1e-5)


@pytest.mark.slow
def test_saved_model(explained: Any, predicted: Any, tmp_path: Path) -> None:
    path = vc.export_saved_model(explained, tmp_path / "m", warmup=False)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    assert_same(served(image=tf.constant(X), class_index=tf.constant(ASKED)), predicted, 1e-5)


@pytest.mark.slow
def test_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = transformers.vit()
    finally:
        keras.config.set_dtype_policy("float32")
    whole = transformers.vit()
    whole.set_weights(half.get_weights())
    got, want = (vc.attach(model, "tokens", method=BOTH, target=2)(images()) for model in (half, whole))
    for name in ("heatmap_tokens_attentionrollout", "heatmap_tokens_gradientrollout"):
        assert got[name].dtype == tf.float32
        for one, other in zip(got[name].numpy(), want[name].numpy(), strict=True):
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
