"""Cases of the rules for convolution, pooling and resizing."""

from __future__ import annotations

from backward_check import Case

CASES: dict[str, Case] = {}
