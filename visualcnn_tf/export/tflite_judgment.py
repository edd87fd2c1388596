"""Decide whether a TensorFlow Lite file is close enough to the model to be written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._utils.warn import warn_user
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import Comparison, pooled_correlation
from visualcnn_tf.export.limits import (
    LEAST_AGREEMENT,
    LOWEST_5TH_PERCENTILE,
    LOWEST_CORRELATION,
    Demands,
    Limits,
)
from visualcnn_tf.export.output_roles import OutputRoles

# What is added to tolerances for uint8, of 255: where a heatmap falls halfway between two colors of an overlay, the
# neighboring color may be taken.
_UINT8_MAP, _UINT8_OVERLAY = 1.0, 8.0
_EVENLY = 10.0  # how many times the tolerance a map may differ by that is moved evenly by rounding
_MORE = "`verify=False` writes it nevertheless."
_QUANTIZED = (
    "Look at that example: where it shows little evidence, rounding moves the map. Quantize less, use another layer or "
    "method, or accept it with `min_correlation`."
)


@dataclass(frozen=True)
class Judge:
    """Raises for an output of a file that differs from the model's by more than is allowed.

    Attributes:
        limits: What the quantization of the file allows.
        demands: What the user asks instead.
        roles: What the outputs are.
        indices: Where each example is in the user's data; None for noise.
    """

    limits: Limits
    demands: Demands
    roles: OutputRoles
    indices: tuple[int, ...] | None

    def __call__(self, name: str, found: Comparison) -> None:
        """Raise if an output differs by more than is allowed.

        Args:
            name: The output.
            found: How it compares with the model's.

        Raises:
            ExportVerificationError: Names the output, the example that differs most, and the limit.
        """
        infinite = np.isinf(found.difference)
        if infinite.any():
            raise self._error(name, "NaN or infinity", int(np.argmax(infinite)), "only finite values")
        if name in self.roles.maps:
            self._judge_map(name, found)
        elif name == self.roles.classes:
            if not self.limits.is_quantized:
                self._judge_difference(name, found)
        else:
            self._judge_predictions(name, found)

    def _judge_map(self, name: str, found: Comparison) -> None:
        if self.demands.min_correlation is not None:
            self._judge_correlation(name, found, self.demands.min_correlation, None)
            return
        # In a quantized file another class may win, and where there is hardly any evidence for a class, rounding moves
        # it anywhere: no limit of differences holds for all maps.
        is_moved = self.limits.is_quantized and name in self.roles.of_target
        if self.limits.difference is not None and not is_moved:
            self._judge_difference(name, found)
        if self.limits.is_quantized and self.indices is not None:
            self._judge_correlation(name, found, LOWEST_CORRELATION, LOWEST_5TH_PERCENTILE)
        elif is_moved:
            _warn_of_low_correlation(name, found)

    def _judge_predictions(self, name: str, found: Comparison) -> None:
        is_quantized, are_labels = self.limits.is_quantized, found.dtype.kind in "biu"
        correlation = pooled_correlation(found.sums)
        if self.limits.difference is not None and not (is_quantized and are_labels):
            self._judge_difference(name, found)
        elif not are_labels and correlation < LOWEST_CORRELATION:
            raise self._error(name, f"a correlation of {correlation:.3g}", None, f"at least {LOWEST_CORRELATION}")
        least = self.demands.min_agreement
        if (
            least is None
            and is_quantized
            and self.indices is not None
            and (are_labels or self._are_scores(name, found))
        ):
            least = LEAST_AGREEMENT
        if least is not None:
            self._judge_agreement(name, found, least)

    def _judge_agreement(self, name: str, found: Comparison, least: float) -> None:
        """Raise if too few examples are of the same class; NaN, where there are no classes, is not too few."""
        agreement = found.agrees.mean()
        if agreement < least:
            raise self._error(
                name,
                f"the same class for {agreement:.1%} of {len(found)} examples, first another one",
                int(np.argmax(found.agrees < 1)),
                f"at least {least:.1%}",
                "Quantize less, give more `representative_data`, or accept it with `min_agreement`.",
            )

    def _are_scores(self, name: str, found: Comparison) -> bool:
        """Return whether an output surely holds scores of classes: a class of it is explained, or they sum to 1."""
        values, total = found.sums[:, 0], found.sums[:, 2]
        classes = found.shape[-1] if found.shape else 1
        sums_to_1 = classes > 1 and np.allclose(total * classes, values, rtol=1e-3)
        return name == self.roles.scores or sums_to_1

    def _judge_difference(self, name: str, found: Comparison) -> None:
        """Raise if an example differs by more than ``limits.difference`` and rounding explain."""
        allowed = (self.limits.difference or 0.0) * found.magnitude + found.rounding
        if found.dtype == np.uint8:
            allowed = allowed + (_UINT8_OVERLAY if len(found.shape) == 3 else _UINT8_MAP)
        is_right, limit = found.difference <= allowed, ""
        if self.limits.same_map is not None and found.dtype.kind == "f" and len(found.shape) > 1:
            is_same = found.correlation >= self.limits.same_map
            is_right |= is_same & (found.difference <= _EVENLY * allowed)
            limit = f", or {_EVENLY:.0f} times that with a correlation of {self.limits.same_map},"
        is_right |= ~found.counts  # of another class
        if is_right.all():
            return
        worst = int(np.argmax(np.where(is_right, -np.inf, found.difference - allowed)))
        what = f"difference {found.difference[worst]:.3g}, correlation {found.correlation[worst]:.3g}"
        raise self._error(name, what, worst, f"a difference of {allowed[worst]:.3g}{limit}")

    def _judge_correlation(self, name: str, found: Comparison, lowest: float, percentile: float | None) -> None:
        """Raise if the lowest correlation, or the 5th percentile, is under a limit."""
        if not found.counts.any():
            return
        correlations = found.correlation[found.counts]
        least, low = float(correlations.min()), float(np.percentile(correlations, 5))
        limits = [f"{lowest:g} on every example", *([f"{percentile:g} on 95 % of them"] if percentile else [])]
        if least < lowest or (percentile is not None and low < percentile):
            raise self._error(
                name,
                f"correlations with a mean of {correlations.mean():.3g}, a 5th percentile of {low:.3g} and a lowest of "
                f"{least:.3g}",
                int(np.argmin(np.where(found.counts, found.correlation, np.inf))),
                f"at least {' and '.join(limits)}",
                _QUANTIZED,
            )

    def _error(
        self, name: str, what: str, example: int | None, limit: str, advice: str = ""
    ) -> ExportVerificationError:
        """Return the error for an output, whose ``example`` (of those that were compared) differs most."""
        where, index = "", None
        if example is not None:
            index = None if self.indices is None else self.indices[example]
            where = f" (example {example} of noise)" if index is None else f" (example {index} of yours)"
        error = ExportVerificationError(
            f"The TensorFlow Lite file differs from the model in {name!r}: {what}{where}, where {limit} is allowed. "
            f"{advice}{' ' if advice else ''}{_MORE}"
        )
        error.example = index
        return error


def _warn_of_low_correlation(name: str, found: Comparison) -> None:
    """Warn of a map that differs on noise although the file explains the same class as the model."""
    correlations: NDArray[np.float64] = found.correlation[found.counts]
    if correlations.min(initial=1.0) < LOWEST_CORRELATION:
        warn_user(
            f"{name!r} correlates by {correlations.min():.2f} with the model's on noise, where there is little "
            "evidence for any class, and rounding moves it. Pass `representative_data` to compare it on your inputs.",
            UserWarning,
        )
