"""Reads the tables of a Markdown report."""

from __future__ import annotations

import re


def tables(markdown: str) -> list[list[list[str]]]:
    """The cells of each table, without its rule."""
    found = re.findall(r"(?:^\|.*\|\n)+", markdown, flags=re.MULTILINE)
    lines = [[line.strip("| \n").split(" | ") for line in text.splitlines()] for text in found]
    return [[header, *rows] for header, _, *rows in lines]
