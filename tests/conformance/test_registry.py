"""Everything that is public has a case, and the cases of the public names hold."""

from __future__ import annotations

import inspect

import pytest
from support.conformance_cases import OPTIONS, PARAMETERS, PUBLIC, TABLES, missing

import visualcnn_tf as vc


def test_every_public_name_has_a_case() -> None:
    assert missing(vc.__all__, PUBLIC) == []


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
    fusions = [name for kind, name in OPTIONS if kind == "fusion"]
    assert missing([*vc.FUSIONS, "newest"], fusions) == ["newest"]
    assert missing(vc.FUSIONS, fusions[1:]) == ["deviation"]
    assert missing(["a", "b"], ["b", "c"]) == ["a", "c (no longer there)"]


@pytest.mark.parametrize(("table", "name"), OPTIONS)
def test_a_case_uses_what_it_stands_for(table: str, name: str) -> None:
    option = {"fusion": "method", "combination": "combine"}.get(table, table)
    assert str(OPTIONS[table, name][option]) == name


@pytest.mark.parametrize("name", [name for name in PUBLIC if name in vc.__all__])
def test_public_name(name: str) -> None:
    assert getattr(vc, name) is not None
    PUBLIC[name]()
