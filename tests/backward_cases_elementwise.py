"""Cases of the rules for operations on single values."""

from __future__ import annotations

from backward_check import Case

CASES: dict[str, Case] = {
    "add": Case(lambda a, b: a + b, [(2, 3, 4), (2, 3, 4)], ("AddV2",), smooth=True),
    "mul": Case(lambda a: 3.0 * a * 2, [(2, 3, 4)], ("Mul",), smooth=True),
}
