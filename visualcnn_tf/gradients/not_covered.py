"""How a gradient rule declines a variant of its operation, which then gets TensorFlow's registered gradient."""

from __future__ import annotations


class NotCoveredError(Exception):
    """A rule does not cover this variant of its operation. No user sees this error."""


def require(condition: bool) -> None:
    """Raise :class:`NotCoveredError` unless the variant fulfills a condition of the rule."""
    if not condition:
        raise NotCoveredError
