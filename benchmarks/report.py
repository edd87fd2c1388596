"""What a benchmark hands back, how it becomes Markdown, JSON and pictures, and the command line of each."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import checks
from benchmarks.timing import Samples, Spread, conditions, fix_threads, set_off

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DPI = 130


@dataclass(frozen=True)
class Table:
    """A table with a name, under which documents show it."""

    name: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return table(self.header, self.lines)


@dataclass
class Report:
    """What one benchmark found.

    Attributes:
        title: of the Markdown report.
        sections: paragraphs and tables, in order.
        raw: samples and whatever else the tables were made of, as JSON takes it.
        errors: the largest differences that the checks saw.
        reach: what is compared with a target: the name of the target, a measured spread and a remark.
        pictures: Matplotlib figures by the names of their files.
        notes: more conditions, as versions of what is compared with.
    """

    title: str
    sections: list[str | Table] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    reach: dict[str, tuple[Spread, str]] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, error: float) -> None:
        """Keeps the largest error of its kind."""
        self.errors[what] = max(error, self.errors.get(what, 0.0))

    def markdown(self, before: dict[str, str]) -> str:
        """The report, with what its times depend on."""
        checked = ", ".join(f"{what} {error:.1e}" for what, error in self.errors.items())
        parts = [f"# {self.title}", "\n".join(f"- {name}: {value}" for name, value in before.items())]
        parts += [f"Outputs are compared before they are timed; largest differences: {checked}."] if checked else []
        return "\n\n".join([*parts, *map(str, self.sections)]) + "\n"

    def json(self, before: dict[str, str]) -> str:
        """The same with the raw samples."""
        tables = {part.name: str(part) for part in self.sections if isinstance(part, Table)}
        reach = {name: {**asdict(spread), "remark": remark} for name, (spread, remark) in self.reach.items()}
        content = {"conditions": before, "errors": self.errors, "reach": reach, "tables": tables, "raw": self.raw}
        return json.dumps(content, indent=1, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    return dict(value.seconds) if isinstance(value, Samples) else asdict(value)


# Cells -----------------------------------------------------------------------------------------------------------


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first stand right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def ms(seconds: Spread | float) -> str:
    """Milliseconds."""
    return f"{(seconds.median if isinstance(seconds, Spread) else seconds) * 1e3:.1f} ms"


def mb(size: float) -> str:
    """Megabytes, of 10⁶."""
    return f"{size / 1e6:.1f} MB"


# The command -----------------------------------------------------------------------------------------------------

Measure = Callable[[bool], Report]


def command(name: str, measure: Measure, arguments: Sequence[str] | None = None) -> int:
    """Runs one benchmark, prints its report and writes it; 1 when an output is wrong, never for a time.

    Args:
        name: of the module, and of the files.
        measure: takes whether the run is a quick one.
        arguments: of the command line.
    """
    options = parser(name, measure.__doc__ or "").parse_args(arguments)
    fix_threads(options.threads)
    before = conditions() | {"run": options.run}
    start = time.perf_counter()
    set_off(start)
    try:
        report = measure(options.quick)
    except checks.MismatchError as error:
        print(f"{name}: wrong output, nothing reported: {error}", file=sys.stderr)
        return 1
    before |= report.notes | {"took": f"{time.perf_counter() - start:.0f} s"}
    markdown = report.markdown(before)
    print(markdown)
    # Names of their own: a quick run must not replace what is kept.
    ending = "-quick" if options.quick else ""
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}{ending}.md").write_text(markdown, encoding="utf-8")
    (options.out / f"{name}{ending}.json").write_text(report.json(before), encoding="utf-8")
    folder = options.out if options.quick else options.pictures
    folder.mkdir(parents=True, exist_ok=True)
    for stem, figure in report.pictures.items():
        figure.savefig(folder / f"{stem}{ending}.png", dpi=DPI)
    return 0


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--quick", action="store_true", help="small models, few rounds: does it work?")
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of the reports; default: %(default)s")
    made.add_argument("--pictures", type=Path, default=ROOT / "docs", help="folder of plots; default: %(default)s")
    made.add_argument("--threads", type=int, default=cores(), help="of TensorFlow; default: %(default)s, the cores")
    made.add_argument("--run", default=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), help="name of this run")
    return made


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
