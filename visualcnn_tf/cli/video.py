"""``visualcnn video``: a film overlaid with heatmaps."""

from __future__ import annotations

from argparse import Namespace

from visualcnn_tf.cli.files import load_model
from visualcnn_tf.cli.pixels import preprocessing
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.atomic import check_free
from visualcnn_tf.video.film import Look
from visualcnn_tf.video.frames import open_frames
from visualcnn_tf.video.heatmap_video import heatmap_video


def run(arguments: Namespace) -> None:
    """Write the film."""
    model = load_model(arguments.model, arguments.trust_model)
    image_inputs(model)
    if not arguments.out.suffix:
        check_free(arguments.out, arguments.overwrite, "--out", "Add `--overwrite`")
    frames = open_frames(arguments.frames)
    low, high = heatmap_video(
        model,
        frames,
        arguments.out,
        layer=arguments.layer,
        method=arguments.method,
        prepare=preprocessing(model, arguments.scale, arguments.preprocess),
        scale=arguments.range,
        calibrate=arguments.calibrate,
        look=Look(arguments.alpha, arguments.colormap, arguments.weighted),
        fps=arguments.fps,
        overwrite=arguments.overwrite,
    )
    print(f"Wrote {arguments.out} (frames: {frames.count}, scale: --range {low:.6g} {high:.6g}).")
