"""Exported SavedModels, run by the TensorFlow C loader (that of TensorFlow Serving) without Python's TensorFlow."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import KINDS, images, small_cnn_layers
from tensorflow.core.protobuf import saved_model_pb2

import visualcnn_tf as vc
from visualcnn_tf.errors import ExportVerificationError, InvalidArgumentError, PathNotWritableError
from visualcnn_tf.io.decode import MAX_PIXELS, claimed_pixels

LOADER = Path(__file__).parents[1] / "support" / "c_loader.py"


def signatures(folder: Path) -> Any:
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0].signature_def


def serve(folder: Path, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Runs signatures on inputs in the C loader: a dict of arrays for each call, or the text of its error."""
    job: dict[str, Any] = {"folder": str(folder), "calls": []}
    scratch = folder.parent
    for number, (name, feeds) in enumerate(calls):
        signature = signatures(folder)[name]
        files = [str(scratch / f"{kind}{number}.npz") for kind in ("inputs", "outputs")]
        np.savez(files[0], **feeds)
        Path(files[1]).unlink(missing_ok=True)
        tensors = [{key: info.name for key, info in side.items()} for side in (signature.inputs, signature.outputs)]
        assert set(tensors[0]) == set(feeds)
        job["calls"].append(dict(zip(("inputs", "outputs", "feeds", "fetches"), [*files, *tensors], strict=True)))
    (scratch / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, LOADER, scratch / "job.json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results: list[Any] = [
        dict(np.load(call["outputs"])) if Path(call["outputs"]).exists() else None for call in job["calls"]
    ]
    for line in done.stdout.splitlines():
        failure = json.loads(line)
        results[failure["call"]] = failure["error"]
    return results


def encoded(*pictures: np.ndarray) -> np.ndarray:
    return np.array([tf.io.encode_png(picture).numpy() for picture in pictures], object)


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()], name="cnn")


@pytest.fixture(scope="module")
def exported(cnn: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    explained = vc.attach(cnn, combine="mean")
    folder = vc.export_saved_model(explained, tmp_path_factory.mktemp("export") / "cnn", pixels="-1..1")
    return explained, folder


def assert_outputs(got: dict[str, np.ndarray], want: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert set(got) == set(want)
    for key, value in want.items():
        value = np.asarray(tf.cast(value, tf.float32))
        np.testing.assert_allclose(got[key].astype("float32"), value, atol=tolerance, rtol=tolerance, err_msg=key)


def test_the_c_loader_returns_what_keras_returns(exported: Any) -> None:
    explained, folder = exported
    x = images(3, 12, 12, 1)
    full, plain, one, none = serve(
        folder,
        ("serving_default", {"image": x}),
        ("predict", {"image": x}),
        ("serving_default", {"image": x[:1]}),
        ("serving_default", {"image": x[:0]}),
    )
    want = explained.predict(x, verbose=0)
    assert_outputs(full, want)
    assert_outputs(plain, {"predictions": want["predictions"]})
    assert_outputs(one, {key: value[:1] for key, value in want.items()})
    assert {key: value.shape for key, value in none.items()} == {
        key: (0, *value.shape[1:]) for key, value in want.items()
    }


def test_the_c_loader_decodes_images(exported: Any) -> None:
    explained, folder = exported
    rng = np.random.default_rng(0)
    small, large = rng.integers(0, 256, (12, 12, 1)), rng.integers(0, 256, (30, 41, 1))
    picture = encoded(small.astype("uint8"))[0]
    jpeg = tf.io.encode_jpeg(np.repeat(large, 3, -1).astype("uint8")).numpy()
    served, wrong, empty = serve(
        folder,
        ("serving_bytes", {"image_bytes": np.array([picture, jpeg], object)}),
        ("serving_bytes", {"image_bytes": np.array([picture, b"no image", picture, b""], object)}),
        ("serving_bytes", {"image_bytes": np.array([], object)}),
    )
    decoded = tf.cast(tf.io.decode_jpeg(jpeg, channels=1), tf.float32)
    batch = np.stack([small, tf.image.resize(decoded, (12, 12), antialias=True)]) / 127.5 - 1.0
    assert_outputs(served, explained.predict(batch.astype("float32"), verbose=0))
    assert "no readable JPEG, PNG, GIF or BMP image at index] [1 3]" in wrong
    assert empty["heatmap"].shape == (0, 12, 12)


def test_signatures_have_open_batches_and_the_names_of_the_outputs(exported: Any) -> None:
    explained, folder = exported
    described = signatures(folder)
    assert {"serving_default", "serving_bytes", "predict"} <= set(described)
    for name in ("serving_default", "serving_bytes", "predict"):
        for info in [*described[name].inputs.values(), *described[name].outputs.values()]:
            assert info.tensor_shape.dim[0].size == -1  # the batch, first and open
    assert list(described["serving_bytes"].inputs) == ["image_bytes"]
    assert set(described["serving_default"].outputs) == set(explained.output_names)
    assert set(described["predict"].outputs) == {"predictions"}


def test_one_bad_image_does_not_fail_the_others(cnn: Any, tmp_path: Path) -> None:
    explained = vc.attach(cnn, "pool", heatmap_dtype="uint8")
    folder = vc.export_saved_model(explained, tmp_path / "m", pixels="0..1", on_error="blank")
    good = np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype("uint8")
    [picture] = encoded(good)
    huge = picture[:16] + (20_000).to_bytes(4, "big") * 2 + picture[24:]
    bad = [b"", b"text", picture[:40], huge]
    [served] = serve(folder, ("serving_bytes", {"image_bytes": np.array([picture, *bad, picture], object)}))
    want = explained(good[None] / np.float32(255))
    np.testing.assert_array_equal(served["valid"], [True, False, False, False, False, True])
    for key, value in want.items():
        np.testing.assert_allclose(served[key][[0, 5]], np.repeat(value, 2, 0), atol=1e-5, err_msg=key)
        assert not served[key][1:5].any()


def picture_header(kind: str, width: int, height: int) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_claimed_pixels_are_read_from_the_header(kind: str) -> None:
    assert int(claimed_pixels(picture_header(kind, 300, 7))) == 2100
    assert MAX_PIXELS < 20_000**2


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(
    "name",
    [
        "nested_functional",
        "subclassed_called_before",
        "inputs_of_two_kinds",
        "dict_inputs",
        "several_outputs",
        "mixed_float16",
        "dropout_and_batch_normalization",
        "unknown_height_and_width",
        "time_distributed",
        "one_dimensional",
    ],
)
def test_kinds_of_models_in_the_c_loader(name: str, tmp_path: Path) -> None:
    case = KINDS[name]()
    explained = vc.attach(case.model, **case.options)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default", "predict"])
    inputs = explained.plan.inputs
    feeds = dict(zip(inputs.names, inputs.flatten(case.inputs), strict=True))
    full, plain = serve(folder, ("serving_default", feeds), ("predict", feeds))
    want = explained.predict(case.inputs, verbose=0)
    assert_outputs(full, want, 2e-2 if "mixed" in name else 1e-5)
    own = explained.output_names[: -len(explained.taps)]
    assert set(plain) == set(own)


def test_a_plain_model_is_exported_without_heatmaps(cnn: Any, tmp_path: Path) -> None:
    folder = vc.export_saved_model(cnn, tmp_path / "m", signatures=["serving_default"])
    x = images(2, 12, 12, 1)
    [served] = serve(folder, ("serving_default", {"image": x}))
    assert_outputs(served, {"predictions": cnn(x)})


def test_a_process_without_this_package_runs_it(exported: Any, tmp_path: Path) -> None:
    explained, folder = exported
    x, picture = images(2, 12, 12, 1), np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype("uint8")
    np.savez(tmp_path / "x.npz", x=x, files=encoded(picture).astype("S"))
    code = """
        import sys
        sys.modules["visualcnn_tf"] = sys.modules["keras"] = None  # importing them is an error
        import numpy as np, tensorflow as tf
        served, given = tf.saved_model.load(sys.argv[1]).signatures, np.load(sys.argv[2] + "/x.npz")
        calls = {
            "serving_default": {"image": given["x"]},
            "predict": {"image": given["x"]},
            "serving_bytes": {"image_bytes": given["files"]},
        }
        for name, inputs in calls.items():
            outputs = served[name](**{key: tf.constant(value) for key, value in inputs.items()})
            np.savez(f"{sys.argv[2]}/{name}.npz", **outputs)
    """
    # Isolated: without the environment's paths and the working directory.
    command = [sys.executable, "-I", "-c", textwrap.dedent(code), str(folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    full, plain, pictures = (
        dict(np.load(tmp_path / f"{name}.npz")) for name in ("serving_default", "predict", "serving_bytes")
    )
    want = explained(x)
    assert_outputs(full, want)
    assert_outputs(plain, {"predictions": want["predictions"]})
    assert_outputs(pictures, explained(picture[None] / np.float32(127.5) - 1.0))


def test_versions_are_numbered_and_existing_paths_are_kept(cnn: Any, tmp_path: Path) -> None:
    explained = vc.attach(cnn, "pool")
    options = {"signatures": ["serving_default"], "verify": False}
    assert vc.export_saved_model(explained, tmp_path / "v", version="next", **options) == tmp_path / "v" / "1"
    assert vc.export_saved_model(explained, tmp_path / "v", version=7, **options).name == "7"
    assert vc.export_saved_model(explained, tmp_path / "v", version="next", **options).name == "8"
    with pytest.raises(InvalidArgumentError, match=r"`path` .*`overwrite=True`"):
        vc.export_saved_model(explained, tmp_path / "v", version=7, **options)
    before = (tmp_path / "v" / "7" / "saved_model.pb").stat().st_ino
    vc.export_saved_model(explained, tmp_path / "v", version=7, overwrite=True, **options)
    assert (tmp_path / "v" / "7" / "saved_model.pb").stat().st_ino != before
    assert sorted(entry.name for entry in (tmp_path / "v").iterdir()) == ["1", "7", "8"]


def test_a_full_disk_leaves_nothing_half_written(cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explained = vc.attach(cnn, "pool")
    save = tf.saved_model.save

    full = os.strerror(errno.ENOSPC)
    for error in (OSError(errno.ENOSPC, full), tf.errors.ResourceExhaustedError(None, None, f"x; {full}")):

        def disk_full(module: Any, path: str, error: Exception = error, **options: Any) -> None:
            save(module, path, **options)
            raise error

        monkeypatch.setattr(tf.saved_model, "save", disk_full)
        with pytest.raises(PathNotWritableError, match=f"`path` must be .*{tmp_path / 'm'}': .*{full}"):
            vc.export_saved_model(explained, tmp_path / "m")
        assert not list(tmp_path.iterdir())


def test_a_folder_below_a_file_is_refused(cnn: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for version in (None, 1):
        with pytest.raises(PathNotWritableError, match="`path` must be a file or folder that can be written"):
            vc.export_saved_model(vc.attach(cnn, "pool"), tmp_path / "file" / "m", version=version)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("data", [None, [images(2, 12, 12, 1)]], ids=["noise", "data"])
def test_verification_notices_a_wrong_model(
    cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Any
) -> None:
    explained = vc.attach(cnn, "pool")
    save, weight = tf.saved_model.save, cnn.weights[0]
    before = weight.numpy()

    def wrong(module: Any, path: str, **options: Any) -> None:
        weight.assign(before * 1.001)
        save(module, path, **options)
        weight.assign(before)

    monkeypatch.setattr(tf.saved_model, "save", wrong)
    with pytest.raises(ExportVerificationError, match="differs from the Keras model in 'serving_default'"):
        vc.export_saved_model(explained, tmp_path / "m", representative_data=data)
    assert not list(tmp_path.iterdir())


BAD = [
    ({"signatures": ["predict"]}, r"`signatures`.*with 'serving_default'"),
    ({"signatures": "serving_default"}, r"`signatures` must be a list"),
    ({"pixels": "imagenet"}, r"`pixels` must be one of '0..255', '0..1'"),
    ({"pixels": lambda x: np.asarray(x) / 255}, r"`pixels` must be a name, or a function of TensorFlow operations"),
    ({"pixels": lambda x: x[:, ::2]}, r"`pixels` must be a function that returns images of shape"),
    (
        {"pixels": "caffe"},
        r"`pixels` must be .* or a function for gray images. Received: 'caffe'",
    ),
    ({"signatures": ["serving_default", "serving_bytes"]}, r"`pixels` must be given for the signature 'serving_bytes'"),
    ({"on_error": "blank"}, r"`pixels` must be given for the signature 'serving_bytes'"),
    ({"on_error": "blank", "signatures": ["serving_default"]}, r"`on_error` must be 'raise' without the signature"),
    ({"representative_data": [], "verify": False}, r"`representative_data` must be None with `verify=False`, which"),
    ({"on_error": "ignore"}, r"`on_error` must be one of 'raise', 'blank'"),
    ({"version": -1}, r"`version`"),
    ({"version": "latest"}, r"`version`"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options_are_refused(cnn: Any, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        vc.export_saved_model(vc.attach(cnn, "pool"), tmp_path / "m", **options)
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_exported_are_refused(tmp_path: Path) -> None:
    unknown = keras.Sequential([L.Conv2D(2, 3), L.Flatten()])
    with pytest.raises(InvalidArgumentError, match="inputs are known"):
        vc.export_saved_model(vc.attach(unknown), tmp_path / "m")
    with pytest.raises(vc.IncompatibleModelError):
        vc.export_saved_model("model", tmp_path / "m")
    image = keras.Input((None, None, 3))
    free = keras.Model(image, L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(image)))
    with pytest.raises(InvalidArgumentError, match=r"known size.*`input_shape="):
        vc.export_saved_model(vc.attach(free), tmp_path / "m", signatures=["serving_default", "serving_bytes"])
