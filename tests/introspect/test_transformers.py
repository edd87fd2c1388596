"""The tiny transformers of the tests: each tells images apart, and is the same after saving and loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support import transformers

BUILDERS = (
    *(transformers.vit, transformers.deit, transformers.beit, transformers.keras_io_vit, transformers.swin),
    *(transformers.mit, transformers.mobilevit, transformers.mixer, transformers.signal_vit, transformers.video_vit),
)


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_each_tells_images_apart_and_can_be_saved(build: Callable[[], Any], tmp_path: Path) -> None:
    model = build()
    x = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    predictions = model(x).numpy()
    np.testing.assert_allclose(predictions.sum(-1), 1, atol=1e-5)
    assert np.ptp(predictions, axis=0).max() > 1e-3
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(x), predictions, atol=1e-6)
