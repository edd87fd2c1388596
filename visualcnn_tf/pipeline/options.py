"""The options of ``attach``, checked before any work starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf._utils.serialization import callable_from_config, warn_if_not_loadable
from visualcnn_tf.heatmap.combine import Combination, check_combine
from visualcnn_tf.heatmap.layer import FeatureMapFusion
from visualcnn_tf.heatmap.size import check_size
from visualcnn_tf.introspect.tokens.given import GivenTokens, check_tokens
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.channel_statistics import Mean
from visualcnn_tf.methods.registry import MethodLike
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.ops.normalize import Normalization, check_heatmap_dtype, check_normalize
from visualcnn_tf.ops.resize import INTERPOLATIONS
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.pixels.registry import get as get_pixels
from visualcnn_tf.render.layers import Overlay
from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.registry import TargetLike
from visualcnn_tf.targets.registry import get as get_target
from visualcnn_tf.targets.score import Score

#: A preset, a name, path or pattern, an index, a layer, or a list of these; None means ``"conv"``.
LayerSelector: TypeAlias = str | int | keras.Operation | Collection[str | int | keras.Operation] | None
#: One method, or several for one heatmap each.
Methods: TypeAlias = MethodLike | Sequence[MethodLike]
#: The same for each layer, or by patterns of layers.
MethodChoice: TypeAlias = Methods | Mapping[str, Methods]

DEFAULT_METHOD = "deviation"
_BOOLEANS = ("after_activation", "check_numerics", "jit_compile", "compile_fused_blocks")
# What these ask for is saved resolved: as taps and their weights, and as the pixels of the plan.
_RESOLVED = ("layers", "after_activation", "method", "combine_weights", "pixels", "tokens")
_SERIALIZED = ("combine", "target", "render")


@dataclass(frozen=True)
class Options:
    """The options of :func:`visualcnn_tf.attach`, checked; see there."""

    layers: LayerSelector = None
    after_activation: bool = False
    method: MethodChoice | None = None
    target: TargetLike = "predicted"
    output: str | None = None
    size: str | tuple[int, ...] | None = "input"
    interpolation: str = "bilinear"
    normalize: Normalization = "minmax"
    heatmap_dtype: str = "float32"
    combine: str | Combination | None = None
    combine_weights: Mapping[str, float] | Sequence[float] | None = None
    render: str | Overlay | None = None
    pixels: PixelsLike | None = None
    tokens: GivenTokens | None = None
    jit_compile: bool = False
    compile_fused_blocks: bool = False
    check_numerics: bool = False

    def __post_init__(self) -> None:
        for name in _BOOLEANS:
            check_choice(name, getattr(self, name), (True, False))
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_combine(self.combine)
        check_tokens(self.tokens)
        self._set("target", get_target(self.target))
        self._set("method", _resolved_methods(self.usual_method if self.method is None else self.method))
        self._set("render", _checked_overlay(self.render))
        self._set("pixels", None if self.pixels is None else get_pixels(self.pixels))
        self._set("size", check_size(self.size))
        self._set("normalize", check_normalize(self.normalize))
        self._set("heatmap_dtype", check_heatmap_dtype(self.heatmap_dtype, self.normalize))
        if self.render is not None and (self.size != "input" or self.normalize is None):
            raise bad_value("render", "None unless `size` is 'input' and `normalize` is set", "overlay")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def resolved_target(self) -> Target:
        """The target, as an object."""
        return get_target(self.target)

    @property
    def methods(self) -> list[Method]:
        """All methods, as objects."""
        choices: Any = self.method.values() if isinstance(self.method, Mapping) else [self.method]
        methods = [one for choice in choices for one in (choice if isinstance(choice, tuple) else [choice])]
        return [get_method(method) for method in methods]

    @property
    def explains_target(self) -> bool:
        """Whether any of the methods explains a target by feature maps."""
        return any(method.explains_target and not method.needs_attention for method in self.methods)

    @property
    def usual_method(self) -> str:
        """The name of the method where none is given."""
        return self.resolved_target.usual_method or DEFAULT_METHOD

    @property
    def given_pixels(self) -> Pixels | None:
        """The pixels that were asked for, as an object."""
        return None if self.pixels is None else get_pixels(self.pixels)

    @property
    def overlay(self) -> Overlay | None:
        """The layer that lays heatmaps over images, or None."""
        return self.render if isinstance(self.render, Overlay) else None

    @property
    def fused_dtype(self) -> str:
        """The type in which a heatmap leaves its layer: what is computed from heatmaps needs them in float32."""
        is_last = self.combine is None and self.render is None
        return self.heatmap_dtype if is_last else "float32"

    def fusion(self, method: Method, data_format: str, name: str, is_read: bool = False) -> FeatureMapFusion:
        """Return the layer that makes heatmaps as these options say, in float32 if something else is computed of them.

        Args:
            method: how feature maps become one map.
            data_format: of the feature maps.
            name: of the layer.
            is_read: whether something is computed from heatmaps that these options do not tell of.
        """
        return FeatureMapFusion(
            # What gives a map already: the mean of its one channel.
            Mean() if method.returns_maps else method,
            size=self.size,
            interpolation=self.interpolation,
            normalize=self.normalize,
            heatmap_dtype="float32" if is_read else self.fused_dtype,
            data_format=data_format,
            jit_compile=self.jit_compile,
            name=name,
        )

    def warn_if_not_loadable(self) -> None:
        """Warn of functions that Keras would not find again when a saved model is loaded."""
        target = self.resolved_target
        warn_if_not_loadable("combine", self.combine)
        if isinstance(target, Score):
            warn_if_not_loadable("target", target.function)

    def get_config(self) -> dict[str, Any]:
        """Return what the outputs depend on beside the taps, for Keras to serialize."""
        config = {name: value for name, value in self.__dict__.items() if name not in _RESOLVED}
        return {**config, **{name: _to_config(config[name]) for name in _SERIALIZED}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Options:
        """Return the options of a config; of the layers and methods nothing is known but the taps beside it."""
        return cls(**{**config, **{name: callable_from_config(config[name]) for name in _SERIALIZED}})


def _to_config(value: object) -> Any:
    is_object = callable(value) or isinstance(value, Target)
    return keras.saving.serialize_keras_object(value) if is_object else value


def _resolved_methods(choice: MethodChoice) -> Any:
    """Return the same with method objects in place of names and functions, lists as tuples."""
    if isinstance(choice, Mapping):
        return {pattern: _resolved_methods(entry) for pattern, entry in choice.items()}
    if isinstance(choice, (list, tuple)):
        if not choice:
            raise bad_value("method", "a name, a method object, a callable, or a list of at least one", choice)
        return tuple(get_method(entry) for entry in choice)
    return get_method(choice)  # type: ignore[arg-type]


def _checked_overlay(render: object) -> Overlay | None:
    """Return the layer that lays heatmaps over images, or None."""
    if isinstance(render, Overlay) and render.value_range is not None:
        raise bad_value(
            "render",
            "an `Overlay` without `value_range`",
            f"one of {render.value_range}",
            "Which values are black and white is said by `pixels`, such as `attach(model, pixels='0..255')`.",
        )
    if render is None or isinstance(render, Overlay):
        return render
    if isinstance(render, str) and render == "overlay":
        return Overlay()
    raise bad_value("render", "None, 'overlay' or an `Overlay` layer", render)
