"""Exported files are compared with the model on many examples, and refused where they differ on one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support.model_kinds import images, small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.errors import ExportVerificationError, InvalidArgumentError
from visualcnn_tf.export import saved_model_verification, tflite_verification
from visualcnn_tf.export.tflite_interpreter import interpreter


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 2), name="image"), *small_cnn_layers()], name="cnn")


def photos(count: int) -> np.ndarray:
    """Bright images with a spot in another place each."""
    rng = np.random.default_rng(0)
    found = rng.uniform(0, 0.1, (count, 16, 16, 1)).astype("float32")
    for image, (row, column) in zip(found, rng.integers(1, 13, (count, 2)), strict=True):
        image[row : row + 3, column : column + 3] += 0.9
    return found


@pytest.fixture(scope="module")
def spots() -> Any:
    keras.utils.set_random_seed(1)
    positive = keras.initializers.RandomUniform(0, 1)
    return keras.Sequential(
        [
            keras.Input((16, 16, 1), name="image"),
            L.Conv2D(4, 3, padding="same", activation="relu", name="conv", kernel_initializer=positive),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


def forged(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Makes the interpreter return what ``change`` makes of its outputs, which it gets with the number of the call."""

    class Forged:
        calls = 0

        def __init__(self, content: bytes) -> None:
            self.runner = interpreter(content).get_signature_runner("serving_default")
            self.get_input_details = self.runner.get_input_details
            self.get_output_details = self.runner.get_output_details

        def get_signature_runner(self, name: str) -> Any:
            return self

        def __call__(self, **feeds: Any) -> dict[str, Any]:
            got = change(Forged.calls, self.runner(**feeds))
            Forged.calls += 1
            return got

    monkeypatch.setattr(tflite_verification, "interpreter", Forged)


def flip_on(call: int, name: str) -> Any:
    return lambda number, got: {**got, name: 1 - got[name]} if number == call else got


# One bad example of many -------------------------------------------------------------------------------------------


def test_an_int8_file_that_is_blank_on_one_dark_photo_is_refused(spots: Any, tmp_path: Path) -> None:
    explained = vc.attach(spots, "conv")
    x = photos(40)
    x[23] *= 1e-3  # less than a step of the integers
    options: dict[str, Any] = {"quantize": "int8", "representative_data": x}
    with pytest.raises(ExportVerificationError, match=r"'heatmap_conv'.* lowest of 0 \(example 23 of yours\)") as error:
        vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    assert error.value.example == 23
    assert not list(tmp_path.iterdir())
    report = vc.export_tflite(explained, tmp_path / "m.tflite", **options, min_correlation=0)
    check = report.outputs["heatmap_conv"]
    assert check.correlation_min == 0
    assert check.correlation == pytest.approx(39 / 40, abs=0.01)
    assert (check.compared, check.blank) == (40, 0)
    bright = vc.export_tflite(
        explained, tmp_path / "n.tflite", quantize="int8", representative_data=np.delete(x, 23, 0)
    )
    assert bright.outputs["heatmap_conv"].correlation_min > 0.99


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(("options", "calls"), [({}, 60), ({"batch_size": 4}, 15), ({"max_examples": 18}, 18)])
@pytest.mark.parametrize("quantize", [None, "float16", "dynamic"])
def test_a_flipped_map_of_one_example_is_refused(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantize: str | None, options: Any, calls: int
) -> None:
    explained = vc.attach(cnn, "pool")
    options = {"quantize": quantize, "representative_data": images(60, 12, 12, 2), **options}
    forged(monkeypatch, flip_on(calls, "heatmap_pool"))  # after the last call
    report = vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    assert report.outputs["heatmap_pool"].correlation_min > 0.99
    forged(monkeypatch, flip_on(calls - 1, "heatmap_pool"))
    with pytest.raises(ExportVerificationError, match=r"'heatmap_pool'.*\(example \d+ of yours\), where .* is allowed"):
        vc.export_tflite(explained, tmp_path / "n.tflite", **options)
    assert [file.name for file in tmp_path.iterdir()] == ["m.tflite"]


def test_a_map_of_a_class_is_judged_on_the_users_examples(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = vc.attach(cnn, "pool", method="hirescam", target=0)
    options: dict[str, Any] = {"quantize": "float16", "representative_data": images(20, 12, 12, 2)}
    forged(monkeypatch, flip_on(7, "heatmap_pool"))
    with pytest.raises(ExportVerificationError, match=r"lowest of -1 \(example 7 of yours\), where at least 0.5 on"):
        vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    forged(monkeypatch, flip_on(7, "heatmap_pool"))
    report = vc.export_tflite(explained, tmp_path / "m.tflite", min_correlation=-1, **options)
    assert report.outputs["heatmap_pool"].correlation_min == pytest.approx(-1, abs=1e-3)


def test_many_mediocre_maps_are_refused(cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(size=(12, 12)).astype("float32")

    def blurred(number: int, got: Any) -> Any:
        return {**got, "heatmap_pool": got["heatmap_pool"] + noise * (number % 10 == 0)}

    forged(monkeypatch, blurred)
    with pytest.raises(ExportVerificationError, match=r"and 0\.9 on 95 % of them is allowed.*`min_correlation`"):
        vc.export_tflite(
            vc.attach(cnn, "pool", method="gradcam", target=0),
            tmp_path / "m.tflite",
            quantize="dynamic",
            representative_data=images(40, 12, 12, 2),
        )


def test_a_saved_model_that_differs_on_one_example_is_refused(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = saved_model_verification._session
    row = 0

    def wrong(folder: Path, name: str) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Any:
            with session(folder, name) as run:

                def changed(signature: str, feed: Any) -> Any:
                    got = run(signature, feed)
                    hit = np.isin(feed["image"][:, 0, 0, 0], x[row, 0, 0, 0])
                    if "heatmap_pool" in got:
                        got["heatmap_pool"] = got["heatmap_pool"] + 0.01 * hit[:, None, None]
                    return got

                yield changed

        return opened()

    monkeypatch.setattr(saved_model_verification, "_session", wrong)
    x = images(19, 12, 12, 2)
    for row in (0, 9, 18):
        with pytest.raises(ExportVerificationError, match=rf"'heatmap_pool', example {row} of yours: by 0.01") as error:
            vc.export_saved_model(vc.attach(cnn, "pool"), tmp_path / "m", representative_data=x)
        assert error.value.example == row
    assert not list(tmp_path.iterdir())
    row = 18
    vc.export_saved_model(vc.attach(cnn, "pool"), tmp_path / "m", representative_data=x, max_examples=18)


# Classes and detections --------------------------------------------------------------------------------------------


def test_another_predicted_class_is_counted_and_its_map_left_out(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_class(number: int, got: Any) -> Any:
        if number % 5:
            return got
        order = np.argsort(got["predictions"])[:, ::-1]
        predictions = got["predictions"].copy()
        predictions[:, order[0, :2]] = predictions[:, order[0, 1::-1]]
        return {"predictions": predictions, "explained_class": order[:, 1], "heatmap_pool": 1 - got["heatmap_pool"]}

    explained = vc.attach(cnn, "pool", method="hirescam")
    options: dict[str, Any] = {"quantize": "dynamic", "representative_data": images(20, 12, 12, 2)}
    forged(monkeypatch, other_class)
    with pytest.raises(ExportVerificationError, match=r"same class for 80\.0% of 20 examples.*\(example 0 of yours\)"):
        vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    forged(monkeypatch, other_class)
    report = vc.export_tflite(explained, tmp_path / "m.tflite", **options, min_agreement=0.8)
    assert report.outputs["predictions"].agreement == 0.8
    assert report.outputs["explained_class"].agreement == 0.8
    assert report.outputs["heatmap_pool"].compared == 16
    assert report.outputs["heatmap_pool"].correlation_min > 0.9


@keras.saving.register_keras_serializable(package="tests")
class TopBoxes(L.Layer):
    """Boxes in the order of their scores."""

    def call(self, boxes: Any, scores: Any) -> Any:
        best, order = keras.ops.top_k(scores, 4)
        return {"boxes": keras.ops.take_along_axis(boxes, order[..., None], 1), "scores": best}


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.0, 1e-7, 0.1])
def test_boxes_of_equal_scores_may_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float) -> None:
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 1), name="image")
    maps = L.Conv2D(6, 3, name="conv", bias_initializer="ones")(image)
    boxes = L.Reshape((6, 4))(L.Dense(24)(L.GlobalAveragePooling2D()(maps)))
    scores = L.Dense(6, kernel_initializer="zeros", name="scores")(L.GlobalAveragePooling2D()(maps))
    model = keras.Model(image, TopBoxes()(boxes, scores))
    model.get_layer("scores").bias.assign([0.9, 0.5 + gap, 0.5, 0.3, 0.2, 0.1])
    forged(monkeypatch, lambda _, got: {**got, "boxes": got["boxes"][:, [0, 2, 1, 3]]})
    explained = vc.attach(model, "conv")
    options: dict[str, Any] = {"representative_data": images(5, 8, 8, 1)}
    if gap == 0.1:
        with pytest.raises(ExportVerificationError, match="'boxes'"):
            vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    else:
        report = vc.export_tflite(explained, tmp_path / "m.tflite", **options)
        assert report.outputs["boxes"].max_difference < 1e-5


# The report, and the options ---------------------------------------------------------------------------------------


def test_the_report_has_one_line_for_each_output(spots: Any, tmp_path: Path) -> None:
    x = photos(30)
    x[:4] = 0
    explained = vc.attach(spots, "conv", method=["mean", "hirescam"])
    report = vc.export_tflite(explained, tmp_path / "m.tflite", representative_data=x)
    lines = str(report).splitlines()
    assert "compared with the model on 30 examples: yours" in lines
    start = next(i for i, line in enumerate(lines) if line.startswith("output"))
    rows = {line.split()[0]: line.split()[1:] for line in lines[start + 1 :]}
    assert list(rows) == list(explained.output_names)
    assert rows["heatmap_conv_mean"][1:] == ["1.0000", "1.0000", "1.0000", "30", "4"]
    assert rows["predictions"][-2:] == ["30", "100.0%"]
    assert rows["explained_class"][1:] == ["30", "100.0%"]
    assert report.outputs["heatmap_conv_mean"].blank == 4
    assert report.outputs["heatmap_conv_hirescam"].blank >= 4
    assert max(map(len, lines[1:])) <= 100


def test_noise_is_called_noise(spots: Any, tmp_path: Path) -> None:
    report = vc.export_tflite(vc.attach(spots, "conv"), tmp_path / "m.tflite", batch_size=None)
    assert "compared with the model on 2 examples: noise, for want of `representative_data`" in str(report)
    assert (report.examples, report.is_noise) == (2, True)
    one = vc.export_tflite(vc.attach(spots, "conv"), tmp_path / "n.tflite")
    assert "on 1 example: noise" in str(one)


def test_int8_is_compared_on_examples_from_all_of_the_data(
    spots: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(monkeypatch, flip_on(9, "heatmap_conv"))
    with pytest.raises(ExportVerificationError, match=r"\(example 99 of yours\)"):
        vc.export_tflite(
            vc.attach(spots, "conv"),
            tmp_path / "m.tflite",
            quantize="int8",
            representative_data=photos(100),
            max_examples=10,
        )


@pytest.mark.slow
def test_min_correlation_takes_the_place_of_the_tolerance(cnn: Any, tmp_path: Path, monkeypatch: Any) -> None:
    ripple = np.where(np.arange(144) % 2, 0.02, -0.02).reshape(12, 12).astype("float32")
    change = lambda _, got: {**got, "heatmap_pool": got["heatmap_pool"] + ripple}  # noqa: E731
    explained = vc.attach(cnn, "pool")
    options: dict[str, Any] = {"representative_data": images(9, 12, 12, 2)}
    forged(monkeypatch, change)
    with pytest.raises(ExportVerificationError, match=r"difference 0\.02"):
        vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    with pytest.raises(ExportVerificationError, match=r"at least 0\.99999 on every example is allowed"):
        vc.export_tflite(explained, tmp_path / "m.tflite", **options, min_correlation=0.99999)
    check = vc.export_tflite(explained, tmp_path / "m.tflite", **options, min_correlation=0.9).outputs["heatmap_pool"]
    assert 0.9 < check.correlation_min < 0.99999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_examples": 0}, "`max_examples` must be a number of at least 1. Received: 0"),
        ({"max_examples": True}, "`max_examples` must be a number"),
        ({"max_examples": 5}, "`max_examples` must be left out without `representative_data`"),
        ({"min_correlation": 1.5}, "`min_correlation` must be a number from -1 to 1, or None. Received: 1.5"),
        ({"min_correlation": "high"}, "`min_correlation` must be a number from -1 to 1"),
        ({"min_agreement": -0.1}, "`min_agreement` must be a number from 0 to 1, or None. Received: -0.1"),
        ({"min_agreement": float("nan")}, "`min_agreement` must be a number from 0 to 1"),
        ({"min_correlation": 0.5, "verify": False}, "`min_correlation` must be None with `verify=False`"),
        ({"min_agreement": 0.5, "verify": False}, "`min_agreement` must be None with `verify=False`"),
    ],
)
def test_bad_options(cnn: Any, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        vc.export_tflite(vc.attach(cnn), tmp_path / "m.tflite", **options)
    if set(options) == {"max_examples"}:
        with pytest.raises(InvalidArgumentError, match=message):
            vc.export_saved_model(vc.attach(cnn), tmp_path / "m", **options)


def test_equal_examples_are_refused_before_any_work(cnn: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from visualcnn_tf.export import tflite

    monkeypatch.setattr(tflite, "convert", lambda *_: pytest.fail("converted"))
    with pytest.raises(InvalidArgumentError, match="`representative_data` must be examples that differ"):
        vc.export_tflite(
            vc.attach(cnn, "pool", method="gradcam", target="input"),
            tmp_path / "m.tflite",
            quantize="int8",
            representative_data=np.ones((20, 12, 12, 2), "float32"),
        )
