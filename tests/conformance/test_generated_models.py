"""Models as nobody has written them: every heatmap equals the one made by hand, or is refused by the right error.

Each seed draws a model (augmentation, crops and pads, inputs of several ranks, views, time steps, loops, several
outputs, nested and shared layers), a way to explain it and a way to call it. ``GENERATED_MODELS=1000 pytest -m ""
tests/conformance/test_generated_models.py`` tries more.
"""

from __future__ import annotations

import os

import pytest
from support.generated.check import problems_of
from support.generated.designs import KINDS

EVERYDAY = 2 * len(KINDS)
COUNT = int(os.environ.get("GENERATED_MODELS", 15 * len(KINDS)))
CHUNK = 6


def chunks() -> list[object]:
    every = [range(start, min(start + CHUNK, COUNT)) for start in range(0, COUNT, CHUNK)]
    return [
        pytest.param(seeds, id=f"{seeds.start}-{seeds.stop - 1}", marks=[pytest.mark.slow] * (seeds.start >= EVERYDAY))
        for seeds in every
    ]


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("seeds", chunks())
def test_heatmaps_are_those_made_by_hand(seeds):
    problems = [problem for seed in seeds for problem in problems_of(seed)]
    assert not problems, "\n" + "\n".join(problems)
