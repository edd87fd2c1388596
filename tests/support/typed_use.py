"""A user's program, never run: `test_typing.py` lets mypy check it in strict mode against the installed package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import visualcnn_tf as vc

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type

model: Any = None
images = np.ones((2, 28, 28, 1), np.float32)

explained = vc.attach(model, layers=["conv*", -6], method={"conv1": "max", "*": ["l2", "gradcam"]}, size=(56, 56))
assert_type(explained, vc.ExplainedModel)
assert_type(explained.taps, tuple[vc.Tap, ...])
assert_type(explained.output_names, list[str])
assert_type(explained.heatmap_names, list[str])
assert_type(explained.taps[0].path, str)
outputs = explained.predict(images)
assert_type(outputs, dict[str, np.ndarray])
vc.attach(model, "last", target=[3, 7], normalize=("range", 0.0, 2.0), combine="mean", heatmap_dtype="uint8")
vc.attach(model, method=lambda activations: activations[..., 0], render=vc.Overlay(0.5))
vc.attach(model, "last", method=vc.methods.ScoreCAM(max_channels=32), target=vc.targets.TopK(3), jit_compile=True)
assert_type(vc.methods.get("gradcam"), vc.methods.Method)
assert_type(vc.targets.get(7), vc.targets.Target)

heatmap = vc.FeatureMapFusion("l2", size="input")
assert_type(heatmap.method, vc.methods.Method)

folder = vc.export_saved_model(explained, Path("models/explained"), version="next", pixels="0..1")
assert_type(folder, Path)
report = vc.export_tflite(explained, "explained.tflite", quantize="int8", representative_data=[images])
assert_type(report.builtin_only, bool)

visualizer = vc.Visualizer(model, small_layers=True)
assert_type(visualizer.show_layers(), list[str])
heatmaps = visualizer.heatmap(images[0])
written = visualizer.save_heatmaps(resize=400)
assert_type(written, list[Path])

callback = vc.HeatmapCallback(images, "logs")
try:
    vc.attach(None)
except vc.IncompatibleModelError as error:
    assert_type(error, vc.IncompatibleModelError)
