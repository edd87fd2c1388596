"""int8 files in the LiteRT interpreter: the model in integers, and heatmaps in float32 that agree with Keras's."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support.method_objects import ACTIVATION_METHODS
from tensorflow.lite.tools import flatbuffer_utils

import visualcnn_tf as vc
from visualcnn_tf.data.digits import load_digits
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError
from visualcnn_tf.export.signatures import exported_inputs, tflite_signatures
from visualcnn_tf.export.tflite import with_batch_size
from visualcnn_tf.export.tflite_converter import convert
from visualcnn_tf.export.tflite_int8 import quantize_int8
from visualcnn_tf.export.tflite_interpreter import interpreter

DIGITS = load_digits()
LAYERS = ["first", "relu"]
CALIBRATION, TEST = DIGITS.train_images[:100], DIGITS.test_images[:60]


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            L.Conv2D(8, 3, activation="relu", name="first"),
            L.MaxPooling2D(name="pool"),
            L.Conv2D(16, 3, padding="same", use_bias=False, name="second"),
            L.BatchNormalization(name="norm"),
            L.ReLU(name="relu"),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(DIGITS.train_images, DIGITS.train_labels, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="module")
def plain(cnn: Any) -> bytes:
    return float_file(cnn)


def float_file(explained: Any, batch_size: int | None = 1) -> bytes:
    signatures = tflite_signatures(explained, with_batch_size(exported_inputs(explained), batch_size))
    return convert(explained, {name: one.get_concrete_function() for name, one in signatures.items()}, None)


def heatmap_names(explained: Any) -> list[str]:
    return [name for name in explained.output_names if name.startswith("heatmap")]


def quantized(explained: Any, io_dtype: str = "float32") -> bytes:
    return quantize_int8(float_file(explained), CALIBRATION, heatmaps=heatmap_names(explained), io_dtype=io_dtype)


def run(content: bytes, images: Any, signature: str = "serving_default") -> dict[str, np.ndarray]:
    """Run a file on real numbers, one image at a time, and return real numbers."""
    runner = interpreter(content).get_signature_runner(signature)
    ((name, given),) = runner.get_input_details().items()
    results = [runner(**{name: as_stored(image[np.newaxis], given)}) for image in images]
    outputs = runner.get_output_details()
    return {key: np.concatenate([as_real(r[key], outputs[key]) for r in results]) for key in outputs}


def as_stored(x: Any, detail: Any) -> Any:
    scale, zero = detail["quantization"]
    if not scale:
        return x
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def as_real(x: Any, detail: Any) -> Any:
    scale, zero = detail["quantization"]
    return (x.astype(np.float32) - zero) * scale if scale else x


def correlations(got: Any, want: Any) -> np.ndarray:
    pairs = zip(got.astype("float64"), want.astype("float64"), strict=True)
    return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])


def operations(content: bytes, signature: str) -> Counter[tuple[str, str]]:
    """Count the operations of a signature by type, and by the type of their results."""
    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (index,) = (s.subgraphIndex for s in file.signatureDefs if s.signatureKey.decode() == signature)
    graph = file.subgraphs[index]
    return Counter(
        (
            flatbuffer_utils.opcode_to_name(file, operation.opcodeIndex),
            flatbuffer_utils.type_to_name(graph.tensors[operation.outputs[0]].type),
        )
        for operation in graph.operators
    )


def assert_agrees_with_keras(content: bytes, explained: Any) -> None:
    want = explained.predict(TEST, verbose=0)
    got = run(content, TEST)
    assert set(got) == set(want)
    assert np.mean(got["predictions"].argmax(-1) == want["predictions"].argmax(-1)) >= 0.9
    for name in heatmap_names(explained):
        agreement = correlations(got[name], want[name])
        assert agreement.mean() >= 0.99, name
        assert agreement.min() >= 0.95, name
    np.testing.assert_allclose(run(content, TEST[:9], "predict")["predictions"], got["predictions"][:9], atol=0.1)


OPTIONS = [
    *({"method": method} for method in ACTIVATION_METHODS),
    {"heatmap_dtype": "uint8"},
    {"heatmap_dtype": "float16"},
    {"combine": "mean"},
    {"normalize": None, "size": None},
]


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_heatmaps_agree_with_keras_on_digits_that_were_not_used_for_calibration(
    cnn: Any, options: dict[str, Any]
) -> None:
    explained = vc.attach(cnn, layers=LAYERS, **options)
    assert_agrees_with_keras(quantized(explained), explained)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(("io_dtype", "dtype"), [("int8", "float32"), ("uint8", "float32"), ("int8", "uint8")])
def test_integer_inputs_and_outputs(cnn: Any, io_dtype: str, dtype: str) -> None:
    explained = vc.attach(cnn, layers=LAYERS, heatmap_dtype=dtype)
    content = quantized(explained, io_dtype)
    assert_agrees_with_keras(content, explained)
    runner = interpreter(content).get_signature_runner("serving_default")
    types = {name: np.dtype(d["dtype"]).name for name, d in runner.get_output_details().items()}
    assert types.pop("predictions") == io_dtype
    assert set(types.values()) == {"uint8" if dtype == "uint8" else io_dtype}
    assert [np.dtype(d["dtype"]).name for d in runner.get_input_details().values()] == [io_dtype]


def test_the_model_is_in_integers_and_the_heatmaps_are_not(cnn: Any) -> None:
    explained = vc.attach(cnn, layers=LAYERS, method="eigen")
    content = quantized(explained)
    assert {kind for _, kind in operations(content, "predict")} == {"INT8", "FLOAT32"}
    plain = [name for name, kind in operations(content, "predict") if kind == "FLOAT32"]
    assert plain == ["DEQUANTIZE"]
    served = operations(content, "serving_default")
    assert served["CONV_2D", "INT8"] == 2
    assert served["CONV_2D", "FLOAT32"] == 0
    integers = {name for name, kind in served if kind == "INT8"}
    assert not integers & {"DIV", "SQRT", "ABS", "BATCH_MATMUL", "REDUCE_MAX", "SUB", "SELECT_V2"}


def test_weights_are_quantized_per_channel_and_shared_by_the_signatures(cnn: Any) -> None:
    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(quantized(vc.attach(cnn, layers=["relu"]))))
    buffers = []
    for graph in file.subgraphs:
        kernels = [graph.tensors[op.inputs[1]] for op in graph.operators if len(op.inputs) == 3]
        convolutions = [kernel for kernel in kernels if len(kernel.shape) == 4]
        assert [len(kernel.quantization.scale) for kernel in convolutions] == [8, 16]
        buffers.append([kernel.buffer for kernel in convolutions])
    assert len(buffers) == 2
    assert buffers[0] == buffers[1]


@pytest.mark.slow
def test_heatmaps_do_not_change_the_int8_predictions_of_mobilenet_v2() -> None:
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.uniform(-1, 1, (40, 12, 12, 3)), 8, 1), 8, 2).astype("float32")
    names = ["Conv1_relu", "block_3_expand_relu", "block_6_expand_relu"]
    explained = vc.attach(model, layers=names)
    content = quantize_int8(float_file(explained), images[:25], heatmaps=heatmap_names(explained))
    got, want = run(content, images[25:]), explained.predict(images[25:], verbose=0)
    for name in heatmap_names(explained):
        assert correlations(got[name], want[name]).mean() >= 0.99, name
    np.testing.assert_array_equal(got["predictions"], run(content, images[25:], "predict")["predictions"])


def test_several_inputs_are_given_as_dicts() -> None:
    keras.utils.set_random_seed(4)
    a, b = keras.Input((12, 12, 1), name="a"), keras.Input((3,), name="b")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(a)
    joined = L.Concatenate()([L.GlobalAveragePooling2D()(maps), b])
    explained = vc.attach(keras.Model({"a": a, "b": b}, L.Dense(2)(joined)))
    rng = np.random.default_rng(0)
    data = [{"a": rng.uniform(size=(4, 12, 12, 1)), "b": rng.uniform(size=(4, 3))} for _ in range(5)]
    content = quantize_int8(float_file(explained), data, heatmaps=heatmap_names(explained))
    x = {name: value[:1].astype("float32") for name, value in data[0].items()}
    got, want = interpreter(content).get_signature_runner("serving_default")(**x), explained.predict(x, verbose=0)
    assert correlations(got["heatmap_conv"], want["heatmap_conv"])[0] >= 0.99
    np.testing.assert_allclose(got["predictions"], want["predictions"], atol=0.05)
    with pytest.raises(
        InvalidArgumentError, match=r"inputs 'a', 'b', or of lists in this order\. Received: \"a dict with 'a'\""
    ):
        quantize_int8(float_file(explained), [{"a": data[0]["a"]}])


@pytest.mark.slow
def test_every_form_of_examples_and_batch_size_gives_the_same_ranges(cnn: Any, plain: bytes) -> None:
    images = CALIBRATION[:20]
    want = quantize_int8(plain, images)
    assert len(want) < 0.4 * len(plain)
    labels = DIGITS.train_labels
    for data in (images[..., 0], [images], [images[:7, ..., 0], images[7:]], ((x, labels[0]) for x in images)):
        assert quantize_int8(plain, data) == want
    for batch_size in (None, 3):
        batched = interpreter(quantize_int8(float_file(cnn, batch_size), images)).get_signature_runner("predict")
        np.testing.assert_allclose(
            batched(image=TEST[:3])["predictions"], run(want, TEST[:3], "predict")["predictions"], atol=0.02
        )


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], InvalidArgumentError, "`representative_data` must be examples .* Received: 'none at all'"),
        (TEST[:0], InvalidArgumentError, "none at all"),
        ([TEST[:0]], InvalidArgumentError, "none at all"),
        (None, InvalidArgumentError, "`representative_data` must be an iterable .* Received: None. Pass"),
        (np.ones((20, 32, 32, 1)), InputShapeError, r"of shape \(28, 28, 1\) .* Received: \(32, 32, 1\). Resize"),
        (np.repeat(TEST[:1], 20, 0), InvalidArgumentError, "that differ, .* Received: '20 blank or equal ones'"),
        (np.zeros((1, 28, 28, 1)), InvalidArgumentError, "Received: '1 blank or equal ones'. Pass real inputs"),
        (TEST[:20] * np.nan, InvalidArgumentError, "must be finite. Received: 'NaN or infinite values'"),
    ],
    ids=["none", "no rows", "empty batch", "None", "size", "equal", "blank", "nan"],
)
def test_examples_without_ranges_are_refused(plain: bytes, data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        quantize_int8(plain, data)


def test_few_examples_raise_a_warning(plain: bytes) -> None:
    with pytest.warns(UserWarning, match="`representative_data` holds few examples .* Received: 3. Pass 100"):
        quantize_int8(plain, TEST[:3])


def test_bad_options_are_refused(plain: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="`io_dtype` must be one of 'float32', 'int8', 'uint8'"):
        quantize_int8(plain, TEST, io_dtype="int16")
    with pytest.raises(InvalidArgumentError, match=r"`heatmaps` must be among the outputs 'predictions'\. Received"):
        quantize_int8(plain, TEST, heatmaps=["heatmap_x"])
