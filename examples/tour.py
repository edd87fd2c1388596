"""A tour of visualcnn_tf: train, show, explain, overlay, serve, and run on a device, in about a minute.

    pip install "visualcnn-tf[demo]"
    python examples/tour.py tour        # the pictures go to the folder tour/

The `# %%` lines make cells of it: Jupyter (with Jupytext), VS Code and PyCharm open it as a notebook.
"""

# %%
from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: a quiet start

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.data.digits import accuracy, build_cnn, load_digits, shift

NOTEBOOK = "get_ipython" in globals()
OUT = Path(sys.argv[1] if len(sys.argv) > 1 and not NOTEBOOK else "tour")
OUT.mkdir(parents=True, exist_ok=True)


def keep(name: str, picture: Any) -> None:
    """Write a figure, or pictures (N, H, W, 3) side by side, as a PNG file; in a notebook, show it, too."""
    if hasattr(picture, "savefig"):
        picture.savefig(content := io.BytesIO(), format="png", dpi=120)
        png = content.getvalue()
    else:
        png = tf.io.encode_png(np.concatenate(picture, axis=1)).numpy()
    (OUT / name).write_bytes(png)
    print(f"  wrote {OUT / name}")
    if NOTEBOOK:
        from IPython.display import Image, display

        display(Image(png))


def enlarged(pictures: Any, factor: int = 5) -> np.ndarray:
    """Return pictures (N, H, W, C) with each pixel repeated."""
    return np.asarray(pictures).repeat(factor, axis=1).repeat(factor, axis=2)


# %% [markdown]
# ## Train with a callback
# Scikit-learn's handwritten digits, enlarged to 28×28, and a small CNN with three convolutions. At the end of each
# epoch the callback overlays four digits with the evidence for their predicted class. It does not change the training.

# %%
print("1. Train on handwritten digits, with pictures of what the network learns to look at")
keras.utils.set_random_seed(0)
digits = load_digits()
images, labels = digits.test_images, digits.test_labels
watched = images[np.unique(labels, return_index=True)[1][[2, 3, 6, 9]]]

# HiResCAM, not Grad-CAM, which averages gradients over positions: the head of this network weighs every position
# differently.
watch = vc.HeatmapCallback(
    watched, layers="last", method="hirescam", pixels="0..1", log_dir=OUT / "logs", png_dir=OUT / "training"
)
model = build_cnn()
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
shifted = shift(digits.train_images, np.random.default_rng(0))
model.fit(shifted, digits.train_labels, epochs=5, verbose=2, callbacks=[watch])
model.save(OUT / "digits.keras")
print(f"  test accuracy {accuracy(model, digits):.1%}; pictures of each epoch took {watch.seconds:.1f} s")
print(f"  wrote {OUT / 'training'} and {OUT / 'logs'} (tensorboard --logdir {OUT / 'logs'})")

# %% [markdown]
# ## Show what layers respond to
# The explained model returns one heatmap for each layer beside its predictions, which are those of the model.

# %%
print("2. Show what each layer responds to")
explained = vc.attach(model)
outputs = explained.predict(watched, verbose=0)
changed = float(np.max(np.abs(outputs["predictions"] - model.predict(watched, verbose=0))))
print(f"  heatmaps: {', '.join(explained.heatmap_names)}; predictions changed by {changed:.0e}")
names = [str(digit) for digit in range(10)]
keep("gallery.png", vc.plot_heatmaps(watched, outputs, taps=explained.taps, class_names=names))

# %% [markdown]
# ## Explain a class
# The three digits that the network is least sure of, each with the evidence for the two most probable classes.

# %%
print("3. Explain classes: the evidence for the two most probable digits")
scores = np.sort(model.predict(images, verbose=0), axis=-1)
unsure = np.argsort(scores[:, -1] - scores[:, -2])[:3]
why = vc.attach(model, layers="last", method="hirescam", target="top2")
answers = why.predict(images[unsure], verbose=0)
for index, guesses, probabilities in zip(unsure, answers["explained_class"], answers["predictions"], strict=True):
    first, second = guesses
    said = f"{first} ({probabilities[first]:.0%}), then {second} ({probabilities[second]:.0%})"
    print(f"  test digit {index}, a {labels[index]}: {said}")
figure = vc.plot_heatmaps(images[unsure], answers, taps=why.taps, labels=labels[unsure].tolist(), class_names=names)
keep("asked.png", figure)

# %% [markdown]
# ## Overlay
# Colors with one opacity, colors that are transparent where the heatmap is low, and an image that is sharp where the
# heatmap is high and blurred where it is low.

# %%
print("4. Overlay images with heatmaps")
large = enlarged(watched)
evidence = vc.attach(model, layers="last", method="hirescam", size=large.shape[1:3]).predict(watched, verbose=0)
heatmaps = evidence["heatmap_conv3"]
keep("overlay.png", vc.overlay(large, heatmaps, alpha=0.5).numpy())
keep("weighted.png", vc.overlay(large, heatmaps, alpha=0.9, colormap="inferno", weighted=True).numpy())
keep("blurred.png", vc.overlay(vc.blur_by_importance(large, heatmaps), heatmaps, alpha=0).numpy())

# %% [markdown]
# ## Serve
# TensorFlow Serving loads a SavedModel. This one takes encoded images and returns PNG files. Instead of the server, a
# process that imports TensorFlow alone runs it here.

# %%
print("5. Export a SavedModel, and serve it")
shown = vc.attach(model, layers="last", method="hirescam", render="overlay", pixels="0..1")
folder = vc.export_saved_model(shown, OUT / "served" / "1", png=True, overwrite=True)
print(f"  wrote {folder}")

SERVER = """
import sys, tensorflow as tf
folder, *names = sys.argv[1:]
served = tf.saved_model.load(folder).signatures["serving_bytes"]
answer = served(image_bytes=tf.stack([tf.io.read_file(name) for name in names]))
assert "visualcnn_tf" not in sys.modules
for name, scores, png in zip(names, answer["predictions"], answer["overlay_conv3_png_bytes"]):
    tf.io.write_file(name.replace("request", "answer"), png)
    print(f"  the server reads {name} as {tf.argmax(scores)} ({tf.reduce_max(scores):.1%})")
"""

requests = []
for number, image in enumerate(watched):
    requests.append(OUT / f"request_{number}.png")
    requests[-1].write_bytes(tf.io.encode_png(np.round(255 * image).astype(np.uint8)).numpy())
answer = subprocess.run([sys.executable, "-c", SERVER, folder, *requests], check=True, stdout=subprocess.PIPE)  # noqa: S603
print(answer.stdout.decode(), end="")
replies = [tf.io.decode_png((OUT / f"answer_{number}.png").read_bytes()) for number in range(len(watched))]
keep("served.png", enlarged(replies))

# %% [markdown]
# ## Run on a device
# One TensorFlow Lite file, with builtin operations only, that explains any class that is asked for.

# %%
print("6. Export for devices, and run it")
ask = vc.attach(model, layers="last", method="hirescam", target="input")
report = vc.export_tflite(ask, OUT / "digits.tflite", overwrite=True)
print(f"  wrote {OUT / 'digits.tflite'} ({report.size / 1e6:.1f} MB)")

try:
    from ai_edge_litert.interpreter import Interpreter  # as on the device: 16 MB, and no TensorFlow
except ImportError:
    Interpreter = tf.lite.Interpreter

run = Interpreter(model_path=str(OUT / "digits.tflite")).get_signature_runner("serving_default")
digit, classes = images[unsure[:1]], answers["explained_class"][0]
maps = [run(image=digit, class_index=np.int32([index]))["heatmap_conv3"] for index in classes]
start = time.perf_counter()
for _ in range(20):
    run(image=digit, class_index=np.int32([-1]))  # the predicted class
milliseconds = 1000 * (time.perf_counter() - start) / 20
asked = ask.predict({"image": digit.repeat(2, 0), "class_index": classes}, verbose=0)["heatmap_conv3"]
difference = float(np.max(np.abs(np.concatenate(maps) - asked)))
print(f"  {milliseconds:.1f} ms for a digit with its heatmap; differs from Keras by {difference:.0e}")
keep("device.png", enlarged(vc.overlay(digit.repeat(2, 0), np.concatenate(maps)).numpy()))
print(f"7. Your turn: visualcnn web {OUT / 'digits.tflite'} (see docs/web.md)")
