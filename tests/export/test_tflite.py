"""Exported TensorFlow Lite files, run in the LiteRT interpreter: builtin operations only, and equal to Keras."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.method_objects import GRADIENT_METHODS, MAP_METHODS, REPLAY_METHODS
from support.model_kinds import KINDS, images, small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.errors import (
    ExportVerificationError,
    InputShapeError,
    InvalidArgumentError,
    PathNotWritableError,
    UnsupportedOperationError,
)
from visualcnn_tf.export import tflite, tflite_verification
from visualcnn_tf.export.float32_copy import float32_copy
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops
from visualcnn_tf.ops.resize import INTERPOLATIONS


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 2), name="image"), *small_cnn_layers()], name="cnn")


def run(path: Path, signature: str = "serving_default", **feeds: Any) -> dict[str, np.ndarray]:
    return interpreter(path.read_bytes()).get_signature_runner(signature)(**feeds)


def assert_equal_to_keras(path: Path, explained: Any, inputs: Any, tolerance: float = 1e-5) -> None:
    known = explained.plan.inputs
    feeds = dict(zip(known.names, known.flatten(inputs), strict=True))
    served, want = run(path, **feeds), explained(inputs)
    assert set(served) == set(want)
    for key, value in want.items():
        value = np.asarray(tf.cast(value, tf.float64))
        assert served[key].shape == value.shape
        # Relative to the range of a map, and to the largest of the few numbers that are predictions.
        scale = float(np.ptp(value)) if key.startswith("heatmap") else float(np.abs(value).max())
        allowed = tolerance * scale + (1.0 if served[key].dtype == np.uint8 else 0.0)
        np.testing.assert_allclose(served[key].astype("float64"), value, atol=allowed, rtol=0, err_msg=key)


OPTIONS = [
    *({"method": method} for method in MAP_METHODS),
    *({"interpolation": name, "size": size} for name in INTERPOLATIONS for size in [(24, 18), (5, 4)]),
    *({"normalize": normalize} for normalize in ["max", ("range", 0.1, 0.4), None]),
    *({"heatmap_dtype": dtype} for dtype in ("float16", "uint8")),
    *({"combine": combine} for combine in ("mean", "max", "product")),
    {"size": None},
]


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_is_builtin_and_equal_to_keras(cnn: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    explained = vc.attach(cnn, **options)
    report = vc.export_tflite(explained, tmp_path / "m.tflite", verify=False)
    assert report.builtin_only
    assert not {"VAR_HANDLE", "READ_VARIABLE"} & set(report.ops)
    assert_equal_to_keras(report.path, explained, images(1, 12, 12, 2))


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize(
    "name",
    [
        "nested_functional",
        "subclassed_called_before",
        "inputs_of_two_kinds",
        "dict_inputs",
        "siamese_two_inputs",
        "several_outputs",
        "dropout_and_batch_normalization",
        "time_distributed",
        "layers_larger_than_the_input",
        "one_dimensional",
        "channels_first",
    ],
)
def test_kinds_of_models(name: str, tmp_path: Path) -> None:
    case = KINDS[name]()
    explained = vc.attach(case.model, **case.options)
    one = keras.tree.map_structure(lambda array: array[:1], case.inputs)
    if explained.plan.inputs.specs[0].fixed is False:
        explained = vc.attach(case.model, input_shape=case.inputs.shape[1:])
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert report.builtin_only
    assert_equal_to_keras(report.path, explained, one)


def test_signatures_share_the_weights(cnn: Any, tmp_path: Path) -> None:
    x = images(1, 12, 12, 2)
    explained = vc.attach(cnn)
    full = vc.export_tflite(explained, tmp_path / "full.tflite")
    bare = vc.export_tflite(cnn, tmp_path / "bare.tflite")
    np.testing.assert_allclose(run(full.path, "predict", image=x)["predictions"], cnn(x), atol=1e-6)
    np.testing.assert_allclose(run(bare.path, image=x)["predictions"], cnn(x), atol=1e-6)
    weights = sum(weight.numpy().nbytes for weight in cnn.weights)
    assert weights < bare.size
    large = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(8, 3), L.Flatten(), L.Dense(512)])
    full = vc.export_tflite(vc.attach(large), tmp_path / "large.tflite")
    assert full.size < 1.02 * sum(weight.numpy().nbytes for weight in large.weights)


@pytest.mark.parametrize("batch_size", [3, None])
def test_batches(cnn: Any, tmp_path: Path, batch_size: int | None) -> None:
    explained = vc.attach(cnn)
    report = vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=batch_size)
    assert_equal_to_keras(report.path, explained, images(3, 12, 12, 2))
    if batch_size is None:
        assert_equal_to_keras(report.path, explained, images(5, 12, 12, 2, seed=1))


def test_quantized_weights(cnn: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(32, 3, activation="relu"), L.Flatten(), L.Dense(64)])
    explained = vc.attach(model)
    sizes = {}
    for quantize, tolerance in [(None, 1e-5), ("float16", 1e-2), ("dynamic", 5e-2)]:
        report = vc.export_tflite(explained, tmp_path / f"{quantize}.tflite", quantize=quantize)
        assert report.builtin_only
        assert_equal_to_keras(report.path, explained, images(1, 16, 16, 3), tolerance)
        sizes[quantize] = report.size
    assert sizes["float16"] < 0.55 * sizes[None]
    assert sizes["dynamic"] < 0.3 * sizes[None]


@pytest.mark.parametrize("io_dtype", [None, "uint8"])
def test_int8_models_with_float_heatmaps(cnn: Any, tmp_path: Path, io_dtype: str | None) -> None:
    data = images(100, 12, 12, 2)
    explained = vc.attach(cnn, "conv*", combine="mean")
    report = vc.export_tflite(
        explained, tmp_path / "m.tflite", quantize="int8", representative_data=[data], io_dtype=io_dtype
    )
    assert report.builtin_only
    assert "QUANTIZE" in report.ops
    assert all(check.correlation > 0.97 for check in report.outputs.values()), report


def test_full_integer(cnn: Any, tmp_path: Path) -> None:
    options: Any = {"quantize": "int8", "representative_data": [images(100, 12, 12, 2)], "full_integer": True}
    report = vc.export_tflite(vc.attach(cnn, "conv_a", normalize="max"), tmp_path / "m.tflite", **options)
    assert report.outputs["heatmap_conv_a"].correlation > 0.99
    for wrong in (
        *({"method": method} for method in ("eigen", *GRADIENT_METHODS, *REPLAY_METHODS)),
        {"method": lambda maps: maps[..., 0]},
        {"heatmap_dtype": "uint8"},
        {"normalize": "minmax"},
    ):
        explained = vc.attach(cnn, "conv_a", **{"normalize": "max", **wrong})
        with pytest.raises(InvalidArgumentError, match="`full_integer` must be False for"):
            vc.export_tflite(explained, tmp_path / "refused.tflite", **options)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_exported_as_a_float32_copy(policy: str, tmp_path: Path) -> None:
    case = KINDS[policy]()
    explained = vc.attach(case.model)
    before = [layer.compute_dtype for layer in case.model.layers]
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    copy = float32_copy(explained)
    assert_equal_to_keras(report.path, copy, case.inputs[:1])
    served = run(report.path, **{explained.plan.inputs.names[0]: case.inputs[:1]})
    for key, value in explained(case.inputs[:1]).items():
        np.testing.assert_allclose(served[key], tf.cast(value, tf.float32), atol=2e-2, err_msg=key)
    assert [layer.compute_dtype for layer in case.model.layers] == before
    assert {layer.compute_dtype for layer in copy.model.layers} == {"float32"}


def test_nan_gives_zeros_on_the_device_too(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((9, 9, 1), name="image"), L.Conv2D(3, 3, name="conv"), L.Flatten()])
    report = vc.export_tflite(vc.attach(model, normalize=None), tmp_path / "m.tflite")
    x = images(1, 9, 9, 1)
    assert run(report.path, image=x)["heatmap_conv"].any()
    for bad in (np.nan, np.inf):
        x[0, 4, 4, 0] = bad
        assert not run(report.path, image=x)["heatmap_conv"].any()


def test_check_numerics_raises_a_warning(cnn: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="`check_numerics` has no effect"):
        vc.export_tflite(vc.attach(cnn, "pool", check_numerics=True), tmp_path / "m.tflite")


def test_an_operation_that_is_not_builtin_is_refused_by_name(cnn: Any, tmp_path: Path) -> None:
    def fusion(maps: Any) -> Any:
        return tf.reduce_sum(tf.linalg.svd(maps, compute_uv=False), -1)[..., None] + maps[..., 0]

    with pytest.raises(UnsupportedOperationError, match=r"'Svd' in '.*heatmap_pool.*' is not built into"):
        vc.export_tflite(vc.attach(cnn, "pool", method=fusion), tmp_path / "m.tflite")
    volume = KINDS["three_dimensional"]()
    with pytest.raises(UnsupportedOperationError, match=r"'MaxPool3D' in '.*pool.*'"):
        vc.export_tflite(vc.attach(volume.model), tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


def test_the_report_is_readable(cnn: Any, tmp_path: Path) -> None:
    report = vc.export_tflite(vc.attach(cnn), tmp_path / "m.tflite")
    content = report.path.read_bytes()
    assert report.size == len(content)
    assert report.ops == count_ops(content)
    assert report.ops["CONV_2D"] == 4  # two, in each of two signatures
    text = str(report)
    for part in ("m.tflite", "float32", "builtin only: yes", "heatmap_conv_b", "SELECT_V2"):
        assert part in text
    assert repr(report) == text  # what a notebook shows
    assert text.startswith(f"{report.path}: {report.size / 1e6:.2f} MB, float32\n")
    assert max(map(len, text.splitlines()[1:])) <= 100
    unverified = vc.export_tflite(cnn, tmp_path / "n.tflite", verify=False)
    assert not unverified.outputs
    assert "not compared with the model" in repr(unverified)
    assert set(report.outputs) == {"predictions", "heatmap_conv_a", "heatmap_pool", "heatmap_conv_b"}
    assert all(check.max_difference < 1e-5 and check.correlation > 0.9999 for check in report.outputs.values())


def test_verification_notices_a_wrong_file(cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explained = vc.attach(cnn)
    content = vc.export_tflite(explained, tmp_path / "m.tflite").path.read_bytes()
    monkeypatch.setattr(tflite, "convert", lambda *_: content)
    weight = cnn.weights[0]
    before = weight.numpy()
    weight.assign(before * 2)
    try:
        with pytest.raises(ExportVerificationError, match="differs from the model"):
            vc.export_tflite(explained, tmp_path / "wrong.tflite")
    finally:
        weight.assign(before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.tflite"]


def test_failed_writes_name_the_path_and_leave_nothing(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(PathNotWritableError, match="`path` must be a file or folder that can be written"):
        vc.export_tflite(cnn, tmp_path / "file" / "m.tflite")
    write = Path.write_bytes

    def disk_full(path: Path, content: bytes) -> int:
        write(path, content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(PathNotWritableError, match=f"{tmp_path / 'm.tflite'}': {os.strerror(errno.ENOSPC)}"):
        vc.export_tflite(cnn, tmp_path / "m.tflite")
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["kept"]


def test_heatmaps_are_traced_once(tmp_path: Path) -> None:
    traced = []

    def fusion(maps: Any) -> Any:
        traced.append(maps)
        return maps[..., 0]

    model = keras.Sequential([keras.Input((9, 9, 1)), L.Conv2D(3, 3, name="conv"), L.Flatten()])
    explained = vc.attach(model, "conv", method=fusion)
    traced.clear()
    vc.export_tflite(explained, tmp_path / "m.tflite")
    assert len(traced) == 1


def test_a_heatmap_leaves_xnnpack_only_to_find_nan_and_rounding(tmp_path: Path) -> None:
    # Every other operation cuts the model into pieces, and between them its threads wait for each other.
    model = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(8, 3, strides=2, padding="same", name="conv")])
    report = vc.export_tflite(vc.attach(model, "conv"), tmp_path / "m.tflite")
    assert report.outside_xnnpack == ("EQUAL", "GREATER", "LOGICAL_AND", "SELECT_V2")
    assert {report.ops[name] for name in report.outside_xnnpack} == {1}
    assert report.ops["RESIZE_BILINEAR"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int4"}, r"`quantize` must be one of None, 'float16', 'dynamic', 'int8'"),
        ({"quantize": "int8"}, r"`representative_data` must be given"),
        ({"representative_data": []}, r"`representative_data` must be examples"),
        ({"representative_data": 5}, r"`representative_data` must be an iterable"),
        ({"representative_data": [np.full((12, 12, 2), np.nan)]}, r"`representative_data` must be finite"),
        ({"io_dtype": "int8"}, r"`io_dtype` must be None unless"),
        ({"full_integer": True}, r"`full_integer` must be False unless"),
        ({"quantize": "int8", "representative_data": [], "io_dtype": "int16"}, r"`io_dtype` must be one of"),
        ({"quantize": "int8", "representative_data": []}, r"`representative_data` must be examples"),
        ({"quantize": "int8", "representative_data": 5}, r"`representative_data` must be an iterable"),
        (
            {"representative_data": [], "verify": False},
            r"`representative_data` must be None with `verify=False`.*'int8'",
        ),
        ({"batch_size": 0}, r"`batch_size`"),
        ({"batch_size": 1.5}, r"`batch_size`"),
    ],
)
def test_bad_options(cnn: Any, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        vc.export_tflite(vc.attach(cnn), tmp_path / "m.tflite", **options)
    (tmp_path / "there.tflite").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match=r"`path`.*overwrite=True"):
        vc.export_tflite(vc.attach(cnn), tmp_path / "there.tflite")


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("batch_size", [1, 3, None])
@pytest.mark.parametrize("max_examples", [1, 7, 64])
def test_the_file_is_compared_on_the_first_examples(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int | None, max_examples: int
) -> None:
    tried = []

    def recording(content: bytes, function: Any, quantize: Any, examples: Any, *others: Any) -> Any:
        tried.append(examples)
        return tflite_verification.verify_tflite(content, function, quantize, examples, *others)

    monkeypatch.setattr(tflite, "verify_tflite", recording)
    x = 200 * images(5, 12, 12, 2)
    explained = vc.attach(cnn, "conv", method="gradcam", target="input")
    data = itertools.cycle(x)  # endless, as a dataset for training may be
    options: dict[str, Any] = {"batch_size": batch_size, "representative_data": data, "max_examples": max_examples}
    report = vc.export_tflite(explained, tmp_path / "m.tflite", **options)
    [examples] = tried
    np.testing.assert_array_equal(examples.arrays["image"], np.resize(x, (max_examples, 12, 12, 2)))
    np.testing.assert_array_equal(examples.arrays["class_index"], [-1] * max_examples)
    assert {check.compared for check in report.outputs.values()} == {max_examples}


def test_examples_of_another_size_are_refused(cnn: Any, tmp_path: Path) -> None:
    with pytest.raises(InputShapeError, match=r"of shape \(12, 12, 2\) for the input 'image'.*\(9, 12, 2\)"):
        vc.export_tflite(cnn, tmp_path / "m.tflite", representative_data=images(5, 9, 12, 2))


def test_unknown_sizes_must_be_fixed(tmp_path: Path) -> None:
    case = KINDS["unknown_height_and_width"]()
    with pytest.raises(InvalidArgumentError, match=r"known input sizes.*input_shape="):
        vc.export_tflite(vc.attach(case.model), tmp_path / "m.tflite")
    explained = vc.attach(case.model, input_shape=(15, 22, 2))
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert_equal_to_keras(report.path, explained, case.inputs[:1])
