"""What ``--help`` says of each command, and examples of it."""

from __future__ import annotations

from typing import NamedTuple


class Help(NamedTuple):
    """The help of one command.

    Attributes:
        summary: A few words, for the list of the commands.
        description: What the command does.
        examples: Command lines, one a line.
    """

    summary: str
    description: str
    examples: str


HELP = {
    "demo": Help(
        "try it on built-in data, offline",
        """\
Train a small CNN on scikit-learn's handwritten digits, attach a heatmap to each of its layers, and write the
networks and a picture of the heatmaps. Takes under a minute on two cores and needs no network.""",
        """\
  visualcnn demo
  visualcnn demo --out somewhere --seed 3""",
    ),
    "layers": Help(
        "list the layers that can have a heatmap",
        """\
List every layer of which a heatmap can be made: its path (the name for --layers), its type, the shape of its
output, and which of the presets select it: "conv" (every convolution and pooling layer), "stages" (the last
layer of each resolution), "last" (the last feature map before the head).""",
        """\
  visualcnn layers model.keras
  visualcnn layers export/1
  visualcnn layers frozen.pb --graph-outputs logits""",
    ),
    "show": Help(
        "draw heatmaps of images",
        """\
Draw photos with the heatmaps of a model's layers laid over them, and with the class that the model predicts. A folder
stands for all images in it and in its folders. Where its subfolders are called after classes, wrong predictions are
marked.""",
        """\
  visualcnn show model.keras cat.jpg dog.png
  visualcnn show model.keras cat.jpg --layers last --method gradcam --class top3
  visualcnn show model.keras photos --layers last --method gradcam --class dog --labels names.txt
  visualcnn show model.keras cat.jpg --method eigen --alpha 0.8 -o cat_eigen.png
  visualcnn show detector.keras street.jpg --layers last --box best --box-format xyxy
  visualcnn show model.keras cat.jpg --layers "block_*_project" out_relu --combine
  visualcnn show mobilenet.keras cat.jpg --layers stages --pixels mobilenet_v2 --labels imagenet.txt""",
    ),
    "video": Help(
        "overlay a film with heatmaps",
        """\
Overlay every frame of a film with the heatmap of one layer. The frames are the pictures in a folder and in its
folders, in the order of their names, or an animated GIF. All share one color scale, so that they can be compared:
it is calibrated on the first frames, or given with --range.""",
        """\
  visualcnn video model.keras frames -o film.gif
  visualcnn video model.keras film.gif -o pictures --layer block3_conv --method deviation
  visualcnn video model.keras frames -o film.gif --range 0 2.5 --colormap inferno --weighted""",
    ),
    "export": Help(
        "write files for servers and devices",
        """\
Write a model with its heatmaps as files for other programs: a SavedModel for TensorFlow Serving, a TensorFlow
Lite file for phones and browsers, or both. Each is run and compared with the model before it is kept.""",
        """\
  visualcnn export model.keras --saved-model export --pixels 0..1
  visualcnn export model.keras --layers stages --heatmap-dtype uint8 --tflite model.tflite
  visualcnn export model.keras --layers last --tflite small.tflite --quantize dynamic
  visualcnn export model.keras --tflite int8.tflite --quantize int8 --calibrate photos --pixels 0..1
  visualcnn export model.keras --layers last --method gradcam --class input --tflite why.tflite""",
    ),
    "batch": Help(
        "write the heatmaps of a whole data set",
        """\
Write predictions and heatmaps of all images in a folder, in Parquet or TFRecord files, on this machine or in cloud
storage, as tables that pandas, Spark and others read. The same command again goes on where the last one ended.
Of a model without heatmaps they are those of the stages, as integers from 0 to 255, unless said otherwise.""",
        """\
  visualcnn batch model.keras photos --out heatmaps --pixels 0..1
  visualcnn batch export/1 "photos/**/*.jpg" --out heatmaps --workers 4
  visualcnn batch model.keras photos --out pictures --sink png --layers last --method gradcam
  visualcnn batch export/1 s3://bucket/photos --out s3://bucket/heatmaps --engine ray --address auto""",
    ),
    "web": Help(
        "run a TensorFlow Lite file in the browser",
        """\
Serve a page, to this machine only, that runs an exported TensorFlow Lite file in the browser: draw a digit, choose
an image or use the camera, and see the heatmaps. It needs LiteRT.js, from npm:
  npm install --prefix . @litertjs/core@2.5.3""",
        """\
  visualcnn web explained.tflite
  visualcnn web mobilenet.tflite --pixels -1..1 --port 0 --no-browser""",
    ),
}
"""The help of each command, by its name."""
