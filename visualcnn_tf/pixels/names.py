"""The names of what a model takes; without TensorFlow, so that the command line can list them at once."""

from __future__ import annotations

#: What pixels of 0 to 255 are scaled to: names of ``visualcnn_tf.pixels.scaling.SCALINGS``.
VALUES = ("0..255", "0..1", "-1..1", "caffe", "torch")
#: How a photo of another shape is fitted to an input.
FITS = ("squeeze", "crop", "pad")

#: What ``preprocess_input`` of each module in ``keras.applications`` makes of pixels of 0 to 255.
MODULES = {
    **dict.fromkeys(("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"), "0..255"),
    **dict.fromkeys(("inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "nasnet"), "-1..1"),
    **dict.fromkeys(("resnet_v2", "xception"), "-1..1"),
    **dict.fromkeys(("imagenet_utils", "resnet", "resnet50", "vgg16", "vgg19"), "caffe"),
    "densenet": "torch",
}

# How the names of models begin that keras.applications builds and that preprocess nothing themselves, the longer ones
# first where one begins with another.
_ARCHITECTURES = {
    "densenet": "densenet",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "mobilenetv2_": "mobilenet_v2",
    "mobilenet_": "mobilenet",
    "nasnet": "nasnet",
    **{f"resnet{depth}v2": "resnet_v2" for depth in (50, 101, 152)},
    **{f"resnet{depth}": "resnet" for depth in (50, 101, 152)},
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "xception": "xception",
}


def module_of_architecture(name: str) -> str | None:
    """Return the module of ``keras.applications`` whose architectures have names such as this one, or None."""
    found = (module for start, module in _ARCHITECTURES.items() if name.lower().startswith(start))
    return next(found, None)
