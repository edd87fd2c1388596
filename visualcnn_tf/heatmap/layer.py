"""FeatureMapFusion: the layer that turns feature maps into a heatmap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf._utils.checks import as_tensor, bad_value, check_choice
from visualcnn_tf._utils.types import AxisSize, Shape
from visualcnn_tf.errors import InputShapeError
from visualcnn_tf.heatmap.size import check_size, spatial_axes
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.custom import Custom
from visualcnn_tf.methods.fuse import fuse
from visualcnn_tf.methods.registry import MethodLike
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.fast.xla import Compiled
from visualcnn_tf.ops.layout import to_channels_last
from visualcnn_tf.ops.normalize import Normalization, check_heatmap_dtype, check_normalize
from visualcnn_tf.ops.place import Region
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing
from visualcnn_tf.ops.resize import INTERPOLATIONS

_AXES = {3: "(T,)", 4: "(H, W)", 5: "(D, H, W)"}


@keras.saving.register_keras_serializable(package="visualcnn_tf")
class FeatureMapFusion(keras.layers.Layer):
    """A layer that turns the feature maps of another layer into one heatmap: fuse, resize, normalize, cast.

    It computes in float32 whatever the model's precision, and is differentiable where heatmaps are floats. An image
    with NaN or infinite activations gets an all-zero heatmap.

    Example:
        >>> import keras, numpy as np
        >>> from visualcnn_tf import FeatureMapFusion
        >>> images = keras.Input((32, 32, 3))
        >>> features = keras.layers.Conv2D(8, 3, strides=2)(images)
        >>> heatmap = FeatureMapFusion(size="input")(features, like=images)
        >>> keras.Model(images, heatmap)(np.ones((2, 32, 32, 3))).shape
        TensorShape([2, 32, 32])

    Args:
        method: How the feature maps are fused: a name in ``visualcnn_tf.methods.NAMES``, a method object such as
            ``visualcnn_tf.methods.GradCAM(relu=False)``, or a function of TensorFlow operations,
            ``(B, h, w, C) -> (B, h, w)``, or of two arguments, feature maps and gradients. Methods that run the model
            again or read attention weights, such as ``"reciprocam"``, work in ``attach`` only.
        size: Size of the heatmap: ``(H, W)``, None for the feature maps' own size, or ``"input"`` for the size of
            the ``like`` tensor.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` or ``"area"``; half-pixel centers, anti-aliased
            where the map is larger than the heatmap (see ``visualcnn_tf.ops.resize``).
        normalize: ``"minmax"``: each image's heatmap has minimum 0 and maximum 1 exactly (but for rounding where XLA
            compiles it), and a constant one is all zeros; ``"max"``: divided by the largest absolute value;
            ``("range", low, high)``: low becomes 0 and high 1, clipped; None: raw values.
        heatmap_dtype: Type of the heatmap: ``"float32"``, ``"float16"`` or ``"uint8"`` (0 to 255).
        data_format: ``"channels_last"`` or ``"channels_first"`` feature maps; by default Keras's own setting.
        jit_compile: Whether XLA compiles this layer, and not the rest of the model; where sizes are unknown, it
            compiles the method alone. The first call with a new shape or batch size takes a fraction of a second
            longer, and all others several times less time. Exported files hold the plain operations.
        **kwargs: ``name``, ``trainable`` and ``dtype`` of ``keras.layers.Layer``; ``dtype`` can only be
            ``"float32"``, in which the layer computes.

    Call arguments:
        activations: Feature maps ``(B, h, w, C)``, signals ``(B, t, C)`` or volumes ``(B, d, h, w, C)`` of any
            float type; any dimension but the rank may be unknown. For methods that need gradients, such as
            ``"gradcam"``, a list ``[A, G]`` of feature maps and the gradients of a score with respect to them.
        like: The tensor that gives ``size="input"`` its height and width: ``(B, H, W, C)`` or ``(B, H, W)``.

    Returns:
        Heatmaps ``(B, H, W)`` (or ``(B, T)``, ``(B, D, H, W)``) of type ``heatmap_dtype``.

    Raises:
        InvalidArgumentError: For an option that is not allowed, or a callable that returns the wrong shape.
        InputShapeError: For feature maps of rank 2 or over 5, gradients that are missing or not needed, or
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
        self._compiled = Compiled(self._fused)

    def build(self, activations_shape: Shape | list[Shape] | None = None, like_shape: Shape | None = None) -> None:
        """Check the ranks; there are no weights."""
        if activations_shape is not None:  # Keras leaves out the shape of what is no tensor: the call names it
            self._check_rank(len(self._feature_map_shape(activations_shape)), like_shape is not None)
        self.built = True

    def call(self, activations: tf.Tensor | list[tf.Tensor], like: tf.Tensor | None = None) -> tf.Tensor:
        """Return the heatmaps of feature maps; see the class."""
        return postprocess_all([self.fuse_maps(activations, like)])[0]

    def fuse_maps(
        self, activations: tf.Tensor | list[tf.Tensor], like: tf.Tensor | None = None, region: Region | None = None
    ) -> FusedMap:
        """Return the first half of :meth:`call`: fused maps, and how they become heatmaps.

        Args:
            activations: as for :meth:`call`.
            like: as for :meth:`call`.
            region: the part of the heatmap that the feature maps cover; heatmaps of their own size are all covered.
        """
        tensors = [to_channels_last(tensor, self.data_format) for tensor in self._checked(activations, like)]
        size = self._heatmap_size(tensors[0].shape.rank - 2, like)
        region = None if size is None else region
        settings = PostProcessing(size, self.interpolation, self.normalize, self.heatmap_dtype, region)
        maps, finite = self._fusion(tensors)(*tensors)
        return FusedMap(maps, finite, settings, self.jit_compile)

    def _fusion(self, tensors: Sequence[tf.Tensor]) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """Return what fuses feature maps of these shapes."""
        if not self.jit_compile:
            return self._fused
        if isinstance(self.method, Custom):  # what a user's function does may change from layer to layer
            return self._compiled
        return _program(self.method, tuple(tuple(tensor.shape) for tensor in tensors))

    def _fused(self, activations: tf.Tensor, gradients: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        return fuse(self.method, activations, gradients)

    def _heatmap_size(self, count: int, like: tf.Tensor | None) -> tuple[AxisSize, ...] | None:
        """Return the sizes of ``count`` spatial axes, or None for those of the feature maps."""
        if not isinstance(self.size, str):
            return self.size
        static, dynamic = cast(tf.Tensor, like).shape, tf.shape(like)
        return tuple(static[axis] or dynamic[axis] for axis in spatial_axes(len(static), count, self.data_format))

    def _checked(self, activations: tf.Tensor | list[tf.Tensor], like: tf.Tensor | None) -> list[tf.Tensor]:
        """Return the feature maps and, if the method needs them, the gradients."""
        if isinstance(activations, (list, tuple)):
            tensors = [as_tensor("activations", one) for one in activations]
            shape = self._feature_map_shape([tuple(one.shape) for one in tensors])
        else:
            tensors = [as_tensor("activations", activations)]
            shape = self._feature_map_shape(tuple(tensors[0].shape))
        self._check_rank(len(shape), like is not None)
        return tensors

    def _feature_map_shape(self, shape: Shape | list[Shape]) -> Shape:
        """Return the shape of the feature maps from theirs or, if the method needs gradients, from that of both."""
        several = bool(shape) and isinstance(shape[0], (tuple, list))
        if self.method.needs_gradients:
            expected = "[A, G], feature maps and gradients of one shape"
            fits = several and len(shape) == 2 and tf.TensorShape(shape[0]).is_compatible_with(shape[1])
        else:
            expected, fits = "one tensor", not several
        if fits:
            return tuple(cast(Shape, shape[0] if several else shape))
        raise InputShapeError(
            f"`activations` must be {expected}, for the method {self.method.name!r}. Received: {shape}."
        )

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

    def compute_output_shape(self, activations_shape: Shape | list[Shape], like_shape: Shape | None = None) -> Shape:
        """Return ``(B, H, W)``, None where unknown."""
        shape = self._feature_map_shape(activations_shape)
        self._check_rank(len(shape), like_shape is not None)
        if isinstance(self.size, tuple):
            return (shape[0], *self.size)
        source = like_shape if self.size == "input" and like_shape is not None else shape
        return (shape[0], *(source[axis] for axis in spatial_axes(len(source), len(shape) - 2, self.data_format)))

    def compute_output_spec(
        self, activations: keras.KerasTensor | list[keras.KerasTensor], like: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        """Return the shape and the type of the heatmap."""
        shapes: Shape | list[Shape]
        if isinstance(activations, (list, tuple)):
            shapes = [tuple(one.shape) for one in activations]
        else:
            shapes = tuple(activations.shape)
        shape = self.compute_output_shape(shapes, None if like is None else like.shape)
        if isinstance(self.method, Custom):
            # Only a trial run tells whether it returns the right shape.
            spec = tf.TensorSpec(self._channels_last(self._feature_map_shape(shapes)), tf.float32)
            gradients = [spec] if self.method.needs_gradients else []
            tf.function(self._fused, autograph=False).get_concrete_function(spec, *gradients)
        return keras.KerasTensor(shape, dtype=self.heatmap_dtype)

    def _channels_last(self, shape: Shape) -> Shape:
        return shape if self.data_format == "channels_last" else (shape[0], *shape[2:], shape[1])

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


@functools.lru_cache(maxsize=256)
def _program(method: Method, shapes: tuple[Shape, ...]) -> Compiled:
    """Return the program for feature maps of these shapes, which all layers with the method share."""
    return Compiled(functools.partial(fuse, method))


def _checked_method(identifier: MethodLike) -> Method:
    method = get_method(identifier)
    if method.returns_maps:
        does = "reads attention weights" if method.needs_attention else "runs the model again"
        does = "reads the head of a detector" if method.needs_head else does
        raise bad_value(
            "method",
            "one that needs feature maps and gradients only",
            identifier,
            f"It {does}: use `attach(model, layers, method={identifier!r})`.",
        )
    return method


def _check_compute_dtype(dtype: object) -> None:
    """Raise unless Keras's ``dtype``, a name, a policy or its config, is float32."""
    if keras.dtype_policies.get(dtype).compute_dtype != "float32":
        raise bad_value(
            "dtype", "'float32', in which heatmaps are computed", dtype, "Use `heatmap_dtype` for the type of heatmaps."
        )
