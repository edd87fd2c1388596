"""What the package must never do: run code out of strings or pickles, or use the network without being asked."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import visualcnn_tf

PACKAGE = Path(visualcnn_tf.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in SOURCES}

# Code out of data, other programs, and files of fixed names that others can put there first.
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "subprocess",
    "pty",
    "telnetlib",
    "imp",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "mktemp", "system", "popen", "unsafe_load"}
NETWORK = {"socket", "http", "urllib", "requests", "ftplib", "smtplib", "ssl", "asyncio", "webbrowser"}
# The server of `visualcnn web`; the rest is the way in which addresses are written.
MAY_USE_THE_NETWORK = {"web/server.py"}
# To quote a command line for Windows, with a function that starts nothing.
MAY_QUOTE = {"cli/invocation.py"}


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def called(tree: ast.AST) -> set[str]:
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {function.id for function in functions if isinstance(function, ast.Name)}
    # `re.compile` and Keras's `compile` are other things.
    return names | {f.attr for f in functions if isinstance(f, ast.Attribute) and f.attr not in ("compile", "eval")}


def used_of(tree: ast.AST, module: str) -> set[str]:
    """The names that are read from a module which is imported under its own name, and "*" for any other use of it."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_name(node.value, module)]
    others = {id(node) for node in ast.walk(tree) if _is_name(node, module)} - {id(node.value) for node in attributes}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == module]
    renamed = [n for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names if n.name == module]
    is_hidden = bool(others or imports or any(name.asname for name in renamed))
    return {node.attr for node in attributes} | ({"*"} if is_hidden else set())


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_code_out_of_data_and_no_network(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = path.relative_to(PACKAGE).as_posix()
    if name in MAY_QUOTE:
        assert used_of(tree, "subprocess") == {"list2cmdline"}
    assert not imported(tree) & FORBIDDEN_MODULES - ({"subprocess"} if name in MAY_QUOTE else set())
    assert not called(tree) & FORBIDDEN_CALLS
    if name not in MAY_USE_THE_NETWORK:
        assert not imported(tree) & NETWORK
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell", "safe_mode"):
            # Safe mode is off only where the user says so.
            assert node.arg == "safe_mode"
            assert ast.unparse(node.value) == "not trusted"


def test_the_search_finds_what_it_looks_for() -> None:
    tree = ast.parse(
        "import pickle as p\nfrom urllib.request import urlopen\neval('1')\nos.system('x')\nre.compile('x')"
    )
    assert imported(tree) == {"pickle", "urllib"}
    assert called(tree) == {"eval", "system"}


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("import subprocess\nsubprocess.list2cmdline(['x'])", {"list2cmdline"}),
        ("import subprocess\nsubprocess.run('x')\nsubprocess.list2cmdline(['x'])", {"list2cmdline", "run"}),
        ("import subprocess as s\ns.run('x')", {"*"}),
        ("from subprocess import run\nrun('x')", {"*"}),
        ("import subprocess\nrun = getattr(subprocess, 'run')", {"*"}),
    ],
)
def test_the_search_finds_what_is_used_of_a_module(code: str, used: set[str]) -> None:
    assert used_of(ast.parse(code), "subprocess") == used


BLOCKED = """
import os, sys

TRAFFIC = {"socket." + name for name in ("connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname")}

def refuse(event, args):
    if event in TRAFFIC:
        print("USED THE NETWORK", event, args, file=sys.stderr, flush=True)
        os._exit(3)

sys.addaudithook(refuse)
"""


def without_network(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, check=False)


def test_importing_any_module_needs_no_network_and_computes_nothing() -> None:
    """The second, so that a program may fork after the import: TensorFlow's threads do not survive a fork."""
    names = sorted(MODULES - {"visualcnn_tf.__main__"})
    code = (
        f"import importlib\nfor name in {names!r}: importlib.import_module(name.removesuffix('.__init__'))\n"
        "from tensorflow.python.eager import context\n"
        "sys.exit(4 if context.context()._context_handle is not None else 0)"
    )
    done = without_network(code)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_socket_would_be_noticed() -> None:
    done = without_network("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')")
    assert done.returncode == 3
    assert "USED THE NETWORK" in done.stderr
