"""The rules of the package's folders: import order, no import cycles, small files and functions, few bare ``Any``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from visualcnn_tf import errors

PACKAGE = Path(errors.__file__).parent
NAME = PACKAGE.name
#: Folders, and modules of the root, in import order: each imports only from those before it, and from itself.
ORDER = (
    *("errors", "_utils", "ops", "io", "introspect", "graphs", "pixels", "gradients", "targets", "methods", "heatmap"),
    *("render", "pipeline", "_model", "_attach", "sampling", "viz", "export", "data", "training", "video", "web"),
    *("compat", "_public", "cli"),
)
#: Modules of the root that stand above the order: they may import from all of it, and nothing imports them.
ROOT = ("__init__", "__main__")
FILE_LINES, FUNCTION_LINES, COMPLEXITY, ANY_SHARE = 300, 40, 12, 0.1

Functions = ast.FunctionDef | ast.AsyncFunctionDef
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def module_name(path: str) -> str:
    """The dotted name of a file of the package, ``ops.resize`` of ``ops/resize.py``; ``__init__`` of the root's."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_name(path) for path in SOURCES}


# Imports ---------------------------------------------------------------------------------------------------------


def imported(source: str, path: str) -> Iterator[tuple[int, str]]:
    """The line and the dotted name of every import from the package, wherever in the file it stands.

    The names lack the package: ``from visualcnn_tf.ops import resize`` gives ``ops.resize``, and ``import
    visualcnn_tf`` gives ``""``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, path)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, inside = name.partition(".")
            if package == NAME:
                yield node.lineno, inside


def absolute(node: ast.ImportFrom, path: str) -> str:
    """The module that ``from ... import`` reads, with its dots resolved."""
    if not node.level:
        return node.module or ""
    folders = [NAME, *path.split("/")[:-1]]
    parts = folders[: len(folders) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def folder(name: str) -> str:
    """The folder, or the module of the root, that a dotted name leads into."""
    return name.split(".")[0]


def forbidden_imports(source: str, path: str) -> list[str]:
    """What a file imports against the order."""
    importer = folder(module_name(path))
    if importer in ROOT:
        return []
    found = []
    for line, name in imported(source, path):
        if folder(name) not in ORDER:
            found.append(f"{path}:{line} imports the root of the package")
        elif ORDER.index(folder(name)) > ORDER.index(importer):
            found.append(f"{path}:{line} imports {name}, but {folder(name)} stands below {importer}")
    return found


def module_of(name: str) -> str | None:
    """The module that an imported name is or belongs to."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or through others, as paths that end where they begin."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for other in sorted(graph.get(module, ())):
                visit(other, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def import_graph() -> dict[str, set[str]]:
    """The modules that each module imports, but for itself."""
    graph: dict[str, set[str]] = {}
    for path, source in SOURCES.items():
        module = module_name(path)
        found = {module_of(name) for _, name in imported(source, path)}
        graph[module] = {other for other in found if other is not None} - {module}
    return graph


def test_every_folder_has_its_place_in_the_order():
    assert {folder(module) for module in MODULES} - set(ROOT) == set(ORDER)


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_a_folder_imports_only_those_before_it(path):
    assert not forbidden_imports(SOURCES[path], path)


def test_no_modules_import_each_other():
    assert not [" imports ".join(path) for path in cycles(import_graph())]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("import visualcnn_tf", "the root"),
        ("import visualcnn_tf as vc", "the root"),
        ("from visualcnn_tf import attach", "the root"),
        ("from .. import attach", "the root"),
        ("import visualcnn_tf.viz", "viz stands below ops"),
        ("from visualcnn_tf import viz", "viz stands below ops"),
        ("from visualcnn_tf.viz.figures import plot_heatmaps", "viz stands below ops"),
        ("from visualcnn_tf._attach import attach", "_attach stands below ops"),
        ("from ..viz import figures", "viz stands below ops"),
        ("def late():\n    from visualcnn_tf.viz import figures", "viz stands below ops"),
        ("if TYPE_CHECKING:\n    from visualcnn_tf.viz import figures", "viz stands below ops"),
    ],
)
def test_a_forbidden_import_is_noticed(statement, problem):
    [found] = forbidden_imports(f'"""A module."""\n\n{statement}\n', "ops/module.py")
    assert problem in found


@pytest.mark.parametrize(
    "statement",
    [
        "from visualcnn_tf import errors",
        "from visualcnn_tf._utils.checks import check",
        "from visualcnn_tf.ops.layout import Layout",
        "from .layout import Layout",
        "import tensorflow as tf",
        "from visualcnn_tf_plugin import viz",
    ],
)
def test_an_allowed_import_is_no_problem(statement):
    assert not forbidden_imports(statement, "ops/module.py")


def test_a_cycle_is_noticed():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}
    assert cycles(graph) == [["a", "b", "c", "a"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# Sizes -----------------------------------------------------------------------------------------------------------


def functions(source: str) -> Iterator[Functions]:
    """All functions and methods, those inside others as well."""
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, Functions))


def length(function: Functions) -> int:
    """The lines of a function, without its docstring and its decorators."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return lines
    return lines - ((first.end_lineno or 0) - first.lineno + 1)


def complexity(function: Functions) -> int:
    """The cyclomatic complexity: 1, and 1 for each decision. Inner functions count for themselves."""
    total, nodes = 1, list(ast.iter_child_nodes(function))
    while nodes:
        node = nodes.pop()
        if isinstance(node, Functions):
            continue
        nodes += ast.iter_child_nodes(node)
        total += decisions(node)
    return total


def decisions(node: ast.AST) -> int:
    """How many ways a node adds to those through its function."""
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    kinds = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
    return int(isinstance(node, kinds))


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_files_and_functions_are_small(path):
    source = SOURCES[path]
    assert len(source.splitlines()) <= FILE_LINES
    found = [(function.name, length(function), complexity(function)) for function in functions(source)]
    assert not [one for one in found if one[1] > FUNCTION_LINES or one[2] > COMPLEXITY], "name, lines, complexity"


def test_the_measures_of_a_function():
    source = '''
@decorated
def outer(a, b):
    """One line.

    Two more.
    """
    def inner():
        return 1 if a else 2
    for x in a:
        if x and a or b:
            return [y for y in b if y]
    try:
        return inner
    except (KeyError, ValueError):
        while b:
            pass
'''
    outer, inner = functions(source)
    assert (length(outer), length(inner)) == (11, 2)
    # for, if, and, or, the comprehension's for and if, except, while.
    assert (complexity(outer), complexity(inner)) == (9, 2)


# Annotations -----------------------------------------------------------------------------------------------------


def annotations(source: str) -> Iterator[ast.expr]:
    """The annotations of all arguments and results."""
    for function in functions(source):
        a = function.args
        arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        yield from filter(None, [*(argument.annotation for argument in arguments), function.returns])


def is_any(annotation: ast.expr) -> bool:
    """Whether an annotation is ``Any`` and nothing else."""
    return ast.unparse(annotation).strip("'\"") in ("Any", "typing.Any")


def test_few_annotations_are_bare_any():
    found = [is_any(annotation) for source in SOURCES.values() for annotation in annotations(source)]
    assert sum(found) <= ANY_SHARE * len(found), f"{sum(found)} of {len(found)}"


def test_bare_any_is_noticed():
    source = "def f(a: Any, /, b: 'Any', *c: typing.Any, d: list[Any], e=1, **f: int | Any) -> Any: ..."
    assert [is_any(annotation) for annotation in annotations(source)] == [True, True, False, True, False, True]
