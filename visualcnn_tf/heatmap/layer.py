"""FeatureMapFusion: the layer that turns feature maps into a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf._utils.checks import LONGEST_SIDE, as_tensor, bad_value, check_choice, is_count
from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.custom import Custom
from visualcnn_tf.methods.fuse import fuse
from visualcnn_tf.methods.registry import MethodLike
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.fast.xla import Compiled
from visualcnn_tf.ops.layout import to_channels_last
from visualcnn_tf.ops.normalize import Normalization, check_heatmap_dtype, check_normalize
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing
from visualcnn_tf.ops.resize import INTERPOLATIONS

_AXES = {3: "(T,)", 4: "(H, W)", 5: "(D, H, W)"}


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class FeatureMapFusion(keras.layers.Layer):
    """Fuses all the feature maps of a layer into one heatmap: fuse, resize, normalize, cast.

    Computed in float32 whatever the model's precision; differentiable for float heatmaps. An image with NaN or
    infinite activations gets an all-zero heatmap.

    Example:
        >>> import keras, numpy as np
        >>> from visualcnn_tf import FeatureMapFusion
        >>> images = keras.Input((32, 32, 3))
        >>> features = keras.layers.Conv2D(8, 3, strides=2)(images)
        >>> heatmap = FeatureMapFusion(size="input")(features, like=images)
        >>> keras.Model(images, heatmap)(np.ones((2, 32, 32, 3))).shape
        TensorShape([2, 32, 32])

    Args:
        method: how the feature maps are fused: a name in ``visualcnn_tf.methods.NAMES``, a method object such as
            ``visualcnn_tf.methods.GradCAM(relu=False)``, or a function of TensorFlow operations,
            ``(B, h, w, C) -> (B, h, w)``, or of two arguments, feature maps and gradients. Methods that run the model
            again, such as ``"reciprocam"``, work in ``attach`` only.
        size: size of the heatmap: ``(H, W)``, None for the feature maps' own size, or ``"input"`` for the size of
            the ``like`` tensor.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` or ``"area"``; half-pixel centers, anti-aliased
            where the map is larger than the heatmap (see ``visualcnn_tf.ops.resize``).
        normalize: ``"minmax"``: each image's heatmap has minimum 0 and maximum 1 exactly (under XLA but for
            rounding), a constant one is all zeros; ``"max"``; ``("range", low, high)``, clipped; or None for raw
            values.
        heatmap_dtype: type of the heatmap: ``"float32"``, ``"float16"`` or ``"uint8"`` (0 to 255).
        data_format: ``"channels_last"`` or ``"channels_first"`` feature maps; by default Keras's own setting.
        jit_compile: whether XLA compiles this layer (not the rest of the model), for each shape of feature maps, or
            the fusion alone where sizes are unknown: it takes a fraction of a second at the first call with a new
            shape or batch size, and then several times less time than operation after operation. Exported files
            hold the plain operations.
        **kwargs: ``name``, ``trainable`` and ``dtype`` of ``keras.layers.Layer``; ``dtype`` can only be
            ``"float32"``, in which the layer computes.

    Call arguments:
        activations: feature maps ``(B, h, w, C)``, signals ``(B, t, C)`` or volumes ``(B, d, h, w, C)`` of any
            float type; any dimension but the rank may be unknown. A list ``[A, G]`` of feature maps and gradients
            of a score with respect to them for the methods that need these, such as ``"gradcam"``.
        like: the tensor that gives ``size="input"`` its height and width: ``(B, H, W, C)`` or ``(B, H, W)``.

    Returns:
        Heatmaps ``(B, H, W)`` (or ``(B, T)``, ``(B, D, H, W)``) of type ``heatmap_dtype``.

    Raises:
        InvalidArgumentError: for an option that is not allowed, or a callable that returns the wrong shape.
        InputShapeError: for feature maps of rank 2 or over 5, gradients that are missing or not needed, or
            ``size="input"`` without ``like``.
    """

    def __init__(
        self,
        method: MethodLike = "deviation",
        *,
        size: str | Sequence[int] | None = None,
        interpolation: str = "bilinear",
        normalize: Normalization = "minmax",
        heatmap_dtype: str = "float32",
        data_format: str | None = None,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        check_backend()
        # Checked before Keras sees anything.
        checked_method = _checked_method(method)
        check_choice("jit_compile", jit_compile, (True, False))
        checked_size = check_size(size)
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        normalize = check_normalize(normalize)
        heatmap_dtype = check_heatmap_dtype(heatmap_dtype, normalize)
        data_format = data_format or keras.config.image_data_format()
        check_choice("data_format", data_format, ("channels_last", "channels_first"))
        _check_compute_dtype(kwargs.pop("dtype", "float32"))
        super().__init__(dtype="float32", **kwargs)
        self.method = checked_method
        self.size = checked_size
        self.interpolation = interpolation
        self.normalize = normalize
        self.heatmap_dtype = heatmap_dtype
        self.data_format = data_format
        self.jit_compile = jit_compile
        self.supports_jit = True
        self._fuse = Compiled(self._fused) if jit_compile else self._fused

    def build(self, activations_shape: Any = None, like_shape: Any = None) -> None:
        """Checks the rank; there are no weights."""
        if activations_shape is not None:  # Keras leaves out the shape of what is no tensor: the call names it
            self._check_rank(len(self._one(activations_shape)), like_shape is not None)
        self.built = True

    def call(self, activations: Any, like: Any = None) -> Any:
        """Return the heatmaps of feature maps; see the class."""
        return postprocess_all([self.fuse_maps(activations, like)])[0]

    def fuse_maps(self, activations: Any, like: Any = None) -> FusedMap:
        """Return the first half of :meth:`call`: fused maps, and how they become heatmaps."""
        given = [to_channels_last(one, self.data_format) for one in self._tensors(activations, like is not None)]
        size = None if self.size is None else self._target(given[0].shape.rank - 1, like)
        settings = PostProcessing(size, self.interpolation, self.normalize, self.heatmap_dtype)
        maps, finite = self._fuse(*given)
        return FusedMap(maps, finite, settings, self.jit_compile)

    def _fused(self, activations: Any, gradients: Any = None) -> tuple[Any, Any]:
        return fuse(self.method, activations, gradients)

    def _tensors(self, activations: Any, has_like: bool) -> list[Any]:
        """The feature maps and, if the method needs them, the gradients."""
        given = list(activations) if isinstance(activations, (list, tuple)) else [activations]
        tensors = [as_tensor("activations", tensor) for tensor in given]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        self._one(shapes[0] if len(shapes) == 1 else shapes)
        self._check_rank(tensors[0].shape.rank, has_like)
        return tensors

    def _one(self, shape: Any) -> Any:
        """The shape of the feature maps, with or without that of gradients beside it."""
        has_two = bool(shape) and isinstance(shape[0], (tuple, list))
        if has_two and len(shape) == 2 and self.method.needs_gradients:
            fits = len(shape[0]) == len(shape[1]) and all(
                a == b or None in (a, b) for a, b in zip(shape[0], shape[1], strict=True)
            )
            if fits:
                return tuple(shape[0])
        elif not has_two and not self.method.needs_gradients:
            return tuple(shape)
        expected = "[A, G], feature maps and gradients of one shape" if self.method.needs_gradients else "one tensor"
        raise InputShapeError(
            f"`activations` must be {expected}, for the method {self.method.name!r}. Received: {shape}."
        )

    def _target(self, rank: int, like: Any) -> tuple[Any, ...]:
        if isinstance(self.size, tuple):
            return self.size
        dynamic = tf.shape(like)
        axes = spatial_axes(len(like.shape), rank - 1, self.data_format)
        return tuple(like.shape[axis] or dynamic[axis] for axis in axes)

    def _check_rank(self, rank: int | None, has_like: bool) -> None:
        if rank not in _AXES:
            raise InputShapeError(
                "`activations` must be signals (B, t, C), feature maps (B, h, w, C) or volumes (B, d, h, w, C). "
                f"Received: a tensor of rank {rank}. Use a layer before the flattening or global pooling."
            )
        if self.size == "input" and not has_like:
            raise InputShapeError(
                "`like` must be given for size='input'. Received: None. Pass the image tensor, "
                "`layer(features, like=images)`, or set `size` to None or (H, W)."
            )
        if isinstance(self.size, tuple) and len(self.size) != rank - 2:
            raise bad_value("size", f"{_AXES[rank]} for feature maps of rank {rank}", self.size)

    def compute_output_shape(self, activations_shape: Any, like_shape: Any = None) -> tuple[int | None, ...]:
        """``(B, H, W)``, None where unknown."""
        activations_shape = self._one(activations_shape)
        rank = len(activations_shape)
        self._check_rank(rank, like_shape is not None)
        if isinstance(self.size, tuple):
            return (activations_shape[0], *self.size)
        if self.size == "input":
            axes = spatial_axes(len(like_shape), rank - 2, self.data_format)
            return (activations_shape[0], *(like_shape[axis] for axis in axes))
        axes = spatial_axes(rank, rank - 2, self.data_format)
        return (activations_shape[0], *(activations_shape[axis] for axis in axes))

    def compute_output_spec(self, activations: Any, like: Any = None) -> Any:
        """Shape and type of the heatmap."""
        like_shape = None if like is None else like.shape
        several = isinstance(activations, (list, tuple))
        shapes = [tuple(tensor.shape) for tensor in activations] if several else tuple(activations.shape)
        shape = self.compute_output_shape(shapes, like_shape)
        if isinstance(self.method, Custom):
            # Only a trial run tells whether it returns the right shape.
            spec = tf.TensorSpec(self._channels_last(self._one(shapes)), tf.float32)
            gradients = [spec] if self.method.needs_gradients else []
            tf.function(self._fused, autograph=False).get_concrete_function(spec, *gradients)
        return keras.KerasTensor(shape, dtype=self.heatmap_dtype)

    def _channels_last(self, shape: Any) -> tuple[int | None, ...]:
        return tuple(shape) if self.data_format == "channels_last" else (shape[0], *shape[2:], shape[1])

    def get_config(self) -> dict[str, Any]:
        """Return all options, for Keras to serialize."""
        return {
            **super().get_config(),
            "method": keras.saving.serialize_keras_object(self.method),
            "size": self.size,
            "interpolation": self.interpolation,
            "normalize": self.normalize,
            "heatmap_dtype": self.heatmap_dtype,
            "data_format": self.data_format,
            "jit_compile": self.jit_compile,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureMapFusion:
        """Return the layer of a config."""
        return cls(**{**config, "method": get_method(config["method"])})


def _checked_method(identifier: MethodLike) -> Method:
    method = get_method(identifier)
    if method.needs_replay:
        raise bad_value(
            "method",
            "one that needs feature maps and gradients only",
            identifier,
            f"It runs the model again: use `attach(model, layers, method={identifier!r})`.",
        )
    return method


def _check_compute_dtype(dtype: Any) -> None:
    """Raise unless Keras's ``dtype``, a name, a policy or its config, is float32."""
    if keras.dtype_policies.get(dtype).compute_dtype != "float32":
        raise bad_value(
            "dtype", "'float32', in which heatmaps are computed", dtype, "Use `heatmap_dtype` for the type of heatmaps."
        )


def check_size(size: Any) -> str | tuple[int, ...] | None:
    """The size in its canonical form.

    Raises:
        InvalidArgumentError: unless it is ``"input"``, None or one to three positive integers up to 16384.
    """
    if size is None or (isinstance(size, str) and size == "input"):
        return size
    if isinstance(size, (tuple, list)) and 1 <= len(size) <= 3 and all(is_count(n) and n <= LONGEST_SIDE for n in size):
        return tuple(int(n) for n in size)
    raise bad_value("size", f"'input', None or positive integers up to {LONGEST_SIDE} such as (224, 224)", size)


def spatial_axes(rank: int, space: int, data_format: str) -> list[int]:
    """The spatial axes of a tensor with ``space`` of them, with a channel axis or without.

    Raises:
        InputShapeError: when a tensor of that rank can't have them.
    """
    if rank not in (space + 1, space + 2):
        raise InputShapeError(
            f"`like` must have {space} spatial axes, (B, {'H, W, ' if space == 2 else '..., '}C). "
            f"Received: a tensor of rank {rank}. Set `size` to None or to explicit numbers."
        )
    first = 2 if rank == space + 2 and data_format == "channels_first" else 1
    return list(range(first, first + space))
