"""Measure how many small faults the tests notice: a sample of mutants of the numerical core, each run by its tests.

    python -m tools.mutation                      the sample that docs/quality.md reports
    python -m tools.mutation --only ops/normalize.py --count 40

Cosmic Ray makes the mutants. Its own runner starts a process for each, which would spend ten seconds importing
TensorFlow; here each is a fork of a process that has imported it, with the source of one module replaced in memory.
Nothing on disk changes. Results are appended to a file, and an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tools.forked import outcome_in_fork, passes

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "visualcnn_tf"
SEED, COUNT, SECONDS = 2026, 150, 300

#: The tests of each module, the fastest first; the longest matching prefix of its path counts.
TESTS: dict[str, tuple[str, ...]] = {
    "methods/": (
        *("methods/test_registry.py", "methods/test_activation_methods.py", "methods/test_gradient_methods.py"),
        *("methods/test_rounding.py", "heatmap/test_layer.py"),
    ),
    "methods/registry.py": ("methods/test_registry.py",),
    "methods/channel_statistics.py": (
        *("methods/test_registry.py", "methods/test_activation_methods.py", "methods/test_rounding.py"),
    ),
    "methods/deviation.py": ("methods/test_registry.py", "methods/test_activation_methods.py"),
    "methods/eigen.py": ("methods/test_registry.py", "methods/test_activation_methods.py"),
    **{
        f"methods/{name}.py": ("methods/test_registry.py", "methods/test_gradient_methods.py")
        for name in ("gradcam", "gradcam_plus_plus", "hirescam", "layercam", "xgradcam", "eigengradcam", "weighting")
    },
    **{
        f"methods/{name}.py": ("methods/test_registry.py", "methods/test_replay_methods.py")
        for name in ("reciprocam", "scorecam", "ablationcam", "channels")
    },
    **{
        f"methods/{name}.py": ("methods/test_rollouts.py",)
        for name in ("attentionrollout", "gradientrollout", "rollout")
    },
    "ops/place.py": ("ops/test_place.py",),
    "ops/rounding.py": ("methods/test_rounding.py",),
    "ops/normalize.py": ("ops/test_normalize.py",),
    "ops/postprocess.py": ("ops/test_fast_equals_plain.py",),
    "ops/resize.py": ("ops/test_resize.py",),
    "ops/fast/": ("ops/test_fast_postprocess.py", "ops/test_fast_equals_plain.py", "ops/test_xla_fusion.py"),
    "ops/fast/means.py": ("ops/test_xla_fusion.py", "methods/test_activation_methods.py"),
    "ops/fast/xla.py": ("ops/test_xla_fusion.py", "methods/test_activation_methods.py"),
    "gradients/rules/": (
        *("gradients/test_rules.py", "gradients/test_rules_unknown_sizes.py", "gradients/test_rules_spatial.py"),
        *("gradients/test_backward_pass.py", "gradients/test_fallbacks.py", "gradients/test_rules_gelu.py"),
        "gradients/test_cheap_ways.py",
    ),
    "gradients/rules/pool_3d.py": ("gradients/test_pool_3d.py",),
}
#: The cases of ``test_rules.py`` that cover each file of rules.
CASES = {
    "_products": "convolution or pooling or linear or spatial_layers",
    "_windows": "convolution or pooling",
    "activations": "activations",
    "conv": "convolution or layers",
    "depthwise": "convolution or layers",
    "elementwise": "elementwise or activations",
    "gather": "shape or layers",
    "gelu": "activations",
    "linear": "linear or layers",
    "norm": "linear or layers",
    "patterns": "activations",
    "pool": "pooling",
    "reductions": "elementwise or linear or shape",
    "resize": "pooling or spatial_layers",
    "shape": "shape or layers",
    "slicing": "shape or layers or spatial_layers",
    "strided_slice": "shape or layers or spatial_layers",
}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Pow"}


@dataclass(frozen=True)
class Mutant:
    """One change of one expression of a module.

    Attributes:
        module: Its path within the package.
        operator: Cosmic Ray's name of the change.
        occurrence: Which of the expressions that the operator can change.
    """

    module: str
    operator: str
    occurrence: int

    @property
    def site(self) -> tuple[str, str, int]:
        """What the variants of a change share, such as all that replace the same plus sign."""
        family, kind, *_ = [*self.operator.split("_"), ""]
        return self.module, f"{family}_{kind}", self.occurrence

    def source(self) -> str:
        """Return the module's source with the change."""
        operator = cosmic_ray.plugins.get_operator(self.operator)()
        mutated: str = mutate_code(original(self.module), operator, self.occurrence)
        return mutated


def operators() -> list[str]:
    """Return Cosmic Ray's operators, except those that insert bit operations, ``is``, or other names."""
    return [name for name in sorted(cosmic_ray.plugins.operator_names()) if _is_plausible(name)]


def _is_plausible(name: str) -> bool:
    if name.startswith("core/ReplaceBinaryOperator"):
        return set(name.split("_")[1:]) <= _ARITHMETIC
    return not name.startswith("core/Variable") and not {"Is", "IsNot"} & set(name.split("_"))


def meaning(source: str) -> str:
    """Return a source without what changes no behavior: annotations, type aliases, docstrings and caches."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
            node.decorator_list = [one for one in node.decorator_list if "lru_cache" not in ast.dump(one)]
        elif isinstance(node, ast.AnnAssign):
            is_alias = isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
            node.annotation = ast.Constant(0)
            node.value = ast.Constant(0) if is_alias else node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(0)
    return ast.dump(tree)


def original(module: str) -> str:
    """Return the source of a module."""
    return (PACKAGE / module).read_text()


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, including those that change no behavior."""
    nodes = list(ast_nodes(get_ast(original(module))))
    for name in operators():
        operator = cosmic_ray.plugins.get_operator(name)()
        for occurrence in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            yield Mutant(module, name, occurrence)


def sample(found: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw sites evenly, and one mutant of each, so that operators with many variants do not dominate."""
    sites: dict[tuple[str, str, int], list[Mutant]] = {}
    for mutant in found:
        sites.setdefault(mutant.site, []).append(mutant)
    draw, order = random.Random(seed), sorted(sites)
    draw.shuffle(order)  # a smaller sample is the beginning of a larger one
    drawn = (draw.choice(sites[site]) for site in order)
    return list(itertools.islice(filter(_makes_a_difference, drawn), count))


def _makes_a_difference(mutant: Mutant) -> bool:
    try:
        return meaning(mutant.source()) != meaning(original(mutant.module))
    except SyntaxError:
        return False


def tests_of(module: str) -> list[str]:
    """Return pytest's arguments for a module."""
    files = max((prefix for prefix in TESTS if module.startswith(prefix)), key=len)
    family = Path(module).stem if module.startswith("gradients/rules/") else ""
    chosen = ["-k", f"not test_rules.py or {CASES[family]}"] if family in CASES else []
    return [*(str(ROOT / "tests" / file) for file in TESTS[files]), *chosen]


def modules() -> list[str]:
    """Return every module that is mutated."""
    paths = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return [path for path in paths if any(path.startswith(prefix) for prefix in TESTS)]


def change(mutant: Mutant) -> str:
    """Return the first changed line, before and after."""
    pairs = zip(original(mutant.module).splitlines(), mutant.source().splitlines(), strict=False)
    return next(f"{number}: {a.strip()} → {b.strip()}" for number, (a, b) in enumerate(pairs, 1) if a != b)


def run(chosen: Sequence[Mutant], path: Path) -> list[dict[str, Any]]:
    """Run the tests on each mutant without an outcome in the file; return the outcomes of all."""
    known = {}
    if path.exists():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        known = {(row["module"], row["operator"], row["occurrence"], row["change"]): row for row in rows}
    results = []
    for number, mutant in enumerate(chosen, 1):
        changed = change(mutant)
        row = known.get((mutant.module, mutant.operator, mutant.occurrence, changed))
        if row is None:
            row = {**asdict(mutant), "change": changed, **tried(mutant)}
            with path.open("a") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(f"{number}/{len(chosen)} {row['outcome']} {row['seconds']} s  {mutant.module}:{changed}", flush=True)
        results.append(row)
    return results


def tried(mutant: Mutant) -> dict[str, Any]:
    """Run the tests on one mutant; return the outcome and the seconds."""
    start = time.monotonic()
    name = "visualcnn_tf." + mutant.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    outcome = outcome_in_fork(name, mutant.source(), tests_of(mutant.module), SECONDS)
    return {"outcome": outcome, "seconds": round(time.monotonic() - start)}


def check_tests(results: Sequence[dict[str, Any]]) -> None:
    """Exit if tests fail without a mutant: they would kill every mutant. Where one survived, they have passed."""
    passed = {row["module"] for row in results if row["outcome"] == "survived"}
    for module in sorted({row["module"] for row in results} - passed):
        if not passes(tests_of(module), 4 * SECONDS):
            sys.exit(f"The tests of {module} fail without any mutant: {tests_of(module)}")


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the number of mutants by module and outcome as a Markdown table."""
    lines = ["| module | mutants | killed | timed out | survived |", "|---|---:|---:|---:|---:|"]
    groups = {row["module"]: [r for r in results if r["module"] == row["module"]] for row in results}
    for name, rows in [*sorted(groups.items()), ("all", list(results))]:
        counts = [sum(row["outcome"] == outcome for row in rows) for outcome in ("killed", "timeout", "survived")]
        lines.append(f"| {name} | {len(rows)} | {' | '.join(map(str, counts))} |")
    noticed = sum(row["outcome"] != "survived" for row in results)
    return "\n".join([*lines, "", f"{noticed} of {len(results)} noticed: {100 * noticed / max(1, len(results)):.1f} %"])


def main() -> None:
    """Draw mutants, run the tests on them and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="only modules whose path starts with this")
    parser.add_argument("--out", type=Path, default=Path("mutation.jsonl"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.chdir(ROOT)
    found = [mutant for path in modules() if path.startswith(options.only) for mutant in mutants(path)]
    chosen = sample(found, options.count, options.seed)
    print(f"{len(chosen)} of {len(found)} mutants", flush=True)
    results = run(chosen, options.out)
    check_tests(results)
    print(table(results))


if __name__ == "__main__":
    main()
