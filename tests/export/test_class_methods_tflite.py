"""Maps of classes in TensorFlow Lite files, run in LiteRT, on the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.method_objects import GRADIENT_METHODS, REPLAY_METHODS
from support.model_kinds import KINDS, small_cnn_layers
from support.runtimes import run_litert
from support.trained import LAYERS, digits, digits_cnn

import visualcnn_tf as vc
from visualcnn_tf.errors import ExpensiveMethodWarning, ExportVerificationError, UnsupportedOperationError
from visualcnn_tf.export import tflite_verification
from visualcnn_tf.export.tflite_interpreter import interpreter

METHODS = [*GRADIENT_METHODS, *REPLAY_METHODS]
RAW: dict[str, Any] = {"normalize": None, "size": None}


@pytest.fixture(scope="module")
def cnn() -> Any:
    return digits_cnn()


def attach(model: Any, name: str, relu: bool = True, **options: Any) -> Any:
    """At all four layers; at fewer, or with fewer channels, for methods that run the model again for each."""
    if name == "reciprocam":
        return vc.attach(model, ["pool", "conv3"], method=name, **options)
    limit = {"max_channels": 8} if name in REPLAY_METHODS else {}
    method = type(vc.methods.get(name))(relu=relu, **limit)
    return vc.attach(model, list(LAYERS), method=method, **options)


def assert_equal(got: dict[str, np.ndarray], want: dict[str, Any], tolerance: float = 1e-4) -> None:
    """Each map to ``tolerance`` of the largest value of that map, but for one image in eight in which a ReLU flips.

    An activation of 1e-7 on one side and of -1e-7 on the other passes its gradient on here and not there.
    """
    assert set(got) == set(want)
    for name, value in want.items():
        value = np.asarray(value)
        assert got[name].shape == value.shape, name
        off = [difference(a, b) > tolerance for a, b in zip(got[name], value, strict=True)]
        assert sum(off) <= len(off) // 8, name
        for index in np.flatnonzero(off):
            assert difference(got[name][index], value[index]) < 1e-2, name
            assert np.corrcoef(got[name][index].ravel(), value[index].ravel())[0, 1] >= 0.9999, name


def difference(got: Any, want: Any) -> float:
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-6))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_in_float32(cnn: Any, tmp_path: Path, method: str) -> None:
    explained = attach(cnn, method, **RAW)
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert report.builtin_only
    x = digits().test_images[:8]
    want = explained.predict(x, verbose=0)
    assert all(want[name].any() for name in explained.heatmap_names)
    assert_equal(run_litert(report.path, x), want)


@pytest.mark.slow
@pytest.mark.parametrize("quantize", [None, "float16"])
def test_the_last_layer_is_in_the_file_once(tmp_path: Path, quantize: str | None) -> None:
    """Its matrix is most of this model; a map of a class that is asked for reads columns of it."""
    image = keras.Input((8, 8, 3), name="image")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(256, 3, activation="relu", name="conv")(image))
    model = keras.Model(image, L.Dense(1000, activation="softmax")(pooled))
    explained = vc.attach(model, "conv", method="gradcam", target="input", **RAW)
    sizes = [
        vc.export_tflite(each, tmp_path / f"{name}.tflite", quantize=quantize).size
        for name, each in {"bare": model, "explained": explained}.items()
    ]
    assert sizes[1] < 1.1 * sizes[0]
    x = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    asked = np.array([7, -1, 999], np.int32)
    want = explained.predict({"image": x, "class_index": asked}, verbose=0)
    got = run_litert(tmp_path / "explained.tflite", x, class_index=asked)
    np.testing.assert_array_equal(got["explained_class"], want["explained_class"])
    assert_equal(got, want, 1e-4 if quantize is None else 1e-2)


# In integers, more ReLUs flip. Grad-CAM's weights are means in which gradients of both signs nearly cancel before a
# Flatten, as here, so it suffers most; the singular vector of Eigen-Grad-CAM turns around where two values are close.
LOWEST = {"gradcam": 0.98, "eigengradcam": 0.9}
EVERYDAY = [("gradcam", "float16"), ("gradcam", "dynamic"), ("gradcam", "int8"), ("layercam", "int8")]
QUANTIZED = [
    pytest.param(method, quantize, marks=() if (method, quantize) in EVERYDAY else pytest.mark.slow)
    for method in METHODS
    for quantize in ("float16", "dynamic", "int8")
]


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(("method", "quantize"), QUANTIZED)
def test_quantized_models_explain_the_class_alike(cnn: Any, tmp_path: Path, method: str, quantize: str) -> None:
    data: Any = {"representative_data": digits().train_images[:100]} if quantize == "int8" else {}
    # Signed, and not scaled to [0, 1]: of a map that is nearly all evidence against the class, the ReLU leaves a few
    # faint positions, and scaling blows them up.
    explained = attach(cnn, method, relu=False, **RAW)
    report = vc.export_tflite(explained, tmp_path / "m.tflite", quantize=quantize, verify=False, **data)
    assert report.builtin_only
    x = digits().test_images[:50]
    want, got = explained.predict(x, verbose=0), run_litert(report.path, x)
    same = got["explained_class"] == want["explained_class"]
    assert same.sum() >= 45
    for name in explained.heatmap_names:
        found = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(got[name], want[name], strict=True)])
        print(f"{quantize} {name} {method}: {found[same].mean():.4f}, lowest {found[same].min():.4f}")
        assert found[same].mean() >= LOWEST.get(method, 0.99), name


@pytest.mark.slow
def test_integers_explain_the_class_alike_before_global_pooling(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(16, 5, strides=2, activation="relu", name="one"), L.Conv2D(32, 3, activation="relu", name="two")]
    model = keras.Sequential(
        [keras.Input((28, 28, 1), name="image"), *layers, L.GlobalAveragePooling2D(), L.Dense(10, activation="softmax")]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(digits().train_images, digits().train_labels, epochs=4, verbose=0)
    explained = vc.attach(model, ["one", "two"], method="gradcam")
    data = digits().train_images[:100]
    path = vc.export_tflite(explained, tmp_path / "m.tflite", quantize="int8", representative_data=data).path
    x = digits().test_images[:50]
    want, got = explained.predict(x, verbose=0), run_litert(path, x)
    same = got["explained_class"] == want["explained_class"]
    assert same.sum() >= 45
    for name in explained.heatmap_names:
        pairs = zip(got[name][same], want[name][same], strict=True)
        assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]) >= 0.99, name


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("batch_size", [1, None])
def test_a_class_can_be_chosen(cnn: Any, tmp_path: Path, batch_size: int | None) -> None:
    explained = vc.attach(cnn, "conv3", method="gradcam", target="input", **RAW)
    report = vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch_size)
    x = np.repeat(digits().test_images[:1], 6, 0)
    asked = np.array([7, 3, -1, 10, -2, 2**31 - 1], np.int32)
    got = run_litert(report.path, x, class_index=asked)
    assert_equal(got, explained.predict({"image": x, "class_index": asked}, verbose=0))
    predicted = got["predictions"][0].argmax()
    np.testing.assert_array_equal(got["explained_class"], [7, 3, predicted, -1, -1, -1])
    assert not got["heatmap_conv3"][3:].any()
    for k in (7, 3):
        [index] = np.flatnonzero(asked == k)
        alone = vc.attach(cnn, "conv3", method="gradcam", target=k, **RAW)(x[:1])
        assert_equal({"m": got["heatmap_conv3"][index : index + 1]}, {"m": alone["heatmap_conv3"]})
    if batch_size is None:
        runner = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
        assert_equal(runner(image=x, class_index=asked), got)
    plain = interpreter(report.path.read_bytes()).get_signature_runner("predict")
    assert list(plain.get_input_details()) == ["image"]


@pytest.mark.slow
def test_a_class_can_be_chosen_in_integers(cnn: Any, tmp_path: Path) -> None:
    explained = vc.attach(cnn, "conv3", method="layercam", target="input")
    data = digits().train_images[:100]
    path = vc.export_tflite(explained, tmp_path / "m.tflite", quantize="int8", representative_data=data).path
    x, asked = np.repeat(digits().test_images[:1], 3, 0), np.array([4, -1, 10], np.int32)
    got, want = run_litert(path, x, class_index=asked), explained.predict({"image": x, "class_index": asked}, verbose=0)
    np.testing.assert_array_equal(got["explained_class"], want["explained_class"])
    for index in (0, 1):
        pair = got["heatmap_conv3"][index].ravel(), want["heatmap_conv3"][index].ravel()
        assert np.corrcoef(*pair)[0, 1] > 0.99
    assert not got["heatmap_conv3"][2].any()


@pytest.mark.slow
def test_several_methods_and_classes_as_bytes(cnn: Any, tmp_path: Path) -> None:
    methods = ["deviation", "gradcam", "reciprocam"]
    explained = vc.attach(cnn, "conv3", method=methods, target="top3", heatmap_dtype="uint8")
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    x = digits().test_images[:4]
    got, want = run_litert(report.path, x), explained.predict(x, verbose=0)
    assert set(got) == set(want)
    assert len(explained.heatmap_names) == 7
    np.testing.assert_array_equal(got["explained_class"], np.argsort(-want["predictions"])[:, :3])
    for name in explained.heatmap_names:
        assert got[name].dtype == np.uint8
        assert got[name].max() == 255
        assert np.abs(got[name].astype(int) - want[name]).max() <= 1


@pytest.mark.slow
def test_mixed_precision_is_exported_as_a_float32_copy(tmp_path: Path) -> None:
    case = KINDS["mixed_float16"]()
    explained = vc.attach(case.model, "last", method=["gradcam", "reciprocam"], **RAW)
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    x = case.inputs[:1]
    got = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
    served = got(**{explained.plan.inputs.names[0]: x})
    for name, value in explained(x).items():
        np.testing.assert_allclose(difference(served[name], np.asarray(value)), 0, atol=2e-2, err_msg=name)


def test_a_file_that_would_need_a_loop_is_refused(cnn: Any, tmp_path: Path) -> None:
    with pytest.warns(ExpensiveMethodWarning):
        explained = vc.attach(cnn, "conv1", method="reciprocam")
    for batch_size in (1, None):
        with pytest.raises(UnsupportedOperationError, match=r"'reciprocam' would run .* loop.*`batch_size=1`"):
            vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch_size)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_many_channels_need_max_channels(tmp_path: Path) -> None:
    layers = [L.Conv2D(65, 3, strides=2, name="wide"), L.GlobalMaxPooling2D(), L.Dense(2)]
    wide = keras.Sequential([keras.Input((200, 200, 1), name="image"), *layers])
    for method in ("scorecam", "ablationcam"):
        with pytest.raises(UnsupportedOperationError, match=rf"'{method}' would run .* loop.*`max_channels`"):
            vc.export_tflite(vc.attach(wide, "wide", method=method), tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())
    limited = [vc.methods.ScoreCAM(max_channels=64), vc.methods.AblationCAM(max_channels=64)]
    few = vc.attach(wide, "wide", method=limited)
    assert vc.export_tflite(few, tmp_path / "m.tflite", verify=False).builtin_only


class Contrast(L.Layer):
    def call(self, x: Any) -> Any:
        return tf.nn.local_response_normalization(x)


def test_an_operation_without_a_gradient_of_builtin_ones_is_refused_by_name(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((9, 9, 4)), L.Conv2D(8, 3, name="conv"), Contrast(name="contrast"), L.Flatten(), L.Dense(3)]
    )
    explained = vc.attach(model, "conv", method="gradcam")
    with pytest.raises(UnsupportedOperationError, match=r"'LRNGrad'.* through 'LRN' in '.*contrast.*', .*'reciprocam'"):
        vc.export_tflite(explained, tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())
    assert vc.export_tflite(vc.attach(model, "conv", method="reciprocam"), tmp_path / "m.tflite").builtin_only
    assert vc.export_tflite(vc.attach(model, "contrast", method="gradcam"), tmp_path / "n.tflite").builtin_only


@pytest.fixture(scope="module")
def small() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 2), name="image"), *small_cnn_layers()], name="cnn")


def forged(monkeypatch: pytest.MonkeyPatch, **outputs: Any) -> None:
    """Makes the interpreter return other outputs, by what changes them."""

    class Forged:
        def __init__(self, content: bytes) -> None:
            self.runner = interpreter(content).get_signature_runner("serving_default")
            self.get_input_details, self.get_output_details = (
                self.runner.get_input_details,
                self.runner.get_output_details,
            )

        def get_signature_runner(self, name: str) -> Any:
            return self

        def __call__(self, **feeds: Any) -> dict[str, Any]:
            got = self.runner(**feeds)
            return {**got, **{name: change(got[name]) for name, change in outputs.items()}}

    monkeypatch.setattr(tflite_verification, "interpreter", Forged)


@pytest.mark.slow
def test_rounding_may_flip_the_explained_class(small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explained = vc.attach(small, "pool", method="gradcam")
    forged(monkeypatch, explained_class=lambda k: k + 1, heatmap_pool=lambda maps: maps[:, ::-1])
    report = vc.export_tflite(explained, tmp_path / "m.tflite", quantize="float16")
    assert report.outputs["explained_class"].max_difference == 1
    assert report.outputs["heatmap_pool"].max_difference > 0.1
    with pytest.raises(ExportVerificationError, match="'explained_class'"):
        vc.export_tflite(explained, tmp_path / "float32.tflite")


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(
    ("output", "change", "error"),
    [
        ("predictions", lambda p: p + 1, "differs from the model in 'predictions'"),
        ("heatmap_pool_gradcam", lambda maps: maps * np.nan, "differs from the model in 'heatmap_pool_gradcam'"),
        ("heatmap_pool_deviation", lambda maps: 1 - maps, "differs from the model in 'heatmap_pool_deviation'"),
    ],
)
def test_differences_that_rounding_does_not_explain_are_refused(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, change: Any, error: str
) -> None:
    explained = vc.attach(small, "pool", method=["deviation", "gradcam"])
    forged(monkeypatch, **{output: change, "explained_class": lambda k: k + 1})
    with pytest.raises(ExportVerificationError, match=error):
        vc.export_tflite(explained, tmp_path / "m.tflite", quantize="float16")
    assert not list(tmp_path.iterdir())


def test_another_map_of_the_same_class_raises_a_warning_on_noise(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(monkeypatch, heatmap_pool=lambda maps: 1 - maps)
    explained = vc.attach(small, "pool", method="gradcam", target=0)
    with pytest.warns(
        UserWarning, match=r"'heatmap_pool' correlates by -1.00 .* on noise.* Pass `representative_data`"
    ):
        vc.export_tflite(explained, tmp_path / "m.tflite", quantize="dynamic")
