"""Maps of classes of every kind of model, in the C loader and in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import KINDS
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.export.tflite_interpreter import interpreter

METHODS = [vc.methods.GradCAM(relu=False), vc.methods.LayerCAM(relu=False)]
EVERYDAY = ("nested_functional", "subclassed_called_before", "inputs_of_two_kinds")
FIXED = [
    *EVERYDAY,
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("siamese_two_inputs", "several_outputs", "one_dimensional", "dropout_and_batch_normalization")
    ),
]


class Explained:
    """Signed raw maps of one kind of model, and inputs by name."""

    def __init__(self, name: str) -> None:
        keras.utils.set_random_seed(5)
        case = KINDS[name]()
        output = "label" if name == "several_outputs" else None
        self.inputs = case.inputs
        self.model = vc.attach(case.model, method=METHODS, output=output, size=None, normalize=None, **case.options)
        known = self.model.plan.inputs
        self.feeds = dict(zip(known.names, known.flatten(self.inputs), strict=True))

    def check(self, got: dict[str, Any], tolerance: float) -> None:
        """Of each output within a part of its largest value."""
        want = self.model(self.inputs)
        assert set(got) == set(want)
        for key, value in want.items():
            value = np.asarray(tf.cast(value, tf.float64))
            assert value.any() or key == "explained_class" or "layercam" in key, key
            np.testing.assert_allclose(
                got[key].astype("float64"), value, rtol=0, atol=tolerance * max(np.abs(value).max(), 1e-3), err_msg=key
            )


@pytest.mark.parametrize("name", [*FIXED, "unknown_height_and_width", "mixed_float16"])
def test_in_the_c_loader(name: str, tmp_path: Path) -> None:
    explained = Explained(name)
    folder = vc.export_saved_model(explained.model, tmp_path / "m", signatures=["serving_default"], warmup=False)
    with ServedModel(folder) as served:
        explained.check(served.predict("serving_default", explained.feeds), 2e-2 if "mixed" in name else 1e-5)


@pytest.mark.parametrize("name", FIXED)
def test_in_litert(name: str, tmp_path: Path) -> None:
    explained = Explained(name)
    batch = len(next(iter(explained.feeds.values())))
    report = vc.export_tflite(explained.model, tmp_path / "m.tflite", batch_size=batch)
    assert report.builtin_only
    runner = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
    explained.check(runner(**explained.feeds), 1e-4)
