"""Find the names that somebody who mistyped one may have meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

_WORD = re.compile(r"[^\W\d_]+|\d+")
_TELLING = 3  # letters: a shorter part of a name says little about it


def near_misses(name: object, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the names of ``known`` that ``name`` may be a slip of, best first.

    Words that both names hold don't count, so that ``input_1`` is not taken for ``output_1``. What is left of the two
    must differ by a few letters, by its end or by its number; or one name holds all words of the other. Letter case
    and separators don't matter.
    """
    text, options = str(name), list(dict.fromkeys(known))
    if same := [option for option in options if option.lower() == text.lower()]:
        return same[:count]
    slips = {option: _slips(text.lower(), option.lower()) for option in options}
    near = {option: number for option, number in slips.items() if number is not None}
    return sorted(near, key=lambda option: (near[option], -_similarity(text, option)))[:count]


def _slips(one: str, other: str) -> int | None:
    """Return how many slips lead from one name to the other; None if they mean different things."""
    words, others = Counter(_WORD.findall(one)), Counter(_WORD.findall(other))
    rest, other_rest = ("".join(part.elements()) for part in (words - others, others - words))
    if not rest or not other_rest:
        whole = [sum(map(len, part.elements())) for part in (words, others)]
        return _slips_of_part(min(whole), max(whole))
    if rest.isdecimal() and other_rest.isdecimal():
        return 1 if words & others else None
    if rest.startswith(other_rest) or other_rest.startswith(rest):
        return _slips_of_part(*sorted((len(rest), len(other_rest))))
    edits = _edits(rest, other_rest)
    return edits if edits <= _allowed(max(len(rest), len(other_rest))) else None


def _slips_of_part(length: int, whole: int) -> int | None:
    """Return the slips between a whole and a part of it, by their numbers of letters; None if the part is too short."""
    if not length or (length < _TELLING and 2 * length < whole):
        return None
    return min(1, whole - length)


def _allowed(letters: int) -> int:
    """Return how many letters of so many may be wrong."""
    return max(letters // 5, 1) if letters >= _TELLING else 0


def _edits(one: str, other: str) -> int:
    """Return how many letters must be inserted, removed, replaced or exchanged with the next to get the other word."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, other_letter in enumerate(other):
            best = min(row[j] + 1, last[j + 1] + 1, last[j] + (letter != other_letter))
            if i and j and letter == other[j - 1] and one[i - 1] == other_letter:
                best = min(best, before[j - 1] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()
