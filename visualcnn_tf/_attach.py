"""attach: the entry of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.backend import check_backend
from visualcnn_tf._utils.keras2 import advice_for_model
from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.heatmap.combine import Combination
from visualcnn_tf.heatmap.size import check_size
from visualcnn_tf.introspect.find_inputs import model_inputs, shaped_inputs, symbolic_inputs
from visualcnn_tf.introspect.tokens.given import GivenTokens
from visualcnn_tf.ops.normalize import Normalization
from visualcnn_tf.pipeline.make_plan import make_plan
from visualcnn_tf.pipeline.options import LayerSelector, MethodChoice, Options
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.render.layers import Overlay
from visualcnn_tf.targets.registry import TargetLike


def attach(
    model: keras.Model,
    layers: LayerSelector = None,
    *,
    after_activation: bool = False,
    method: MethodChoice | None = None,
    target: TargetLike = "predicted",
    output: str | None = None,
    size: str | Sequence[int] | None = "input",
    interpolation: str = "bilinear",
    normalize: Normalization = "minmax",
    heatmap_dtype: str = "float32",
    combine: str | Combination | None = None,
    combine_weights: Mapping[str, float] | Sequence[float] | None = None,
    render: str | Overlay | None = None,
    pixels: PixelsLike | None = None,
    tokens: GivenTokens | None = None,
    jit_compile: bool = False,
    compile_fused_blocks: bool = False,
    check_numerics: bool = False,
    input_shape: Any = None,
    name: str | None = None,
) -> ExplainedModel:
    """Return a Keras model that also outputs one heatmap for each selected layer.

    The heatmaps are computed in the graph by TensorFlow operations alone. The model itself is not changed: the
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
        layers: which layers to explain: None or ``"conv"`` (every convolution and local pooling layer), ``"stages"``
            (the last feature map of each resolution), ``"last"`` (the last feature map before the head; of a
            transformer, for methods that explain a target, what its last attention reads), a layer's name or
            ``path/inside/nested/models``, a pattern (``"block3_*"``), an index as in ``model.layers``, a layer, or a
            list of these. A preset's name means the preset; for a layer of that name pass the layer itself.
        after_activation: if True, explain the activation that follows each selected layer, which is what the next
            layer reads; output keys use that layer's name. Cheaper. ``"stages"`` and ``"last"`` always do so.
        method: how the feature maps become one map: a name (see ``visualcnn_tf.methods.NAMES``), a method object such
            as ``visualcnn_tf.methods.ScoreCAM(max_channels=32)``, or a function of TensorFlow operations,
            ``(B, h, w, C) -> (B, h, w)`` or of two arguments, feature maps and gradients; a list of these, for one
            heatmap each, whose keys end in the method's name; or a dict from layer patterns to all of these (first
            match; other layers get the default). Methods such as ``"gradcam"`` explain a target. None is
            ``"deviation"``, or for a target with a method of its own that one: ``"hirescam"`` for boxes.
        target: what such methods explain: ``"predicted"``, the predicted class; a class index; a list of them (keys
            end in ``_class<k>``); ``"top3"`` or any other number (keys end in ``_top1`` and so on); ``"input"``: the
            model gets one more input, ``class_index``, ``(B,)`` int32, where -1 means the predicted class; a function
            of TensorFlow operations from the model's output to one score for each image, ``(B,)``; or a target object,
            see ``visualcnn_tf.targets``. The score of a class is its logit: what the softmax or sigmoid reads; of a
            single sigmoid unit it is the logit for class 1 and minus the logit for class 0. An out-of-range class
            index from the input yields an all-zero heatmap.
        output: which of several model outputs is explained; presets choose layers that lead to it, with every method.
        size: size of the heatmaps: ``"input"``, ``(H, W)``, or None for each layer's own.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` or ``"area"``.
        normalize: ``"minmax"``, ``"max"``, ``("range", low, high)`` or None; each image by itself.
        heatmap_dtype: ``"float32"``, ``"float16"`` or ``"uint8"`` (0 to 255: a quarter of the bytes).
        combine: ``"mean"``, ``"max"``, ``"product"`` or a function ``[(B, H, W), ...] -> (B, H, W)``: adds the output
            ``"heatmap"``, the normalized heatmaps of all layers in one, normalized again.
        combine_weights: weight of each layer in it: a dict from layer patterns to numbers (others weigh 1), or one
            number for each heatmap.
        render: ``"overlay"`` adds the output ``"overlay_<layer path>"``, ``(B, H, W, 3)`` uint8, for each heatmap: the
            image with the heatmap laid over it in color. For other colors or opacity give an ``Overlay(alpha,
            colormap)``. Needs ``pixels`` unless they are found in the model.
        pixels: what the model takes where a photo has pixels of 0 to 255: ``"0..255"``, ``"0..1"``, ``"-1..1"``,
            ``"caffe"``, ``"torch"``, the name of a module of ``keras.applications`` such as ``"mobilenet_v2"``, a
            function of TensorFlow operations, or a ``Pixels`` object, which also says how photos are fitted. Left out,
            it is found where the model preprocesses its images itself; see ``explained.pixels``.
        tokens: for layers of transformers that return tokens ``(B, N, C)``: which of them stand for which position of
            the image. It is found in the model; where that is not possible, give a ``TokenGrid(h, w, prefix=1)``, or a
            dict from layer patterns to these.
        jit_compile: whether XLA compiles what makes heatmaps (not the model): several times faster after the first
            call, which takes about 0.2 seconds more for each new shape of feature maps. Exported files hold the
            plain operations. To compile all of the model, use ``tf.function(explained, jit_compile=True)``.
        compile_fused_blocks: whether XLA compiles each batch normalization and the activation after it, where that
            activation is explained, as one program: faster for batches, with many layers and ``after_activation``.
            Predictions may differ from the model's by rounding. Only for methods that explain no target.
        check_numerics: if True, raise an error that names the layer if it outputs NaN or infinity. Otherwise such an
            image gets an all-zero heatmap. Has no effect under XLA or in TensorFlow Lite.
        input_shape: shape of one example, without the batch, for a model that was never built (which this builds),
            or to fix sizes that the model leaves open. Without it such a model is prepared at its first call.
        name: name of the explained model.

    Returns:
        An :class:`ExplainedModel`: ``predict(x)`` and calls return a flat dict: ``"predictions"`` (several outputs
        keep their names), ``"explained_class"``, ``(B,)`` int32, with methods that explain a class (``(B, n)`` for
        n classes, -1 for none), ``"heatmap_<layer path>"`` of shape ``(B, H, W)`` for each layer, ``"heatmap"``. Layers
        with time steps, or views of each example merged into the batch, have a heatmap for each, ``(B, T, H, W)``.

    Raises:
        IncompatibleModelError: for anything but a Keras 3 model on the TensorFlow backend, and for an explained model.
        LayerNotFoundError: for a layer that is not in the model; the message offers near misses.
        NoFeatureMapError: for a layer without spatial output, or that runs in a loop, or a model without any.
        InputShapeError: when ``size="input"`` but no input has the layer's spatial axes.
        InvalidArgumentError: for an option that is not allowed, or that would have no effect. For ``pixels``
            also where the model preprocesses its images itself, so that they would be preprocessed twice.
        InvalidTypeError: for a layer selector, method or target of the wrong type.
        NoGradientError: when no path leads from a layer to the score that is to be explained.
    """
    flags = {"jit_compile": jit_compile, "compile_fused_blocks": compile_fused_blocks, "check_numerics": check_numerics}
    rest: dict[str, Any] = {"heatmap_dtype": heatmap_dtype, "render": render, "tokens": tokens, **flags}
    options = Options(
        layers=layers,
        after_activation=after_activation,
        method=method,
        target=target,
        output=output,
        size=check_size(size),
        interpolation=interpolation,
        normalize=normalize,
        combine=combine,
        combine_weights=combine_weights,
        pixels=pixels,
        **rest,
    )
    return _explained(model, options, input_shape, name)


def _explained(model: keras.Model, options: Options, input_shape: Any, name: str | None) -> ExplainedModel:
    """Return the explained model, without a plan if the model's inputs are only known at its first call."""
    _check_bare(model)
    inputs = model_inputs(model) if input_shape is None else shaped_inputs(model, input_shape)
    try:
        plan = None if inputs is None else make_plan(model, inputs, options)
    except IncompatibleModelError:
        if symbolic_inputs(model) is not None:
            raise
        # A subclassed model keeps the shapes of its inputs, not their types: its next call tells them.
        plan = None
    return ExplainedModel(model, options, plan, name=name or f"{model.name}_explained")


def _check_bare(model: object) -> None:
    """Raise unless ``model`` is a Keras model that has no heatmaps yet."""
    check_model(model)
    if isinstance(model, ExplainedModel):
        raise IncompatibleModelError(
            f"`model` must be a model without heatmaps. Received: {model.name!r}, which is explained already. Attach "
            "to the model inside, `explained.model`; it may have any number of explained models around it."
        )


def check_model(model: object) -> None:
    """Raise unless ``model`` is a Keras 3 model on the TensorFlow backend."""
    check_backend()
    if isinstance(model, keras.Model):
        return
    modules = {base.__module__.split(".")[0] for base in type(model).__mro__}
    if modules & {"tf_keras", "keras"} and hasattr(model, "layers"):
        raise IncompatibleModelError(
            f"`model` must be a Keras 3 model. Received: a Keras 2 (`tf_keras`) model, {type(model).__name__}. "
            f"{advice_for_model()}"
        )
    raise IncompatibleModelError(
        f"`model` must be a Keras 3 model (`keras.Model`). Received: {type(model).__name__}. "
        "For a file, load it first: `keras.models.load_model(path)`, or of a SavedModel or a frozen graph "
        "`visualcnn_tf.load_graph(path)`."
    )
