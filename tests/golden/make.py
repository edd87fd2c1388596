"""How ``golden.npz`` was made: what version 1.0.0 returns for every case of ``cases.py``.

``python tests/golden/make.py``, with version 1.0.0 of visualcnn_tf installed (or first on ``PYTHONPATH``), writes the
file anew; any other version is refused, because later ones are compared with what 1.0.0 did. Each output of each case
is kept under ``<case>/<output>``, in the order in which ``predict`` returned it.

The file that is kept was made with

    TensorFlow 2.21.0, Keras 3.15.1, NumPy 2.4.6, Python 3.11.7

on two cores of an x86-64 CPU, without a GPU. Made again there it is the same to the last bit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import visualcnn_tf as vc  # noqa: E402
from golden import models  # noqa: E402
from golden.cases import CASES, METHODS, Case, feed  # noqa: E402

VERSION = "1.0.0"


def attach(model: Any, case: Case) -> Any:
    """Explain a model as a case says, by the interface of 1.0.0."""
    render = vc.Overlay(**case.render) if isinstance(case.render, dict) else case.render
    return vc.attach(
        model,
        case.layers,
        after_activation=case.after_activation,
        method=case.method,
        size=case.size,
        interpolation=case.interpolation,
        normalize=case.normalize,
        dtype=case.heatmap_dtype,
        combine=case.combine,
        combine_weights=case.combine_weights,
        target=case.target,
        output=case.output,
        relu=case.method_options.get("relu", True),
        max_channels=case.method_options.get("max_channels"),
        render=render,
        jit_compile=case.jit,
    )


def outputs(case: Case) -> dict[str, np.ndarray]:
    """Predict the outputs of a case, and refuse those that would show no difference."""
    explained = attach(models.build(case.model), case)
    made = explained.predict(feed(case), verbose=0)
    for name in explained.heatmap_names:
        for image in range(models.BATCH):
            # A class that is not there has an all-zero heatmap.
            is_known = case.target != "input" or made["explained_class"][image] >= 0
            if is_known and np.ptp(made[name][image].astype(np.float64)) == 0.0:
                raise SystemExit(f"{case}: {name} of image {image} is constant, so it shows no difference")
    return made


def main() -> None:
    """Write the file."""
    if vc.__version__ != VERSION:
        raise SystemExit(f"Golden arrays are of version {VERSION}. Received: {vc.__version__}, at {vc.__file__}.")
    if set(METHODS) != set(vc.FUSIONS):
        raise SystemExit(f"METHODS must name every method. Received: {METHODS} for {tuple(vc.FUSIONS)}.")
    arrays = {f"{name}/{key}": array for name, case in CASES.items() for key, array in outputs(case).items()}
    path = HERE / "golden.npz"
    np.savez_compressed(path, **arrays)
    print(f"{len(CASES)} cases, {len(arrays)} arrays, {path.stat().st_size / 1e6:.2f} MB: {path}")


if __name__ == "__main__":
    main()
