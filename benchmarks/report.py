"""What a benchmark returns, how it is written as Markdown, JSON and pictures, and the command line of each."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import checks
from benchmarks.timing import Samples, Spread, conditions, fix_threads, start_progress

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DPI = 130
#: A table in a report or a document, between the marks that name it.
MARKED = re.compile(r"<!-- table: (?P<name>[\w-]+) -->\n(?P<table>.*?)\n?<!-- /table -->", re.DOTALL)


@dataclass(frozen=True)
class Table:
    """A table, and the name by which documents refer to it."""

    name: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return marked(self.name, table(self.header, self.lines))


@dataclass
class Report:
    """The results of one benchmark.

    Attributes:
        title: The title of the Markdown report.
        sections: Paragraphs and tables, in order.
        raw: The samples and whatever else the tables were made of, as JSON takes it.
        errors: The largest difference that each check saw.
        for_targets: What is compared with a target: by the key of the target, a measured spread and a remark.
        pictures: Matplotlib figures by the names of their files.
        notes: More conditions, such as the versions of other libraries.
    """

    title: str
    sections: list[str | Table] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    for_targets: dict[str, tuple[Spread, str]] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, error: float) -> None:
        """Keep the largest error of a check."""
        self.errors[what] = max(error, self.errors.get(what, 0.0))

    def markdown(self, before: dict[str, str]) -> str:
        """Return the report, headed by the conditions that its times depend on."""
        parts = [f"# {self.title}", "\n".join(f"- {name}: {value}" for name, value in before.items())]
        if self.errors:
            errors = ", ".join(f"{what} {error:.1e}" for what, error in self.errors.items())
            parts.append(f"Outputs are compared before they are timed; largest differences: {errors}.")
        return "\n\n".join([*parts, *map(str, self.sections)]) + "\n"

    def json(self, before: dict[str, str]) -> str:
        """Return the conditions, the errors, what is compared with targets, and the raw samples."""
        targets = {name: {**asdict(spread), "remark": remark} for name, (spread, remark) in self.for_targets.items()}
        content = {"conditions": before, "errors": self.errors, "for_targets": targets, "raw": self.raw}
        return json.dumps(content, indent=1, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Return dataclasses as JSON takes them."""
    return dict(value.seconds) if isinstance(value, Samples) else asdict(value)


# Markdown ------------------------------------------------------------------------------------------------------


def marked(name: str, text: str) -> str:
    """Return a table between the marks that name it."""
    return f"<!-- table: {name} -->\n{text}\n<!-- /table -->"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def ms(seconds: Spread | float) -> str:
    """Format seconds in milliseconds."""
    return f"{(seconds.median if isinstance(seconds, Spread) else seconds) * 1e3:.1f} ms"


def mb(size: float) -> str:
    """Format bytes in megabytes of 10⁶ bytes."""
    return f"{size / 1e6:.1f} MB"


# The command -----------------------------------------------------------------------------------------------------

Measure = Callable[[bool], Report]


def command(name: str, measure: Measure, arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark, print its report and write it; return 1 if an output is wrong, whatever the times are.

    Args:
        name: The name of the module, and of the files.
        measure: Takes whether the run is a quick one.
        arguments: The command line, ``sys.argv`` if None.
    """
    options = parser(name, measure.__doc__ or "").parse_args(arguments)
    fix_threads(options.threads)
    before = conditions() | {"run": options.run}
    start = time.perf_counter()
    start_progress(start)
    try:
        report = measure(options.quick)
    except checks.MismatchError as error:
        print(f"{name}: wrong output, nothing reported: {error}", file=sys.stderr)
        return 1
    before |= report.notes | {"took": f"{time.perf_counter() - start:.0f} s"}
    print(report.markdown(before))
    _write(name, report, before, options)
    return 0


def _write(name: str, report: Report, before: dict[str, str], options: argparse.Namespace) -> None:
    """Write the report and its pictures; a quick run must not replace the kept files, so its names differ."""
    ending = "-quick" if options.quick else ""
    folder = options.out if options.quick else options.pictures
    for needed in (options.out, folder):
        needed.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}{ending}.md").write_text(report.markdown(before), encoding="utf-8")
    (options.out / f"{name}{ending}.json").write_text(report.json(before), encoding="utf-8")
    for stem, figure in report.pictures.items():
        figure.savefig(folder / f"{stem}{ending}.png", dpi=DPI)


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--quick", action="store_true", help="small models and few rounds: only check that it works")
    made.add_argument("--out", type=Path, default=RESULTS, help="where reports go; default: %(default)s")
    made.add_argument("--pictures", type=Path, default=ROOT / "docs", help="where plots go; default: %(default)s")
    made.add_argument("--threads", type=int, default=cores(), help="of TensorFlow; default: %(default)s, the cores")
    made.add_argument(
        "--run", default=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), help="the name of this run; default: now"
    )
    return made


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
