"""What the matrix of ``test_matrix.py`` puts through every runtime: models, their inputs, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from support import oracle, oracle_gradient
from support.detectors import DETECTORS, photos
from support.footprint import footprint
from support.model_kinds import KINDS, Kind
from support.option_cases import (
    BUILDERS,
    OPTIONS,
    STEP,
    asked_classes,
    expected,
    explains_class,
    images,
    method_of,
    tiny_model,
)
from support.oracle import assert_close
from support.oracle_attention import ByHand
from support.other_way import activations_and_gradients, best_class
from support.transformers import vit
from visualcnn_tf.targets.inputs import ALL

# Kernels of half precision round differently in eager mode, in graphs and under XLA, before heatmaps are made.
HALF = {"mixed_float16": 1e-2, "mixed_bfloat16": 4e-2}


@dataclass
class Subject:
    """A model that is run in every way.

    Attributes:
        bare: the user's model.
        model: the explained model, or a Keras model made with ``FeatureMapFusion``.
        inputs: a batch.
        truth: what it should return beside the bare model's outputs, in float64: raw, normalized, of no other type yet.
        dtype: type of its heatmaps.
        half: how exact half precision is, 0 for float32.
        before: of the bare model before it was explained, see ``footprint``.
        is_of_options: whether it stands for an option, not for a kind of model.
        eager: what it returns in eager mode, computed once.
    """

    bare: keras.Model
    model: keras.Model
    inputs: Any
    truth: dict[str, np.ndarray]
    dtype: str = "float32"
    half: float = 0.0
    before: Any = None
    is_of_options: bool = False
    eager: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.eager = {key: np.asarray(value) for key, value in self.model(self.inputs).items()}

    def part(self, count: int) -> Any:
        """The first images of the batch."""
        return keras.tree.map_structure(lambda array: array[:count], self.inputs)

    def feeds(self) -> dict[str, np.ndarray]:
        """The inputs by the names of a served model."""
        known = self.model.plan.all_inputs
        return dict(zip(known.names, known.flatten(self.inputs), strict=True))

    @property
    def bare_inputs(self) -> Any:
        """The inputs of the bare model."""
        is_named = isinstance(self.inputs, dict) and {one.name for one in ALL}.intersection(self.inputs)
        return next(iter(self.inputs.values())) if is_named else self.inputs

    def check(self, outputs: dict[str, Any], half: float = 0.0) -> None:
        """Compare outputs of the first images with the truth: each heatmap within 1e-5 of the range of its image."""
        for key, truth in self.truth.items():
            got = np.asarray(outputs[key])
            want = truth[: len(got)]
            if want.dtype.kind == "i":
                np.testing.assert_array_equal(got, want, err_msg=key)
            elif self.dtype == "uint8":
                assert got.dtype == np.uint8
                assert abs(got - 255 * want.clip(0, 1)).max() <= 0.51, key
            else:
                assert got.dtype == self.dtype
                if key in self.with_steps:
                    got, want = (array.reshape(-1, *array.shape[2:]) for array in (got, want))
                assert_close(got, want, max(1e-5 + STEP[self.dtype], half))

    @property
    def with_steps(self) -> set[str]:
        """The heatmaps of time steps, each an image of its own."""
        return {tap.key for tap in getattr(self.model, "taps", ()) if tap.has_steps}


# --- every choice of every option ---


def of_options(options: dict[str, Any], builder: str = "attach") -> Subject:
    """A small network with some options of ``attach``, or of ``FeatureMapFusion``."""
    if method_of(options).needs_attention:
        return of_attention(options)
    if method_of(options).needs_head:
        return of_head(options)
    bare, batch = tiny_model(), images(3)
    bare(batch)
    before = footprint(bare) if builder == "attach" else None  # layers by hand are layers of the bare model's graph
    model = BUILDERS[builder](bare, options)
    inputs: Any = batch
    asked = None
    if options.get("target") == "input":
        asked = np.array([2, -1, 9], np.int32)  # a class, the predicted one, and one that does not exist
        inputs = {"image": batch, "class_index": asked}
    truth = expected(bare, batch, options, builder == "attach" and "combine" in options, asked)
    del truth["predictions"]
    dtype = options.get("heatmap_dtype", "float32")
    return Subject(bare, model, inputs, truth, dtype, before=before, is_of_options=True)


def of_attention(options: dict[str, Any]) -> Subject:
    """A small transformer with a method of attention."""
    bare, batch = vit(registers=1), images(3, (16, 16, 3))
    bare(batch)
    before, hand = footprint(bare), ByHand(bare, batch)
    model = vc.attach(bare, "tokens", **options)
    truth: dict[str, np.ndarray] = {}
    targets: list[tuple[str, Any]] = [("", None)]
    if explains_class(options):
        suffixes, classes = asked_classes(hand.logits.numpy(), options["target"])
        truth["explained_class"] = classes
        targets = [(suffix, classes[:, index]) for index, suffix in enumerate(suffixes)]
    for suffix, of in targets:
        maps = hand.rolled_out((4, 4), 1, [0], of)
        finish = ("bilinear", options.get("normalize", "minmax"))
        truth[f"heatmap_tokens{suffix}"] = oracle_gradient.finished(maps, (16, 16), *finish)
    return Subject(bare, model, batch, truth, before=before, is_of_options=True)


def of_head(options: dict[str, Any]) -> Subject:
    """A small detector with a method of its dense head."""
    detector, batch = DETECTORS["scores_and_boxes"](), photos(3)
    detector.model(batch)
    before = footprint(detector.model)
    model = vc.attach(detector.model, **options)
    logits = detector.probe(batch)[1].numpy().astype(float)[..., 1]
    levels = [logits[:, :36].reshape(-1, 6, 6), logits[:, 36:].reshape(-1, 3, 3)]
    fine, coarse = (1 / (1 + np.exp(-level)) for level in levels)
    maps = np.maximum(fine, oracle.resize(coarse, (6, 6), "bilinear"))
    truth = {
        "explained_class": np.ones(3, int),
        "heatmap_class_head": oracle_gradient.finished(maps, (24, 24), "bilinear", "minmax"),
    }
    return Subject(detector.model, model, batch, truth, before=before, is_of_options=True)


# --- every kind of model ---


def _kind(name: str) -> tuple[Kind, Any]:
    keras.utils.set_random_seed(5)
    case = KINDS[name]()
    if not case.model.built:
        return case, None
    case.model(case.inputs)  # Keras's own marks of a first call
    return case, footprint(case.model)


def of_kind(name: str) -> Subject:
    """A kind of model with what it gets by default."""
    case, before = _kind(name)
    model = vc.attach(case.model, **case.options)
    model(case.inputs)  # builds what was not
    truth = case.truth() if callable(case.truth) else case.truth
    heatmaps = {key: _heatmap(activations, case.size) for key, activations in truth.items()}
    return Subject(case.model, model, case.inputs, heatmaps, half=HALF.get(name, 0.0), before=before)


def _heatmap(activations: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    if activations.ndim == len(size) + 3:  # time steps: each an image of its own
        return np.stack([_heatmap(step, size) for step in np.moveaxis(activations, 1, 0)], 1)
    return oracle.heatmap(activations, "deviation", size, "bilinear", "minmax")


# --- methods that explain a class, for every kind of model ---


@keras.saving.register_keras_serializable(package="subjects")
def mean_of_all(output: Any) -> Any:
    """A score of an output that is a map."""
    return tf.reduce_mean(output, list(range(1, output.shape.rank)))


CLASS_METHODS = [vc.methods.GradCAM(relu=False), vc.methods.LayerCAM(relu=False)]
CLASS_OPTIONS: dict[str, dict[str, Any]] = {
    "several_outputs": {"output": "label"},
    "dict_outputs": {"output": "label"},
    "layers_larger_than_the_input": {"target": mean_of_all},
}


def of_classes(name: str) -> Subject:
    """A kind of model with signed raw maps of classes, against gradients by TensorFlow on a trace of its own."""
    case, before = _kind(name)
    options = CLASS_OPTIONS.get(name, {})
    model = vc.attach(case.model, method=CLASS_METHODS, size=None, normalize=None, **case.options, **options)
    outputs = model(case.inputs)
    taps = {tap.key: tap for tap in model.taps}
    assert [tap.method for tap in model.taps] == CLASS_METHODS * (len(taps) // 2)
    assert all(f"_{tap.method.name}" in key for key, tap in taps.items())
    layers = {key: (tap.path.split("/")[-1], tap.call_index, tap.time_steps) for key, tap in taps.items()}
    if name == "time_distributed":  # which runs its layer's `call`; all steps are its own output
        layers = dict.fromkeys(layers, ("every_frame", 0, None))
    score, output = options.get("target", best_class), options.get("output")
    found = activations_and_gradients(_uncompiled(case.model, case.inputs), case.inputs, layers, score, output)
    truth = {}
    if "target" not in options:
        truth["explained_class"] = np.asarray(tf.argmax(outputs[output or "predictions"], -1))
    for key, tap in taps.items():
        truth[key] = _class_map(*found[key], tap)
        assert truth[key].any() or tap.method.name == "layercam"  # which sees no evidence against a class
    return Subject(case.model, model, case.inputs, truth, half=HALF.get(name, 0.0), before=before)


def _class_map(a: np.ndarray, g: np.ndarray, tap: vc.Tap) -> np.ndarray:
    if tap.data_format == "channels_first":
        a, g = np.moveaxis(a, 1, -1), np.moveaxis(g, 1, -1)
    folded = (-1, *a.shape[2:]) if tap.has_steps else a.shape
    return oracle_gradient.fuse(a.reshape(folded), g.reshape(folded), tap.method.name, relu=False).reshape(a.shape[:-1])


def _uncompiled(model: Any, x: Any) -> Any:
    """The same without a ``tf.function``, whose inner tensors nothing outside can be derived by."""
    if type(model).__name__ != "Compiled":
        return model
    twin = type(model).__mro__[1]()
    twin(x)
    twin.set_weights(model.get_weights())
    return twin


OF_OPTIONS: dict[str, Callable[[], Subject]] = {
    f"{table}-{name}": lambda options=options: of_options(options) for (table, name), options in OPTIONS.items()
}
OF_LAYERS: dict[str, Callable[[], Subject]] = {
    f"layer-{table}-{name}": lambda options=options: of_options(options, "layers")
    for (table, name), options in OPTIONS.items()
    if table != "combination" and not explains_class(options) and not method_of(options).returns_maps
}
OF_KINDS: dict[str, Callable[[], Subject]] = {f"kind-{name}": lambda name=name: of_kind(name) for name in KINDS}
OF_CLASSES: dict[str, Callable[[], Subject]] = {f"class-{name}": lambda name=name: of_classes(name) for name in KINDS}
