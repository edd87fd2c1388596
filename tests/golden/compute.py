"""What the package returns for cases, written to a file: ``python -m golden.compute FILE NAME …`` in ``tests``.

In a process of its own, in which every processor computes by the same instructions, those of AVX2: with wider ones sums
are taken in another order, which changes maps by more than 1.0.0 may differ from now.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # TensorFlow's own products of matrices are taken from there, too
os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=AVX2"

import numpy as np

import visualcnn_tf as vc
from golden import models
from golden.cases import CASES, Case, feed


def attach_case(model: Any, case: Case) -> Any:
    """The explained model of a case: the one place that knows the arguments of ``attach``."""
    return vc.attach(
        model,
        case.layers,
        after_activation=case.after_activation,
        method=with_options(case.method, case.method_options),
        size=case.size,
        interpolation=case.interpolation,
        normalize=case.normalize,
        heatmap_dtype=case.heatmap_dtype,
        combine=case.combine,
        combine_weights=case.combine_weights,
        target=case.target,
        output=case.output,
        **rendering(case.render),
        jit_compile=case.jit is not None,
        compile_fused_blocks=case.jit == "activation",
    )


def rendering(render: Any) -> dict[str, Any]:
    """The overlays of a case: 1.0.0 took black and white for an option of the layer."""
    if not isinstance(render, dict):
        return {"render": render, "pixels": render and "0..1"}
    options = dict(render)
    low = options.pop("value_range", (0.0, 1.0))[0]
    return {"render": vc.Overlay(**options), "pixels": "-1..1" if low else "0..1"}


def with_options(method: Any, options: Mapping[str, Any]) -> Any:
    """The methods of a case as objects, each with those options of 1.0.0's ``attach`` that had an effect on it."""
    if isinstance(method, Mapping):
        return {pattern: with_options(one, options) for pattern, one in method.items()}
    if not isinstance(method, str):
        return [with_options(one, options) for one in method]
    plain = vc.methods.get(method)
    return replace(plain, **{field.name: options[field.name] for field in fields(plain) if field.name in options})


def main(path: str, names: Sequence[str]) -> None:
    """Writes the arrays."""
    arrays: dict[str, np.ndarray] = {}
    for name in names:
        case = CASES[name]
        outputs = attach_case(models.build(case.model), case).predict(feed(case), verbose=0)
        arrays |= {f"{name}/{key}": value for key, value in outputs.items()}
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
