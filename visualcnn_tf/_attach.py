"""attach: the entry of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.heatmap.combine import Combination
from visualcnn_tf.heatmap.layer import check_size
from visualcnn_tf.introspect.inputs import model_inputs, shaped_inputs
from visualcnn_tf.methods import Fusion
from visualcnn_tf.ops.normalize import Normalization
from visualcnn_tf.pipeline.options import DEFAULT_METHOD, Options
from visualcnn_tf.pipeline.plan import make_plan
from visualcnn_tf.render.layers import Overlay
from visualcnn_tf.targets.score import Target

#: A name, a callable, or a list of these.
Method: TypeAlias = str | Fusion | Sequence[str | Fusion]


def attach(
    model: Any,
    layers: Any = None,
    *,
    after_activation: bool = False,
    method: Method | Mapping[str, Method] = DEFAULT_METHOD,
    size: str | Sequence[int] | None = "input",
    interpolation: str = "bilinear",
    normalize: Normalization = "minmax",
    dtype: str = "float32",
    combine: str | Combination | None = None,
    combine_weights: Mapping[str, float] | Sequence[float] | None = None,
    target: Target = "predicted",
    output: str | None = None,
    relu: bool = True,
    max_channels: int | None = None,
    render: str | Overlay | None = None,
    jit_compile: str | None = None,
    check_numerics: bool = False,
    input_shape: Any = None,
    name: str | None = None,
) -> ExplainedModel:
    """The same model with one heatmap more among its outputs for each chosen layer.

    The heatmaps are computed in the graph with TensorFlow ops alone. The model itself is not changed: the
    explained model shares its weights and calls it as it is.

    Example:
        >>> import keras, numpy as np, visualcnn_tf as vc
        >>> model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3, name="conv"),
        ...                           keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
        >>> explained = vc.attach(model)
        >>> {key: value.shape for key, value in explained.predict(np.ones((2, 28, 28, 1)), verbose=0).items()}
        {'predictions': (2, 10), 'heatmap_conv': (2, 28, 28)}

    Args:
        model: a Keras 3 model on the TensorFlow backend: Sequential, functional or subclassed, nested, with any
            inputs and outputs.
        layers: what to tap: None or ``"conv"`` (every convolution and local pooling layer), ``"stages"`` (the last
            map of each resolution), ``"last"`` (the last map before the head), a layer's name or
            ``path/inside/nested/models``, a pattern (``"block3_*"``), an index as in ``model.layers``, a layer, or a
            list of these. A preset's name means the preset; for a layer of that name pass the layer itself.
        after_activation: whether the normalization and activation that follow a chosen layer are tapped in its place,
            as ``"stages"`` and ``"last"`` do: what the next layer reads, and cheaper. The heatmaps bear their names.
        method: how the feature maps are fused: a name (see ``visualcnn_tf.FUSIONS``), a callable of TensorFlow ops,
            ``(B, h, w, C) -> (B, h, w)`` or of two arguments, feature maps and gradients; a list of these, for one
            heatmap each, whose keys end in the method's name; or a dict from layer patterns to all of these (first
            match; others get the default). Methods such as ``"gradcam"`` explain the score of a class.
        size: size of the heatmaps: ``"input"``, ``(H, W)``, or None for each layer's own.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` or ``"area"``.
        normalize: ``"minmax"``, ``"max"``, ``("range", low, high)`` or None; each image for itself.
        dtype: ``"float32"``, ``"float16"`` or ``"uint8"`` (0 to 255: a quarter of the bytes).
        combine: ``"mean"``, ``"max"``, ``"product"`` or a callable ``[(B, H, W), ...] -> (B, H, W)``: adds the
            output ``"heatmap"``, all layers' normalized heatmaps in one, normalized again.
        combine_weights: weight of each layer in it: a dict from layer patterns to numbers (others weigh 1), or one
            number for each tap.
        target: which class such methods explain: ``"predicted"``; a class index; a list of them (keys end in
            ``_class<k>``); ``"top3"`` or any other number (keys end in ``_top1`` and so on); ``"input"``: the model
            gets one more input, ``class_index``, ``(B,)`` int32, where -1 means the predicted class; or a callable
            of TensorFlow ops from the model's output to one score for each image, ``(B,)``. The score of a class is
            its logit: what the softmax or sigmoid reads; of a single sigmoid unit it is the logit for class 1 and
            minus the logit for class 0. A class that is not there gets an all-zero heatmap.
        output: which of several outputs is explained.
        relu: whether they keep only the evidence for the class; without it, maps are signed.
        max_channels: for ``"scorecam"`` and ``"ablationcam"``: only so many channels, those that vary most.
        render: ``"overlay"`` adds the output ``"overlay_<layer path>"``, ``(B, H, W, 3)`` uint8, for each heatmap: the
            image with the heatmap laid over it in color. For images whose values are not in [0, 1], and for other
            colors or opacity, give an ``Overlay(alpha, colormap, value_range=(black, white))`` instead.
        jit_compile: ``"fusion"`` lets XLA compile what makes heatmaps (not the model): several times faster after
            the first call, which takes about 0.2 seconds more for each layer and each new batch size. Exported files
            hold the plain operations. ``"activation"`` does the same, and compiles the batch normalization and the
            activation before each tap as one, for methods that explain no class: faster still for batches, with many
            taps and ``after_activation``; predictions may differ from the model's by rounding. For all of the model use
            ``tf.function(explained, jit_compile=True)``.
        check_numerics: whether NaN or infinite activations raise an error that names the layer. Otherwise such an
            image gets an all-zero heatmap. Has no effect under XLA or in TensorFlow Lite.
        input_shape: shape of one example, without the batch, for a model that was never built (which this builds),
            or to fix sizes that the model leaves open. Without it such a model is prepared at its first call.
        name: name of the explained model.

    Returns:
        An :class:`ExplainedModel`: ``predict(x)`` and calls return a flat dict: ``"predictions"`` (several outputs
        keep their names), ``"explained_class"``, ``(B,)`` int32, with methods that explain a class (``(B, n)`` for
        n classes, -1 for none), ``"heatmap_<layer path>"`` of shape ``(B, H, W)`` for each tap, ``"heatmap"``.

    Raises:
        IncompatibleModelError: for anything but a Keras 3 model on the TensorFlow backend.
        LayerNotFoundError: for a layer that is not in the model; the message offers near misses.
        NoFeatureMapError: for a layer without spatial output, or a model without any.
        InputShapeError: when ``size="input"`` but no input has the layer's spatial axes.
        InvalidArgumentError: for an option that is not allowed.
        InvalidTypeError: for a layer selector of the wrong type.
        NoGradientError: when no path leads from a layer to the score that is to be explained.
    """
    check_model(model)
    options = Options(
        layers=layers,
        after_activation=after_activation,
        method=method,
        size=check_size(size),
        interpolation=interpolation,
        normalize=normalize,
        dtype=dtype,
        combine=combine,
        combine_weights=combine_weights,
        check_numerics=check_numerics,
        target=target,
        output=output,
        relu=relu,
        max_channels=max_channels,
        render=render,
        jit_compile=jit_compile,
    )
    inputs = model_inputs(model) if input_shape is None else shaped_inputs(model, input_shape)
    plan = None if inputs is None else make_plan(model, inputs, options)
    return ExplainedModel(model, options, plan, name=name or f"{model.name}_explained")


def check_model(model: Any) -> None:
    """Raises unless ``model`` is a Keras 3 model on the TensorFlow backend."""
    check_backend()
    if isinstance(model, keras.Model):
        return
    modules = {base.__module__.split(".")[0] for base in type(model).__mro__}
    if modules & {"tf_keras", "keras"} and hasattr(model, "layers"):
        raise IncompatibleModelError(
            f"`model` must be a Keras 3 model. Received: a Keras 2 (`tf_keras`) model, {type(model).__name__}. "
            "Save it as .h5 or .keras and load it with Keras 3's `keras.models.load_model`."
        )
    raise IncompatibleModelError(
        f"`model` must be a Keras 3 model (`keras.Model`). Received: {type(model).__name__}. "
        "For a file, load it first: `keras.models.load_model(path)`."
    )
