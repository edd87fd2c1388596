"""Every kind of bad input that we could think of, in one table: what is given, what happens, what is said.

``tests/project/test_bad_inputs.py`` tries each row;
``python tests/support/bad_inputs.py > docs/errors.md`` writes the page for users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What is said where an outcome is no error.
WORKS = "works"


@dataclass(frozen=True)
class Row:
    """One kind of bad or odd input.

    Attributes:
        area: what it is given to.
        given: for the page: code, a command, or words.
        happens: the name of an error, ``exit code 2``, a status of the server, or ``works``.
        said: what the message holds; for what works, what it does.
        run: what is tried, on the :class:`World` of the tests; of what works, whether it did as said.
    """

    area: str
    given: str
    happens: str
    said: str
    run: Callable[[Any], Any]


def code(area: str, given: str, happens: str, said: str) -> Row:
    """A row whose input is code, with the names of the world."""
    return Row(area, f"`{given}`", happens, said, lambda world: eval(given, dict(world.names)))


def command(words: str, said: str, happens: str = "exit code 2") -> Row:
    """A row of the command line; a bar stands for a space inside a word."""
    shown = " ".join(f'"{word}"' if not word or " " in word else word for word in split(words))
    return Row("Command line", f"`visualcnn {shown}`", happens, said, lambda world: world.command(split(words)))


def split(words: str) -> list[str]:
    return [word.replace("|", " ") if word != '""' else "" for word in words.split(" ")]


def image(name: str, what: str, happens: str, said: str) -> list[Row]:
    """Two rows: an image file on the command line, and its bytes in a request."""
    if happens == WORKS:
        return [Row("Images: files and requests", what, WORKS, said, lambda world: world.reads_the_same(name))]
    return [
        Row("Images: files", what, "exit code 2", said, lambda world: world.command(["show", "model.keras", name])),
        Row(
            "Images: requests",
            what,
            "INVALID_ARGUMENT",
            "`image_bytes` holds no readable JPEG, PNG, GIF or BMP image at index] [1]",
            lambda world: world.request(name),
        ),
    ]


def request(what: str, said: str, image: Callable[[], Any]) -> Row:
    """A row of a request with an array."""
    return Row(
        "Served model", what, "INVALID_ARGUMENT", said, lambda world: world.served("serving_default", image=image())
    )


def rollout(model: str, layer: str, said: str) -> Row:
    """A row of a model whose attention can't be rolled out to a layer."""
    return code(A, f"attach({model}(), {layer!r}, method='attentionrollout', size=None)", "NoAttentionError", said)


A, G, D, C, F, V, P, E, O, S, T, B = (  # noqa: E741 - one letter a column
    "attach",
    "load_graph",
    "drise",
    "Calls and predict",
    "FeatureMapFusion",
    "Visualizer",
    "plot_heatmaps",
    "explain_photos",
    "overlay",
    "export_saved_model",
    "export_tflite",
    "explain_dataset",
)
_VALUE, _TYPE, _SHAPE, _IMAGE = "InvalidArgumentError", "InvalidTypeError", "InputShapeError", "ImageReadError"
_MODEL = "IncompatibleModelError"

ROWS: list[Row] = [
    # attach
    code(A, "attach(None)", "IncompatibleModelError", "Received: NoneType. For a file, load it first"),
    code(A, "attach('model.keras')", "IncompatibleModelError", "Received: str. For a file, load it first"),
    code(A, "attach(keras.layers.Dense(2))", "IncompatibleModelError", "must be a Keras 3 model"),
    code(A, "attach(explained)", "IncompatibleModelError", "which is explained already. Attach to the model inside"),
    code(
        A,
        "attach(keras.Sequential([keras.Input((9,)), keras.layers.Embedding(5, 4), keras.layers.Conv1D(3, 3), "
        "keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(2)]), method='scorecam')",
        _VALUE,
        "`method` must be one that does not mask the input",
    ),
    code(A, "attach(model, [])", _VALUE, "`layers` must select at least one layer"),
    code(A, "attach(model, 'secnod')", "LayerNotFoundError", "Did you mean 'second'"),
    code(A, "attach(model, 'nope_*')", "LayerNotFoundError", "the pattern 'nope_*', which matches none"),
    code(A, "attach(model, 99)", "LayerNotFoundError", "`layers` indices must be from"),
    code(A, "attach(model, 1.5)", _TYPE, "Received: 1.5 of type float"),
    code(A, "attach(model, np.array([0, 2]))", _TYPE, "or a list of these. Received: array([0, 2])"),
    code(A, "attach(model, 'head')", "NoFeatureMapError", "spatial output"),
    code(A, "attach(of_clips, 'conv')", "NoFeatureMapError", "a TimeDistributed layer with an unknown number of steps"),
    code(A, "attach(of_mapped, 'last')", "NoFeatureMapError", "runs once for each element of `vectorized_map`"),
    code(A, "attach(of_columns, 'conv', size=None)", "NoFeatureMapError", "the batch is not its first axis"),
    code(A, "attach(of_views, method='reciprocam')", "NoFeatureMapError", "needs one feature map for each example"),
    code(A, "attach(of_views, render='overlay')", _VALUE, "`render` must be None unless the layer sees gray or color"),
    code(A, "attach(each_view, method='gradcam')", _VALUE, "with the batch first, and one row for each example"),
    code(A, "attach(beside_a_table, 'of_table')", "InputShapeError", "an input with the spatial axes of 'of_table'"),
    code(
        A,
        "attach(beside_a_table, 'of_table', method='scorecam', size=(4, 4))",
        "InputShapeError",
        "masks the input with the spatial axes of 'of_table'",
    ),
    code(A, "attach(model, ['first', 'first'])", _VALUE, "`layers` must name each tap once"),
    code(A, "attach(model, keras.layers.Conv2D(2, 3))", "LayerNotFoundError", "which is not inside it"),
    code(A, "attach(model, method='devation')", _VALUE, "Did you mean 'deviation'"),
    code(A, "attach(model, 'first', method='attentionrollout')", "NoAttentionError", "'first' with shape"),
    rollout("mixer", "block0_norm1", "'block0_norm1', behind which there are none. Select the first layer of tokens"),
    rollout("vit", "block1_out", "'block1_out', behind which there are none"),
    rollout("attend_with_a_class_token", "tokens", "with 16 tokens, behind which"),
    rollout("swin", "block0", "'block0' with 64 tokens, behind which"),
    rollout("mit", "stage0_embedded", "has weights of shape (B, 2, 64, 16), as in windows, between fewer tokens"),
    rollout("attend_to_pool", "tokens", "has weights of shape (B, 2, 1, 16)"),
    rollout("attend_side_by_side", "tokens", "attend side by side"),
    rollout("attend_by_heads_in_the_batch", "tokens", "where heads or windows are merged into the batch"),
    rollout("attend_in_a_function", "tokens", "computes a softmax in a function of its own"),
    rollout("attend_in_steps", "steps/small/tokens", "the tokens of time steps"),
    rollout("read_backwards", "tokens", "rearranges tokens behind the last attention"),
    rollout("read_in_pieces", "tokens", "rearranges tokens behind the last attention"),
    code(
        A,
        "attach(attend_without_gradients(), 'tokens', method='gradientrollout')",
        "NoGradientError",
        "no path leads from 'tokens'",
    ),
    code(A, "methods.AttentionRollout(residual=1)", _VALUE, "`residual` must be a number from 0 to below 1"),
    code(A, "methods.AttentionRollout(heads='all')", _VALUE, "`heads` must be one of 'mean', 'max', 'min'"),
    code(
        F,
        "FeatureMapFusion('attentionrollout')",
        _VALUE,
        "It reads attention weights: use `attach(model, layers, method='attentionrollout')`",
    ),
    code(A, "attach(model, method=[])", _VALUE, "or a list of at least one"),
    code(A, "attach(model, method=lambda maps: maps)", _VALUE, "Reduce the last axis (channels) only"),
    code(A, "attach(model, method=lambda maps: 1 / 0)", "ZeroDivisionError", "division by zero"),
    code(A, "attach(model, size=(0, 5))", _VALUE, "`size` must be 'input', None or positive integers"),
    code(A, "attach(model, size=(10**9, 10**9))", _VALUE, "positive integers up to 16384"),
    code(A, "attach(model, size=(4, 4, 4))", _VALUE, "`size` must be (H, W) for feature maps of rank 4"),
    code(A, "attach(model, normalize=('range', 1, float('nan')))", _VALUE, "with finite low < high"),
    code(A, "attach(model, heatmap_dtype='int8')", _VALUE, "`heatmap_dtype` must be one of"),
    code(A, "attach(model, heatmap_dtype='uint8', normalize=None)", _VALUE, "Raw values do not fit 0 to 255"),
    code(A, "attach(model, combine='mean', combine_weights=[1])", _VALUE, "or 3 numbers, one a tap"),
    code(A, "attach(model, method='gradcam', target=3)", _VALUE, "within the model's 3 classes, 0 to 2"),
    code(A, "attach(model, method='gradcam', target='top' + '9' * 20)", _VALUE, "`target` must be 'predicted'"),
    code(A, "attach(masks, method='gradcam', target=3)", _VALUE, "within the model's 3 classes, 0 to 2"),
    code(A, "attach(masks, method='gradcam', target=targets.Mask(9))", _VALUE, "within the model's 3 classes, 0 to 2"),
    code(A, "targets.Mask('predict')", _VALUE, "Did you mean 'predicted'"),
    code(A, "targets.Mask(1, region='everything')", _VALUE, "`region` must be None, 'all', 'input', 'point', a point"),
    code(A, "targets.Mask(1, region=np.zeros((10, 8)))", _VALUE, "weights that are finite, at least 0, and not all 0"),
    code(
        A,
        "attach(masks, method='gradcam', target=targets.Mask(1, np.ones((9, 9))))",
        _VALUE,
        "`region` must be of the size of the model's output, (10, 8)",
    ),
    code(
        A,
        "attach(masks, method='gradcam', target=targets.Mask(1, (99, 0)))",
        _VALUE,
        "`region` must be a point of the model's output, (10, 8)",
    ),
    code(A, "attach(model, method='gradcam', target=targets.Mask(1))", _VALUE, "For scores (B, K) use a class index"),
    code(A, "attach(class_indices, method='gradcam')", _VALUE, "(an argmax), and no gradient leads to the scores"),
    code(A, "attach(one_channel, method='gradcam')", _VALUE, "If these are logits, end the model in the sigmoid"),
    code(A, "attach(backbone, method='gradcam')", _VALUE, "is feature maps: no softmax or sigmoid ends the model"),
    code(A, "attach(model, target=targets.Box(0))", _VALUE, "`target` must be other than a box for a model without"),
    code(A, "attach(detector, target=targets.Box(45))", _VALUE, "within the model's 45 boxes, 0 to 44"),
    code(A, "attach(detector, target=targets.Box(-1))", _VALUE, "`index` must be the index of a box from 0"),
    code(A, "attach(detector, target=targets.Box('bset'))", _VALUE, "Did you mean 'best'"),
    code(A, "attach(detector, target=targets.Box(0, class_index=3))", _VALUE, "within the model's 3 classes"),
    code(A, "attach(detector, target=targets.Box(0, background=3))", _VALUE, "within the model's 3 classes"),
    code(A, "attach(detector, target=targets.Box(0, background='last'))", _VALUE, "-1 for the last class"),
    code(A, "attach(detector, target=targets.Box(0, 1, background=0))", _VALUE, "where `class_index` says the class"),
    code(A, "attach(of_lists, target=targets.Box(0, class_index=1))", _VALUE, "None where each box has one class"),
    code(A, "attach(of_one_convolution, target=targets.Box(0))", _VALUE, "say which columns do (`Box(0, columns="),
    code(A, "attach(of_one_convolution, target=targets.Box(0, columns=(4, 9)))", _VALUE, "within the 7 columns"),
    code(A, "attach(detector, target=targets.Box(0, columns=(4, 4)))", _VALUE, "the first column and the last + 1"),
    code(A, "attach(of_two_tables, target=targets.Box(0))", _VALUE, "'scores', 'more' may hold the scores of boxes"),
    code(A, "attach(that_suppresses, target=targets.Box(0))", "NoGradientError", "which hides whose they are"),
    code(A, "attach(model, ['first', 1], output='predictions')", _VALUE, "None where `layers` are named or"),
    code(A, "attach(model, render='overlay', size=None)", _VALUE, "`render` must be None unless `size` is 'input'"),
    code(A, "attach(model, render='overlay')", _VALUE, "`pixels` must be given for overlays, by name"),
    code(A, "attach(model, render=Overlay(value_range=(0, 255)))", _VALUE, "`render` must be an `Overlay` without"),
    code(A, "attach(model, pixels='mobilnet')", _VALUE, "Did you mean 'mobilenet'"),
    code(A, "attach(rescales, pixels='vgg16')", _VALUE, "the model preprocesses its images itself by 'to_unit'"),
    code(A, "attach(model, pixels=lambda x: np.sqrt(x))", _VALUE, "or a function of TensorFlow operations"),
    code(A, "attach(model, pixels=Pixels(size=(12, 12)))", _VALUE, "`pixels` must be without `size`"),
    code(A, "Pixels('0..1', fit='croped')", _VALUE, "Did you mean 'crop'"),
    code(
        A, "attach(of_tokens, 'norm', method='gradcam')", "NoGradientError", "whose tokens of the image reach nothing"
    ),
    code(
        A, "attach(of_tokens, 'block0_attention/query')", "NoFeatureMapError", "its axes are those of tokens and heads"
    ),
    code(A, "attach(of_tokens, 'norm', tokens=(4, 4))", _TYPE, "`tokens` must be None, a `TokenGrid`, or a dict"),
    code(A, "attach(of_tokens, 'norm', tokens=TokenGrid(2, 8))", _VALUE, "whose tokens are those of TokenGrid(4, 4"),
    code(A, "attach(of_tokens, 'norm', tokens={'nrom': TokenGrid(4, 4)})", "LayerNotFoundError", "Did you mean 'norm'"),
    code(A, "attach(model, 'first', tokens=TokenGrid(4, 4))", _VALUE, "`tokens` must be None unless `layers` select"),
    code(A, "TokenGrid(14, 14.5)", _VALUE, "`shape` must be one to three numbers of positions"),
    code(A, "TokenGrid(14, 14, prefix=-1)", _VALUE, "`prefix` must be the number of tokens before"),
    code(A, "attach(model, input_shape=(5, 5, 3))", _VALUE, "compatible with the model's (B, 12, 12, 3)"),
    code(A, "attach(model, name='a/b')", "ValueError", "cannot contain character `/`"),
    # graphs
    code(G, "load_graph(5)", _TYPE, "`path` must be a path"),
    code(G, "load_graph('absent.pb')", _VALUE, "There is no file or folder `absent.pb`"),
    code(G, "load_graph('frames')", _MODEL, "There is no file `saved_model.pb` in it"),
    code(G, "load_graph('broken.pb')", _MODEL, "must be a frozen graph (`.pb`, a binary GraphDef) or the folder"),
    code(G, "load_graph('good.png')", _MODEL, "must be a frozen graph (`.pb`, a binary GraphDef) or the folder"),
    code(G, "load_graph('estimator/saved_model.pb')", _MODEL, "Pass the folder that it is in."),
    code(G, "load_graph('estimator', 'predcit')", _VALUE, "Did you mean 'predict'?"),
    code(G, "load_graph('frozen.pb', 'predict')", _VALUE, "`signature` must be left out for a frozen graph"),
    code(G, "load_graph('estimator')", _MODEL, "Name the others: `outputs=['scores']`."),
    code(
        G, "load_graph('estimator', outputs='scores')", _MODEL, "takes texts or encoded images; name the tensor behind"
    ),
    code(G, "load_graph('frozen.pb', outputs='last/Rleu')", "LayerNotFoundError", "Did you mean 'last/Relu'?"),
    code(G, "load_graph('frozen.pb', inputs='iamge')", "LayerNotFoundError", "Did you mean 'image'?"),
    code(G, "load_graph('frozen.pb', outputs='last/Relu:1')", "LayerNotFoundError", "'last/Relu' returns 1, numbered"),
    code(G, "load_graph('frozen.pb', outputs=3)", _TYPE, "`outputs` must be the name of a tensor, a list of names"),
    code(G, "load_graph('several_ends.pb')", _VALUE, "`outputs` must be given for a graph that does not tell"),
    code(G, "load_graph('scalar.pb')", _MODEL, "is a scalar; fix it to a value"),
    code(G, "load_graph('scalar.pb', inputs='image')", _VALUE, "`inputs` must hold all inputs"),
    code(G, "load_graph('scalar.pb', inputs=['image', 'image:0'])", _VALUE, "each only once"),
    code(G, "load_graph('scalar.pb', inputs={'image': 'image', 'scale': [1, 2]})", _VALUE, "to fix 'scale' to"),
    code(G, "load_graph('loop.pb')", _MODEL, "is part of a loop or branch as TensorFlow 1 wrote them"),
    code(G, "load_graph('files.pb')", _MODEL, "reads or writes files, runs Python code or talks to other programs"),
    code(G, "load_graph('integers.pb')", "NoFeatureMapError", "that computes floating-point numbers from its inputs"),
    code(G, "attach(load_graph('vectors.pb'))", "NoFeatureMapError", "which has none"),
    code(G, "attach(load_graph('mapped.pb'), 'convolution')", "NoFeatureMapError", "it runs inside a loop, a branch"),
    code(G, "load_graph('frozen.pb').save('model.h5')", _VALUE, "`filepath` must be a file that ends in .keras"),
    # sampling
    code(D, "drise(detector, images, 0)", _VALUE, "`image` must be one image (H, W, C) of numbers"),
    code(D, "drise(detector, images[0] * np.nan, 0)", _VALUE, "`image` must be finite"),
    code(D, "drise(of_lists, np.ones((24, 24, 3)), 9)", _VALUE, "`box` must be one of the 5 boxes that the model"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 0, 3)", _VALUE, "`class_index` must be within the 3 classes"),
    code(D, "drise(detector, np.ones((24, 24, 3)), (1, 1, 9, 9))", _VALUE, "given for a box of four numbers"),
    code(D, "drise(detector, np.ones((24, 24, 3)), (9, 9, 1, 1), 0)", _VALUE, "`box` must be a box with an area"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 'best')", _VALUE, "the index of a box from 0, or four numbers"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 0, masks=0)", _VALUE, "`masks` must be a number of at least 1"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 0, keep=1)", _VALUE, "`keep` must be a probability"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 0, seed=-1)", _VALUE, "`seed` must be an integer of at least 0"),
    code(D, "drise(detector, np.ones((24, 24, 3)), 0, box_format='xyxz')", _VALUE, "Did you mean 'xyxy'"),
    code(D, "drise(np.mean, np.ones((24, 24, 3)), 0)", _VALUE, "`detections` must be given for a model that is no"),
    code(D, "drise(model, np.ones((12, 12, 3)), 0)", _VALUE, "without scores of boxes"),
    code(D, "drise(np.mean, np.ones((12, 12, 3)), 0, detections=lambda x: x)", _VALUE, "returns boxes (B, N, 4)"),
    # calls
    code(C, "explained(None)", _TYPE, "`inputs` must be arrays or tensors of numbers. Received: NoneType"),
    code(C, "explained('cat.jpg')", _TYPE, "Received: str. Read and decode files first"),
    code(C, "explained.predict('cat.jpg')", _TYPE, "Received: str. Read and decode files first"),
    code(C, "explained.predict(None)", _TYPE, "Received: NoneType"),
    code(C, "explained.predict(5)", _TYPE, "Received: int"),
    code(C, "explained.predict(np.full((1, 12, 12, 3), 'a'))", _TYPE, "Received: ndarray of texts or objects"),
    code(C, "explained(images[0])", _SHAPE, "For a single example, add the batch axis: x[np.newaxis]"),
    code(C, "explained(images[..., :1])", _SHAPE, "The number of channels differs: convert the images first"),
    code(C, "explained.predict(images[:, :5])", _SHAPE, "The size differs: resize the images first"),
    code(C, "explained([images, images])", _SHAPE, "`inputs` must be 1 tensors, for 'image'. Received: 2"),
    code(C, "explained({'picture': images})", _SHAPE, "`inputs` lacks 'image'"),
    code(C, "explained(images[:0])['heatmap_first'].shape == (0, 12, 12)", WORKS, "an empty batch has empty answers"),
    code(C, "np.max(explained(images * np.nan)['heatmap_first']) == 0", WORKS, "NaN gives an all-zero heatmap"),
    code(
        C,
        "attach(model, check_numerics=True)(images * np.nan)",
        "NanLayerOutputError",
        "activations in the layer 'first'",
    ),
    code(C, "asked({'image': images, 'class_index': np.zeros(2)})", _SHAPE, "`class_index` must be one integer"),
    code(C, "asked({'image': images, 'class_index': np.array([0])})", _SHAPE, "one integer for each image"),
    code(
        C,
        "list(asked({'image': images, 'class_index': np.array([2**40, 3])})['explained_class']) == [-1, -1]",
        WORKS,
        "a class that is not there gets an all-zero heatmap, and -1 as its number",
    ),
    code(C, "regions({'image': canvas, 'region': canvas})", _SHAPE, "`region` must be the weights of the pixels"),
    code(C, "regions({'image': canvas, 'point': [1, 2]})", _SHAPE, "`inputs` holds 'point', which this model does not"),
    code(
        C,
        "list(regions({'image': canvas, 'region': np.zeros((10, 8))})['explained_class']) == [-1, -1]",
        WORKS,
        "a region without a pixel gets an all-zero heatmap, and -1 as its class",
    ),
    code(C, "list(asked([images, 2])['explained_class']) == [2, 2]", WORKS, "one class is that of every image"),
    code(C, "asked([images, 0.5])", _SHAPE, "`class_index` must be one integer for each image"),
    code(
        C,
        "attach(type('Own', (keras.Model,), {'predict_step': lambda self, data: 0})(model.inputs, model.outputs))"
        ".predict(images)",
        "IncompatibleModelError",
        "`model` must not override 'predict_step'",
    ),
    # the layer
    code(F, "FeatureMapFusion('reciprocam')", _VALUE, "It runs the model again: use `attach(model"),
    code(F, "FeatureMapFusion()(np.ones((3, 3)))", _SHAPE, "Received: a tensor of rank 2"),
    code(F, "FeatureMapFusion(size=None)(None)", _TYPE, "`activations` must be an array or a tensor"),
    code(F, "FeatureMapFusion(size='input')(images)", _SHAPE, "`like` must be given for size='input'"),
    code(F, "FeatureMapFusion('gradcam')(images)", _SHAPE, "must be [A, G], feature maps and gradients of one shape"),
    code(F, "FeatureMapFusion(data_format='NCHW')", _VALUE, "`data_format` must be one of"),
    code(F, "FeatureMapFusion()(images[:, :0]).shape == (2, 0, 12)", WORKS, "a map of no height has a heatmap of none"),
    # the Visualizer
    code(V, "Visualizer(None)", "IncompatibleModelError", "must be a Keras 3 model"),
    code(V, "visualizer.heatmap('cat.jpg')", _TYPE, "Read a file first, e.g. with keras.utils.load_img"),
    code(V, "visualizer.heatmap([[1, 2], [3]])", _TYPE, "`input` must be an image"),
    code(V, "visualizer.heatmap(np.ones(5))", "Image1DError", "`input` must have two dimensions or more"),
    code(V, "visualizer.heatmap(np.ones((0, 12, 3)))", _SHAPE, "`input` must have at least one pixel"),
    code(V, "visualizer.heatmap(np.full((12, 12, 3), np.nan))", "NanLayerOutputError", "NaN or infinite activations"),
    code(V, "Visualizer(model).heatmap(images[0])", "ImageTooSmallError", "Set `small_layers=True`"),
    code(V, "Visualizer(model, True).save_heatmaps()", "VisualCNNError", "Call `heatmap(image)` first"),
    code(V, "visualizer.save_heatmaps(names=['../a', 'b', 'c'])", _VALUE, "3 different file names"),
    code(V, "visualizer.save_heatmaps(names=['', 'b', 'c'])", _VALUE, "3 different file names"),
    code(V, "visualizer.save_heatmaps(names=['a'])", _VALUE, "3 different file names, one for each layer"),
    code(
        V,
        "visualizer.save_heatmaps(folder / 'good.png')",
        "PathNotWritableError",
        "good.png/Heatmap1.png': File exists",
    ),
    code(V, "visualizer.save_heatmaps(resize=50)", "SizeTooSmall", "`resize` must be at least 100"),
    code(V, "visualizer.save_heatmaps(resize=10**7)", _VALUE, "`resize` must be at most 16384 pixels wide"),
    code(V, "visualizer.show_heatmap(path='shown.abc')", _VALUE, "`path` must be a file that ends in .png"),
    # plots
    code(P, "plot_heatmaps(None, outputs)", _VALUE, "`images` must be (N, H, W)"),
    code(P, "plot_heatmaps(images, None)", _VALUE, "`outputs` must be what the explained model returned"),
    code(P, "plot_heatmaps(images, {})", _VALUE, "a mapping with a key that starts with 'heatmap'"),
    code(P, "plot_heatmaps(images[:1], outputs)", _VALUE, "one map for each image"),
    code(P, "plot_heatmaps(images, outputs, keys=['heatmap_frist'])", _VALUE, "Did you mean 'heatmap_first'"),
    code(P, "plot_heatmaps(images, outputs, labels=['cat', 'dog'])", _VALUE, "Pass `class_names`, too"),
    code(P, "plot_heatmaps(images, outputs, labels=np.ones((2, 3)))", _VALUE, "must be one-hot rows: a single 1"),
    code(P, "plot_heatmaps(images, outputs, labels=[0, 3])", _VALUE, "`labels` must be class indices from 0 to 2"),
    code(
        P, "plot_heatmaps(images, outputs, class_names=['cat'])", _VALUE, "`class_names` must be one for each class (3)"
    ),
    code(
        P,
        "plot_heatmaps(images, outputs, titles=['$', '$x^^$', 'c']).savefig(folder / 'dollars.png') is None",
        WORKS,
        "dollar signs are dollar signs, not mathematics",
    ),
    # photos
    code(E, "explain_photos(model, folder / 'good.png')", _VALUE, "`pixels` must be given, because the model's layers"),
    code(
        E, "explain_photos(model, 'absent.png', pixels='0..1')", _IMAGE, "There is no image file or folder `absent.png`"
    ),
    code(E, "explain_photos(model, folder / 'nothing', pixels='0..1')", _IMAGE, "There is no image file in"),
    code(E, "list(explain_photos(model, folder / 'text.png', pixels='0..1'))", _IMAGE, "can't be read as an image"),
    code(E, "explain_photos(model, images, pixels='0..1')", _TYPE, "`photos` must be a path: a string or"),
    code(
        E,
        "explain_photos(model, [], pixels='0..1')",
        _VALUE,
        "`photos` must be a file, a folder, or a list of at least",
    ),
    code(
        E,
        "explain_photos(explained, folder / 'good.png', layers='last')",
        _VALUE,
        "`layers` must be None for a model that",
    ),
    code(E, "explain_photos(regions, folder / 'good.png')", _VALUE, "one that needs no region with the images"),
    code(E, "explain_photos(asked, folder / 'good.png')", _VALUE, "one that needs no class index with the images"),
    code(E, "explain_photos(model, folder / 'good.png', pixels='0..2')", _VALUE, "`pixels` must be one of"),
    code(
        E,
        "explain_photos(model, folder / 'good.png', pixels='0..1', labels=['cat'])",
        _VALUE,
        "Pass `class_names`, too",
    ),
    code(
        E,
        "explain_photos(model, folder / 'good.png', pixels='0..1', class_names=['cat'])",
        _VALUE,
        "`class_names` must be one for each class (3)",
    ),
    code(
        E,
        "explain_photos(model, folder / 'good.png', pixels='0..1', alpha=2)",
        _VALUE,
        "`alpha` must be a number from 0",
    ),
    code(
        E,
        "explain_photos(model, folder / 'good.png', pixels='0..1').save(folder / 'good.png')",
        _VALUE,
        "It would replace",
    ),
    # overlay
    code(O, "overlay(images[0], images[0, ..., 0])", _VALUE, "Add the missing axes, e.g. image[None]"),
    code(O, "overlay(images, np.ones((2, 3, 3)))", _VALUE, "Resize the heatmap or the image first"),
    code(O, "overlay(None, images[..., 0])", _TYPE, "`image` must be an array or a tensor of numbers"),
    code(O, "overlay(images, 'heatmap.png')", _VALUE, "`heatmap` must be of the image's batch, height and width"),
    code(O, "overlay(images, images[..., 0], alpha=2)", _VALUE, "`alpha` must be a number from 0"),
    code(O, "overlay(images * 255, images[..., 0])", _VALUE, "Say which values are black and white"),
    code(O, "overlay(images * np.nan, images[..., 0])", _VALUE, "values from nan to nan"),
    code(O, "overlay(images, images[..., 0], colormap='rainbow')", _VALUE, "`colormap` must be one of"),
    # exports
    code(S, "export_saved_model(explained, None)", _TYPE, "`path` must be a path: a string or a `pathlib.Path`"),
    code(S, "export_saved_model(explained, '')", _VALUE, "`path` must be the name of a file or folder"),
    code(S, "export_saved_model(explained, folder / 'good.png')", _VALUE, "a path that does not exist yet"),
    code(
        S,
        "export_saved_model(explained, folder / 'thesis', overwrite=True)",
        _VALUE,
        "Nothing else is deleted: remove it yourself, or choose another path",
    ),
    code(S, "export_saved_model(explained, folder / 'good.png', overwrite=True)", _VALUE, "Nothing else is deleted"),
    code(S, "export_saved_model(explained, '/', overwrite=True)", _VALUE, "Nothing else is deleted"),
    code(S, "export_saved_model(explained, folder / 'good.png' / 'm')", "PathNotWritableError", "File exists"),
    code(S, "export_saved_model(explained, '/proc/m')", "PathNotWritableError", "No such file or directory"),
    code(S, "export_saved_model(explained, folder / ('x' * 300))", "PathNotWritableError", "File name too long"),
    code(S, "export_saved_model(explained, folder / 'm', version=2**63)", _VALUE, "that 64 bits can hold"),
    code(S, "export_saved_model(explained, folder / 'm', signatures=5)", _VALUE, "`signatures` must be a list of"),
    code(S, "export_saved_model(explained, folder / 'm', signatures=[[]])", _VALUE, "`signatures` must be a list of"),
    code(S, "export_saved_model(explained, folder / 'm', pixels='0..2')", _VALUE, "`pixels` must be one of"),
    code(S, "export_saved_model(explained, folder / 'm', representative_data=5)", _VALUE, "must be an iterable of"),
    code(
        S,
        "export_saved_model(explained, folder / 'm', representative_data=images[:, 1:])",
        "InputShapeError",
        "`representative_data` must hold examples of shape",
    ),
    code(
        S,
        "export_saved_model(explained, folder / 'm', representative_data=np.full((4, 12, 12, 3), 'x'))",
        _VALUE,
        "`representative_data` must be of numbers",
    ),
    code(
        S, "export_saved_model(explained, folder / 'm', png=True)", _VALUE, "`pixels` must be given for the signature"
    ),
    code(S, "export_saved_model(told, folder / 'm', png=True)", _VALUE, "`png` must be False without"),
    code(S, "export_saved_model(told, folder / 'm', pixels='caffe')", _VALUE, "as `explained.pixels` says"),
    code(
        S,
        "export_saved_model(told, folder / 'm', representative_data=255 * images)",
        _VALUE,
        "`representative_data` must be of values from 0 to 1",
    ),
    code(S, "read_pixels(folder / 'good.png')", _VALUE, "`path` must be a TensorFlow Lite file, or the folder of"),
    code(
        S,
        "export_saved_model(explained, folder / 'm', signatures=['serving_default'], on_error='blank')",
        _VALUE,
        "`on_error` must be 'raise' without the signature 'serving_bytes'",
    ),
    code(
        S,
        "export_saved_model(explained, folder / 'm', representative_data=images, verify=False)",
        _VALUE,
        "`representative_data` must be None with `verify=False`, which compares nothing",
    ),
    code(T, "export_tflite(explained, 5)", _TYPE, "`path` must be a path"),
    code(T, "export_tflite(explained, '/dev/full', overwrite=True)", "PathNotWritableError", "Not a regular file"),
    code(T, "export_tflite(explained, folder / 'good.png')", _VALUE, "a path that does not exist yet"),
    code(T, "export_tflite(explained, folder, overwrite=True)", "PathNotWritableError", "Is a directory"),
    code(
        T, "export_tflite(explained, folder / 'm', batch_size=0)", _VALUE, "`batch_size` must be a number of at least 1"
    ),
    code(T, "export_tflite(explained, folder / 'm', quantize='int4')", _VALUE, "`quantize` must be one of"),
    code(T, "export_tflite(explained, folder / 'm', quantize='int8')", _VALUE, "`representative_data` must be given"),
    code(
        T,
        "export_tflite(explained, folder / 'm', representative_data=images, verify=False)",
        _VALUE,
        "`representative_data` must be None with `verify=False`, which compares nothing, unless quantize='int8'",
    ),
    code(
        T,
        "export_tflite(explained, folder / 'm', quantize='int8', representative_data=[images * np.nan])",
        _VALUE,
        "`representative_data` must be finite",
    ),
    code(T, "export_tflite(explained, folder / 'm', max_examples=0)", _VALUE, "`max_examples` must be a number of at"),
    code(T, "export_tflite(explained, folder / 'm', max_examples=9)", _VALUE, "left out without `representative_data`"),
    code(T, "export_tflite(explained, folder / 'm', min_correlation=2)", _VALUE, "a number from -1 to 1, or None"),
    code(T, "export_tflite(explained, folder / 'm', min_agreement=2)", _VALUE, "a number from 0 to 1, or None"),
    code(T, "export_tflite(explained, folder / 'm', representative_data=5)", _VALUE, "must be an iterable of batches"),
    # data sets
    code(
        B,
        "explain_dataset(model, folder / 'frames', folder / 'm')",
        "IncompatibleModelError",
        "an explained model or an",
    ),
    code(
        B,
        "explain_dataset(folder, folder / 'frames', folder / 'm')",
        "IncompatibleModelError",
        "`saved_model.pb` in it",
    ),
    code(
        B,
        "explain_dataset(asked, folder / 'frames', folder / 'm')",
        "IncompatibleModelError",
        "attach with another `target`",
    ),
    code(
        B,
        "explain_dataset(regions, folder / 'frames', folder / 'm')",
        "IncompatibleModelError",
        "It asks for 'region' with each image",
    ),
    code(
        B,
        "explain_dataset(told, 5, folder / 'm')",
        _TYPE,
        "`source` must be a folder, a pattern, a file, a list of",
    ),
    code(B, "explain_dataset(told, folder / 'nothing', folder / 'm')", _VALUE, "Here are no image, Parquet or"),
    code(B, "explain_dataset(told, folder / 'absent', folder / 'm')", _VALUE, "or a file that is there"),
    code(
        B,
        "explain_dataset(told, folder / 'frames', folder / 'thesis')",
        _VALUE,
        "`out` must be a new or empty folder",
    ),
    code(B, "explain_dataset(told, folder / 'frames', folder / 'm', engine='rya')", _VALUE, "Did you mean 'ray'"),
    code(
        B,
        "explain_dataset(told, folder / 'frames', folder / 'm', workers=-1)",
        _VALUE,
        "`workers` must be a number",
    ),
    code(
        B,
        "explain_dataset(told, folder / 'frames', folder / 'm', address='auto')",
        _VALUE,
        "`address` must be None",
    ),
    code(
        B,
        "explain_dataset(told, folder / 'frames', folder / 'm', column='image')",
        _VALUE,
        "`column` must be None for",
    ),
    Row(
        B,
        "images that can't be read",
        WORKS,
        "their rows tell why, in the column `error`",
        lambda world: world.batch_errors() == ["This is no JPEG, PNG, GIF or BMP image"],
    ),
    code(
        "read_maps", "read_maps(folder / 'frames' / 'absent')", _VALUE, "the folder of a job, or a Parquet file of it"
    ),
    # requests to a served model
    request(
        "an image of another size",
        "[1,13,12,3] is not compatible with expected shape [?,12,12,3]",
        lambda: np.zeros((1, 13, 12, 3), np.float32),
    ),
    request(
        "an image without a batch",
        "[12,12,3] is not compatible with expected shape [?,12,12,3]",
        lambda: np.zeros((12, 12, 3), np.float32),
    ),
    request(
        "whole numbers for a model of floats",
        "to be float but int32 is provided",
        lambda: np.zeros((1, 12, 12, 3), np.int32),
    ),
    Row(
        "Served model",
        "an empty batch",
        WORKS,
        "empty answers",
        lambda world: (
            world.served("serving_default", image=np.zeros((0, 12, 12, 3), np.float32))["heatmap_first"].shape
            == (0, 12, 12)
        ),
    ),
    # images
    *image("empty.png", "a file of length 0", "", "can't be read as an image"),
    *image("text.png", "a text with the name of a picture", "", "can't be read as an image"),
    *image("signature.png", "the first 8 bytes of a PNG", "", "can't be read as an image"),
    *image("truncated.png", "half of a PNG", "", "can't be read as an image"),
    *image("truncated.jpg", "half of a JPEG", "", "can't be read as an image"),
    *image("start.jpg", "the first 2 bytes of a JPEG", "", "can't be read as an image"),
    *image("start.gif", "the first 6 bytes of a GIF", "", "can't be read as an image"),
    *image("start.bmp", "the first 2 bytes of a BMP", "", "can't be read as an image"),
    *image("huge.png", "a PNG of 65 bytes that claims 20,000×8,000 pixels", "", "up to 67,108,864 pixels"),
    *image("overflowing.png", "a PNG that claims 2³¹−1 pixels each way", "", "can't be read as an image"),
    *image("flat.png", "a PNG that is 0 pixels wide", "", "can't be read as an image"),
    *image("bomb.gif", "a GIF of 32 kB, 8×8 by its header, with a frame of 9,000×9,000", "", "up to 67,108,864 pixels"),
    *image("picture.webp", "a WebP file", "", "Allowed are JPEG, PNG, BMP and GIF"),
    *image("picture.tiff", "a TIFF file", "", "Allowed are JPEG, PNG, BMP and GIF"),
    *image("animated.gif", "an animated GIF", WORKS, "its first frame is taken"),
    *image("frames.gif", "a GIF with 2,000 frames", WORKS, "its first frame is taken, the others are not unpacked"),
    *image("later_bomb.gif", "a GIF whose later frames are far larger", WORKS, "they are not unpacked"),
    *image("sixteen.png", "a PNG of 16 bits", WORKS, "read as 8 bits, the upper ones"),
    *image("cmyk.jpg", "a CMYK JPEG", WORKS, "converted to RGB"),
    *image("turned.jpg", "a JPEG with an EXIF orientation", WORKS, "turned upright, as viewers show it"),
    *image("transparent.png", "a transparent PNG", WORKS, "transparency is dropped, the colors behind it show"),
    *image("palette.png", "a PNG with a palette", WORKS, "read in its colors"),
    *image("first_row_first.bmp", "a BMP with its first row first", WORKS, "read the right way up"),
    # model files
    command("layers lambda.keras", "holds a Lambda layer, whose code is not run from a file. If you trust the file"),
    command("layers lambda.h5", "holds a Lambda layer, whose code is not run from a file. If you trust the file"),
    command("layers lambda.keras --trust-model", "the user allows the code to be run", WORKS),
    command("layers system.keras", "can't be loaded"),
    command("layers eval.keras", "can't be loaded"),
    command("layers unsafe.keras", "can't be loaded"),
    command("layers download.keras", "can't be loaded"),
    command("layers empty.keras", "is not a Keras model"),
    command("layers truncated.keras", "is not a Keras model"),
    command("layers truncated.h5", "can't be loaded"),
    command("layers no_config.keras", "can't be loaded"),
    command("layers bad_config.keras", "can't be loaded"),
    command("layers deep.keras", "can't be loaded"),
    command("layers no_weights.keras", "can't be loaded"),
    command("layers bad_weights.keras", "can't be loaded"),
    command("layers good.png", "is not a Keras model"),
    command("layers frames", "There is no file `saved_model.pb` in it"),
    command("layers broken.pb", "must be a frozen graph (`.pb`, a binary GraphDef)"),
    command("layers frozen.pb --signature predict", "`signature` must be left out for a frozen graph"),
    command("layers model.keras --signature predict", "`--signature` must be left out with a model of Keras"),
    command("layers served", "`served` makes heatmaps itself: `export_saved_model` has written it"),
    command("show frozen.pb good.png --graph-outputs lats/Relu", "Did you mean 'last/Relu'?"),
    command("layers absent.keras", "There is no file"),
    command("show table.keras good.png", "The model must take one image"),
    # the rest of the command line
    command('show model.keras ""', "must not be empty"),
    command("show model.keras absent.png", "There is no image file"),
    command("show model.keras frames -o folder.png", "a folder stands for the images in it and in its folders", WORKS),
    command("show model.keras nothing", "There is no image file in `nothing`, nor in its folders"),
    command("show model.keras broken", "`broken/1.png` can't be read as an image"),
    command("show model.keras good.png --pixels 0-1", "argument --pixels: must be one of '0..255'"),
    command("show rescales.keras good.png --pixels 0..1", "must be '0..255' or left out, because the model"),
    command("show model.keras good.png -o good.png", "It would replace `good.png`"),
    command("show model.keras good.png --method gradcam --class cat", "or the name of a class, with --labels FILE"),
    command(
        "show model.keras good.png --method gradcam --class cta --labels three.txt",
        "`--class` must be the name of a class ('a', 'b', 'c')",
    ),
    command(
        "show model.keras good.png --size 100000 100000", "`--size` must be 'native' or a height and a width up to"
    ),
    command(
        "show model.keras good.png --method gradcam --class top99999999999999999999", "`--class` must be 'predicted'"
    ),
    command("show model.keras good.png --labels latin.txt", "`--labels` must be a text file in UTF-8"),
    command("show model.keras good.png --labels two.txt", "must name 3 classes"),
    command("show model.keras good.png --labels three.txt -o labels.png", "a mark of the byte order is skipped", WORKS),
    command("show model.keras good.png -o frames", "`--out` must be a picture file"),
    command("show model.keras good.png -o out.xyz", "`--out` must be a picture file"),
    command("show model.keras good.png -o good.png/x.png", "File exists. Check its permissions"),
    command("show model.keras good.png -o /proc/x.png", "No such file or directory"),
    command("show sp|ace/mödel|漢.keras sp|ace/pictüre.png -o sp|ace/öut.png", "any name will do", WORKS),
    command("video model.keras nothing -o film.gif", "There is no image file in `nothing`"),
    command("video model.keras broken -o film.gif", "`broken/1.png` can't be read as an image"),
    command("video model.keras good.png -o film.gif", "must be a folder of pictures or an animated GIF"),
    command("video model.keras frames -o film.gif --range 0 1e-50", "`scale` must be two finite numbers of float32"),
    command("video model.keras frames -o film.gif --fps nan", "`fps` must be a number over 0"),
    command("video model.keras frames -o thesis --overwrite", "Nothing else is deleted"),
    command("video model.keras frames -o . --overwrite", "another path than that of the frames, and hold none of them"),
    command("video model.keras film.mp4 -o film.gif", "There is no file or folder `film.mp4`"),
    command('export model.keras --saved-model ""', "must not be empty"),
    command("export model.keras", "`--saved-model` must be given, or --tflite, or both"),
    command("export model.keras --saved-model good.png", "File exists. Check its permissions"),
    command("export model.keras --tflite good.png", "a path that does not exist yet"),
    command("export any_size.keras --tflite new.tflite", "Fix what is None with `attach(model, input_shape=...)`"),
    command("export model.keras --tflite m --quantize int8 --calibrate absent", "There is no such folder"),
    command("export model.keras --tflite m --quantize int8 --calibrate nothing", "There is no image file in `nothing`"),
    command(
        "export model.keras --tflite m --quantize int8", "a folder of images with `--quantize int8`. Received: None"
    ),
    command("export model.keras --saved-model m --quantize int8", "`--quantize` must be left out without --tflite"),
    command("export model.keras --tflite m --min-correlation 2", "must be a number from -1 to 1. Received: '2'"),
    command("batch model.keras nothing --out new", "Here are no image, Parquet or TFRecord files"),
    command("batch absent.keras frames --out new", "There is no file `absent.keras`"),
    command("batch model.keras frames --out thesis", "`out` must be a new or empty folder"),
    command("web model.keras", "It can't be loaded: "),
    command("web absent.tflite", "There is no file"),
    command("demo --out good.png", "File exists"),
]

_HEAD = """\
# What happens with bad input

Each row is tried by the tests, which this page is made from: `python tests/support/bad_inputs.py > docs/errors.md`.
Errors are classes of `visualcnn_tf.errors`, all of them also `VisualCNNError`; the message says what is allowed, what
was received and what to do. An error inside of a function that you pass comes through as it is. On the command line
a mistake is one line and exit code 2, never a traceback. *Message* is a part of what is said; of what works it tells
what is done.
"""


def page() -> str:
    """The table as Markdown."""
    lines = [_HEAD]
    for area in dict.fromkeys(row.area for row in ROWS):
        lines.append(f"## {area}\n\n| input | what happens | message |\n|---|---|---|")
        lines += [f"| {_cell(row.given)} | {row.happens} | {_cell(row.said)} |" for row in ROWS if row.area == area]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
