"""What is true of every heatmap: of any shape, size, type and option, for any choice of layers, in any small CNN."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import oracle

import visualcnn_tf as vc

PLAIN = ("deviation", "mean", "mean_abs", "max", "l2", "std")
GRADIENT = ("gradcam", "hirescam", "layercam")
# Nearest decides ties to one side, so a flipped map may get the other neighbor.
SYMMETRIC = ("bilinear", "bicubic", "area")
CLOSE = {"atol": 2e-5, "rtol": 0}

# One layer ----------------------------------------------------------------------------------------------------------


@st.composite
def feature_maps(draw: Any, channels: int = 1) -> np.ndarray:
    """Signals, images or volumes of small whole numbers: of them, rounding makes no difference worth a scale."""
    space = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    shape = (draw(st.integers(1, 3)), *space, draw(st.integers(channels, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["float16", "float32", "float64"]))
    return rng.integers(-9, 10, shape).astype(dtype)


@st.composite
def layer_options(draw: Any, space: int, interpolations: tuple[str, ...] = (*SYMMETRIC, "nearest")) -> dict[str, Any]:
    sizes = st.none() | st.lists(st.integers(1, 12), min_size=space, max_size=space).map(tuple)
    return {"size": draw(sizes), "interpolation": draw(st.sampled_from(interpolations))}


def run(activations: Any, **options: Any) -> np.ndarray:
    return vc.FeatureMapFusion(**options)(activations).numpy()


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_values_stay_in_their_range(data: Any, maps: np.ndarray, method: str) -> None:
    options = data.draw(layer_options(maps.ndim - 2))
    for normalize, low in (("minmax", 0), ("max", -1), (("range", -2.0, 3.0), 0)):
        heatmap = run(maps, method=method, normalize=normalize, **options)
        assert heatmap.shape == (len(maps), *(options["size"] or maps.shape[1:-1]))
        assert low <= heatmap.min() <= heatmap.max() <= 1
        if normalize == "minmax":
            for one in heatmap:
                assert (one.min(), one.max()) in ((0, 1), (0, 0))


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_types_tell_the_same(data: Any, maps: np.ndarray, method: str) -> None:
    options = {"method": method, **data.draw(layer_options(maps.ndim - 2))}
    exact = run(maps, **options)
    for dtype, allowed in (("float16", 5e-4), ("uint8", 0.501 / 255)):
        heatmap = run(maps, heatmap_dtype=dtype, **options)
        assert heatmap.dtype == dtype
        scale = 255 if dtype == "uint8" else 1
        np.testing.assert_allclose(heatmap.astype(float) / scale, exact, atol=allowed, rtol=0)


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_a_batch_is_its_images_one_by_one(data: Any, maps: np.ndarray, method: str) -> None:
    options = {"method": method, **data.draw(layer_options(maps.ndim - 2))}
    alone = np.concatenate([run(maps[i : i + 1], **options) for i in range(len(maps))])
    np.testing.assert_allclose(run(maps, **options), alone, **CLOSE)
    order = data.draw(st.permutations(range(len(maps))))
    np.testing.assert_allclose(run(maps[list(order)], **options), alone[list(order)], **CLOSE)


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_the_order_of_channels_does_not_matter(data: Any, maps: np.ndarray, method: str) -> None:
    order = list(data.draw(st.permutations(range(maps.shape[-1]))))
    np.testing.assert_allclose(run(maps[..., order], method=method), run(maps, method=method), **CLOSE)


@given(data=st.data(), maps=feature_maps(channels=2))
def test_nor_for_the_dominant_pattern(data: Any, maps: np.ndarray) -> None:
    for image in maps.reshape(len(maps), -1, maps.shape[-1]).astype(float):
        first, second, *_ = [*np.linalg.svd(image, compute_uv=False), 0.0]
        assume(first > 1.3 * second)  # of two equally strong patterns, either is right
    order = list(data.draw(st.permutations(range(maps.shape[-1]))))
    got, want = (run(x, method="eigen", normalize=None) for x in (maps[..., order], maps))
    # Which of two opposite signs is a rule of its own, tested beside the fusion.
    np.testing.assert_allclose(abs(got), abs(want), atol=1e-3 * abs(want).max(), rtol=0)


@given(
    data=st.data(),
    maps=feature_maps(),
    method=st.sampled_from(GRADIENT),
    factor=st.floats(0.01, 100, allow_subnormal=False),
)
def test_class_maps_go_with_channels_and_gradients(data: Any, maps: np.ndarray, method: str, factor: float) -> None:
    seed = data.draw(st.integers(0, 2**32))
    maps = maps.astype("float32")
    slopes = np.random.default_rng(seed).integers(-9, 10, maps.shape).astype("float32")
    # Where the sum of a channel's slopes is nothing, rounding alone says whether it counts for or against the class.
    space = tuple(range(1, maps.ndim - 1))
    assume(slopes.sum(space).all())
    # So it is of the largest value of a map that is nothing but evidence against the class, up to a position or two.
    signed = run([maps, slopes], method=type(vc.methods.get(method))(relu=False), normalize=None)
    assume((abs(signed.max(space)) >= 1e-3 * abs(signed).max(space)).all())
    order = list(data.draw(st.permutations(range(maps.shape[-1]))))
    want = run([maps, slopes], method=method)
    np.testing.assert_allclose(run([maps[..., order], slopes[..., order]], method=method), want, **CLOSE)
    np.testing.assert_allclose(run([maps, slopes * np.float32(factor)], method=method), want, **CLOSE)


@given(maps=feature_maps(), method=st.sampled_from(PLAIN), factor=st.floats(0.01, 100, allow_subnormal=False))
def test_a_positive_factor_changes_nothing_after_minmax(maps: np.ndarray, method: str, factor: float) -> None:
    maps = maps.astype("float32")
    np.testing.assert_allclose(run(maps * np.float32(factor), method=method), run(maps, method=method), **CLOSE)


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from((*PLAIN, "eigen")))
def test_the_same_everywhere_shows_nothing(data: Any, maps: np.ndarray, method: str) -> None:
    options = data.draw(layer_options(maps.ndim - 2))
    first = maps[(slice(None), *[slice(0, 1)] * (maps.ndim - 2))]
    heatmap = run(np.broadcast_to(first, maps.shape), method=method, **options)
    np.testing.assert_array_equal(heatmap, np.zeros_like(heatmap))


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_flips_commute(data: Any, maps: np.ndarray, method: str) -> None:
    options = {"method": method, **data.draw(layer_options(maps.ndim - 2, SYMMETRIC))}
    axes = data.draw(st.lists(st.integers(1, maps.ndim - 2), unique=True))
    want = run(maps, **options)
    np.testing.assert_allclose(run(np.flip(maps, axes), **options), np.flip(want, axes), **CLOSE)


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN))
def test_channels_first_is_the_same(data: Any, maps: np.ndarray, method: str) -> None:
    options = {"method": method, **data.draw(layer_options(maps.ndim - 2))}
    first = run(np.moveaxis(maps, -1, 1), data_format="channels_first", **options)
    np.testing.assert_array_equal(first, run(maps, **options))


@given(data=st.data(), maps=feature_maps(), method=st.sampled_from(PLAIN), bad=st.sampled_from([np.nan, np.inf]))
def test_one_broken_image_stays_alone(data: Any, maps: np.ndarray, method: str, bad: float) -> None:
    options = {"method": method, **data.draw(layer_options(maps.ndim - 2))}
    which = data.draw(st.integers(0, len(maps) - 1))
    broken = maps.copy()
    broken[(which, *(data.draw(st.integers(0, n - 1)) for n in maps.shape[1:]))] = bad
    want = run(maps, **options)
    want[which] = 0
    np.testing.assert_allclose(run(broken, **options), want, **CLOSE)


# A whole model ------------------------------------------------------------------------------------------------------

# Each example attaches, which takes a second or so.
few = settings(max_examples=max(settings.default.max_examples // 5, 1))
NAMES = ("conv_a", "act_b", "conv_c", "pool_d", "conv_e")


@dataclass(frozen=True)
class Recipe:
    """A small CNN, the last of whose layers are in a nested model."""

    seed: int
    shape: tuple[int, int, int]
    steps: tuple[tuple[str, int, Any, int, str], ...]  # name, channels, stride, kernel, padding
    cut: int

    @property
    def paths(self) -> list[str]:
        """Of the layers, in the order in which they run."""
        return [name if index < self.cut else f"inner/{name}" for index, (name, *_) in enumerate(self.steps)]

    def build(self) -> tuple[Any, dict[str, Any]]:
        """The model, and its layers by path."""
        keras.utils.set_random_seed(self.seed)
        layers = [_layer(*step) for step in self.steps]
        nested = keras.Sequential(layers[self.cut :], name="inner")
        head = [keras.layers.GlobalAveragePooling2D(name="average"), keras.layers.Dense(3, name="head")]
        model = keras.Sequential([keras.Input(self.shape), *layers[: self.cut], nested, *head])
        return model, dict(zip(self.paths, layers, strict=True))


def _layer(name: str, channels: int, stride: Any, kernel: int, padding: str) -> Any:
    if name.startswith("conv"):
        return keras.layers.Conv2D(channels, kernel, stride, padding, name=name)
    return keras.layers.MaxPooling2D(2, padding="same", name=name) if "pool" in name else keras.layers.ReLU(name=name)


def _sizes_left(size: int, steps: Any, axis: int) -> bool:
    """Whether something is left of an axis after all steps."""
    for name, _, stride, kernel, padding in steps:
        if name.startswith("conv"):
            by = stride[axis] if isinstance(stride, tuple) else stride
            size = -(-(size if padding == "same" else size - kernel + 1) // by)
        elif "pool" in name:
            size = -(-size // 2)
        if size < 1:
            return False
    return True


@st.composite
def recipes(draw: Any) -> Recipe:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True))
    strides, paddings = st.sampled_from([1, 2, (1, 2)]), st.sampled_from(["same", "valid"])
    step = st.tuples(st.integers(1, 5), strides, st.integers(1, 3), paddings)
    steps = tuple((name, *draw(step)) for name in names)
    # oneDNN in TensorFlow 2.21 returns garbage for some: 3×3 pixels, kernel 2, strides (1, 2), in a batch.
    assume(not any(stride == (1, 2) and padding == "valid" for _, _, stride, _, padding in steps))
    shape = (draw(st.integers(9, 17)), draw(st.integers(9, 17)), draw(st.sampled_from([1, 3])))
    assume(all(_sizes_left(shape[axis], steps, axis) for axis in (0, 1)))
    return Recipe(draw(st.integers(0, 2**31)), shape, steps, draw(st.integers(0, len(names) - 1)))


@st.composite
def selections(draw: Any, paths: list[str]) -> tuple[str, Any, list[str]]:
    """How layers are chosen, what to pass, and the paths that it means."""
    kind = draw(st.sampled_from(["names", "layers", "pattern", "index", "mixed"]))
    chosen = draw(st.lists(st.sampled_from(paths), min_size=1, unique=True))
    if kind in ("names", "layers"):
        return kind, chosen, [path for path in paths if path in chosen]
    outer = [path for path in paths if "/" not in path]
    if kind == "index" and outer:
        index = draw(st.integers(0, len(outer) - 1))
        return kind, index, [outer[index]]
    pattern = draw(st.sampled_from(["*", "conv_*", "inner/*", "*[a-c]", "inner/conv_?", "*_?"]))
    matched = [path for path in paths if fnmatch.fnmatchcase(path, pattern)]
    assume(matched)
    if kind == "mixed":
        return kind, [pattern, chosen[0]], [path for path in paths if path in matched or path == chosen[0]]
    return kind, pattern, matched


@few
@given(data=st.data(), recipe=recipes(), method=st.sampled_from(PLAIN), count=st.integers(1, 3))
def test_any_layers_of_any_cnn(data: Any, recipe: Recipe, method: str, count: int) -> None:
    kind, layers, want = data.draw(selections(recipe.paths))
    size = data.draw(st.sampled_from(["input", None, (5, 8)]))
    model, by_path = recipe.build()
    if kind == "layers":
        layers = [by_path[path] for path in layers]
    explained = vc.attach(model, layers, method=method, size=size, normalize=None)
    x = np.random.default_rng(0).normal(size=(count, *recipe.shape)).astype("float32")
    outputs = explained(x)
    np.testing.assert_array_equal(outputs["predictions"], model(x))
    # A pattern such as * also means the nested model itself, whose output is that of its last layer.
    assert [tap.path for tap in explained.taps if tap.path != "inner"] == want
    maps = {}
    for path, layer in by_path.items():
        x = layer(x)
        maps[path] = maps["inner"] = np.asarray(x)
    for tap in explained.taps:
        target = recipe.shape[:2] if size == "input" else size
        truth = oracle.heatmap(maps[tap.path], method, target, normalize=None)
        oracle.assert_close(outputs[tap.key], truth, floor=1e-5)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("method", ["gradcam", "reciprocam"])
@few
@given(recipe=recipes())
def test_explained_images_do_not_see_each_other(method: str, recipe: Recipe) -> None:
    explained = tf.function(vc.attach(recipe.build()[0], "last", method=method, normalize=None), reduce_retracing=True)
    x = np.random.default_rng(1).normal(size=(3, *recipe.shape)).astype("float32")
    together = explained(x)
    for i in range(3):
        for name, alone in explained(x[i : i + 1]).items():
            scale = max(1.0, float(abs(together[name].numpy()).max()))
            np.testing.assert_allclose(together[name][i], alone[0], atol=1e-5 * scale, rtol=0, err_msg=name)
