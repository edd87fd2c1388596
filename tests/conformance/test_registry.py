"""Everything that is public has a case, and the cases of the public names hold."""

from __future__ import annotations

import inspect

import pytest
from support.option_cases import OPTIONS, TABLES, missing
from support.public_cases import PARAMETERS, PUBLIC
from support.public_methods import PUBLIC_METHODS
from support.public_targets import PUBLIC_TARGETS

import visualcnn_tf as vc

MODULES = {
    "visualcnn_tf": (vc, PUBLIC),
    "methods": (vc.methods, PUBLIC_METHODS),
    "targets": (vc.targets, PUBLIC_TARGETS),
}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_case(name: str) -> None:
    module, checks = MODULES[name]
    assert missing(module.__all__, checks) == []


@pytest.mark.parametrize("table", TABLES)
def test_every_choice_has_a_case(table: str) -> None:
    assert missing(TABLES[table], [name for kind, name in OPTIONS if kind == table]) == []


def test_every_parameter_of_attach_has_a_case() -> None:
    used = {parameter for options in OPTIONS.values() for parameter in options}
    assert used.isdisjoint(PARAMETERS)
    assert missing(inspect.signature(vc.attach).parameters, ["model", *used, *PARAMETERS]) == []


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_of_attach(name: str) -> None:
    PARAMETERS[name]()


def test_every_case_is_of_a_table() -> None:
    assert {table for table, _ in OPTIONS} == set(TABLES)


def test_a_missing_case_is_reported() -> None:
    assert missing([*vc.__all__, "brand_new"], PUBLIC) == ["brand_new"]
    methods = [name for kind, name in OPTIONS if kind == "method"]
    assert missing([*vc.methods.NAMES, "newest"], methods) == ["newest"]
    assert missing(vc.methods.NAMES, methods[1:]) == ["deviation"]
    assert missing(["a", "b"], ["b", "c"]) == ["a", "c (no longer there)"]


@pytest.mark.parametrize(("table", "name"), OPTIONS)
def test_a_case_uses_what_it_stands_for(table: str, name: str) -> None:
    option = {"combination": "combine"}.get(table, table)
    value = OPTIONS[table, name][option]
    assert (vc.methods.get(value).name if table == "method" else str(value)) == name


@pytest.mark.parametrize(
    ("module", "name"), [(each, name) for each, (module, checks) in MODULES.items() for name in checks]
)
def test_public_name(module: str, name: str) -> None:
    owner, checks = MODULES[module]
    assert getattr(owner, name) is not None
    checks[name]()
