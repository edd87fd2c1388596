"""The warmup requests that TensorFlow Serving finds in a SavedModel."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.runtimes import NO_SERVING, warmup_requests
from support.served_model import seeded_cnn, signatures

import visualcnn_tf as vc


def test_one_request_is_written_for_each_signature(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow_serving.apis", reason=NO_SERVING)
    folder = vc.export_saved_model(vc.attach(seeded_cnn(), "pool"), tmp_path / "m", pixels="0..1", verify=False)
    requests = warmup_requests(folder)
    assert set(requests) == {"serving_default", "predict", "serving_bytes"}
    for name, request in requests.items():
        described = signatures(folder)[name].inputs
        assert set(request.inputs) == set(described)
        for key, tensor in request.inputs.items():
            assert tensor.dtype == described[key].dtype
            open_shape = [dim.size for dim in described[key].tensor_shape.dim]
            assert [dim.size for dim in tensor.tensor_shape.dim] == [2, *open_shape[1:]]
    for picture in tf.make_ndarray(requests["serving_bytes"].inputs["image_bytes"]):
        assert len(np.unique(tf.io.decode_image(picture, channels=1))) > 50
    image = tf.make_ndarray(requests["serving_default"].inputs["image"])
    assert image.shape == (2, 12, 12, 1)
    assert 0 <= image.min() < 0.1 < 0.9 < image.max() <= 1


def test_warmup_can_be_switched_off(tmp_path: Path) -> None:
    folder = vc.export_saved_model(seeded_cnn(), tmp_path / "m", verify=False, warmup=False)
    assert not (folder / "assets.extra").exists()


def test_no_warmup_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.prediction_log_pb2", None)
    folder = vc.export_saved_model(seeded_cnn(), tmp_path / "m", verify=False)
    assert not (folder / "assets.extra").exists()
