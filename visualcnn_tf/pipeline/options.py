"""The options of ``attach``, checked before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf._utils.serialization import callable_from_config, callable_to_config
from visualcnn_tf.heatmap.combine import Combination, check_combine
from visualcnn_tf.heatmap.layer import FeatureMapFusion, check_size
from visualcnn_tf.methods import Fusion, is_perturbation, resolve_fusion
from visualcnn_tf.ops.normalize import Normalization, check_dtype, check_normalize
from visualcnn_tf.ops.resize import INTERPOLATIONS
from visualcnn_tf.render.layers import Overlay
from visualcnn_tf.targets.score import Target, check_target

DEFAULT_METHOD = "deviation"
# What these ask for is kept in the plan, resolved.
_IN_THE_PLAN = ("layers", "after_activation", "method", "combine_weights")


@dataclass(frozen=True)
class Options:
    """The options of ``attach``, validated; see there."""

    layers: Any = None
    after_activation: bool = False
    method: Any = DEFAULT_METHOD
    size: str | tuple[int, ...] | None = "input"
    interpolation: str = "bilinear"
    normalize: Normalization = "minmax"
    dtype: str = "float32"
    combine: str | Combination | None = None
    combine_weights: Any = None
    check_numerics: bool = False
    target: Target = "predicted"
    output: str | None = None
    relu: bool = True
    max_channels: int | None = None
    render: Any = None
    jit_compile: str | None = None

    def __post_init__(self) -> None:
        for method in self._methods():
            resolve_fusion(method)
        object.__setattr__(self, "target", check_target(self.target))
        check_choice("after_activation", self.after_activation, (True, False))
        check_choice("relu", self.relu, (True, False))
        check_choice("jit_compile", self.jit_compile, (None, "fusion", "activation"))
        object.__setattr__(self, "render", _check_render(self.render))
        if self.max_channels is not None and not is_count(self.max_channels):
            raise bad_value("max_channels", "a number of at least 1, or None for all", self.max_channels)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("check_numerics", self.check_numerics, (True, False))
        check_combine(self.combine)
        object.__setattr__(self, "size", check_size(self.size))
        object.__setattr__(self, "normalize", check_normalize(self.normalize))
        object.__setattr__(self, "dtype", check_dtype(self.dtype, self.normalize))
        if self.render is not None and (self.size != "input" or self.normalize is None):
            raise bad_value("render", "None unless `size` is 'input' and `normalize` is set", "overlay")

    def _methods(self) -> Iterator[str | Fusion]:
        """Every method that is named, wherever it stands."""
        for entry in self.method.values() if isinstance(self.method, Mapping) else [self.method]:
            if isinstance(entry, (list, tuple)):
                if not entry:
                    raise bad_value("method", "a name, a callable, or a list of at least one", entry)
                yield from entry
            else:
                yield entry

    @property
    def fused_dtype(self) -> str:
        """The type in which a heatmap leaves its layer: what is computed from heatmaps needs them in float32."""
        is_last = self.combine is None and self.render is None and self.target != "input"
        return self.dtype if is_last else "float32"

    def fusion(self, method: str | Fusion, data_format: str, name: str) -> FeatureMapFusion:
        """The layer that makes heatmaps of :attr:`fused_dtype` as these options say."""
        return FeatureMapFusion(
            # What running the model again gives is a map already: the mean of its one channel.
            "mean" if is_perturbation(method) else method,
            size=self.size,
            interpolation=self.interpolation,
            normalize=self.normalize,
            dtype=self.fused_dtype,
            data_format=data_format,
            relu=self.relu,
            jit_compile=self.jit_compile is not None,
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        """What the outputs depend on beside the plan."""
        config = {
            **self.__dict__,
            "combine": callable_to_config(self.combine),
            "target": callable_to_config(self.target),
            "render": callable_to_config(self.render),
        }
        return {key: value for key, value in config.items() if key not in _IN_THE_PLAN}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Options:
        """The inverse of :meth:`get_config`."""
        callables = ("combine", "target", "render")
        return cls(**{key: callable_from_config(value) if key in callables else value for key, value in config.items()})


def _check_render(render: Any) -> Any:
    """The layer that lays heatmaps over images, or None."""
    if render is None or isinstance(render, Overlay):
        return render
    if isinstance(render, str) and render == "overlay":
        return Overlay()
    raise bad_value("render", "None, 'overlay' or an `Overlay` layer", render)
