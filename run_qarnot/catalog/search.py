"""Searches images by words of their texts and by synonyms, and tolerates typing errors.

Used by the page's search, by `run-qarnot images PATTERN` and for the “did you mean” of an unknown image.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# Each line is a set of synonyms: an image whose text has one of them is found by the others too.
_SYNONYMS = [
    line.split(", ")
    for line in (
        "jupyter, jupyterlab, notebook, lab, ipython",
        "scikit-learn, sklearn, scikit",
        "tensorflow, tf, keras",
        "pytorch, torch",
        "machine learning, ml, apprentissage",
        "deep learning, dl, neural",
        "auto-sklearn, automl",
        "vs code, vscode, code-server, visual studio code, editor",
        "ssh, terminal, shell, console",
        "batch, command, script, job",
        "scipy, scientific python, numpy, pandas, matplotlib",
        "gpu, cuda",
    )
]
_WORD = re.compile(r"[^\W_]+")
_LETTERS_FOR_A_SLIP = 4  # one typing error is allowed per so many letters
_LAST = "\U0010ffff"  # sorts after every letter


@dataclass(frozen=True)
class SearchIndex:
    """The search index. It is built once, so that a key stroke among ten thousand images takes a few milliseconds.

    Arguments:
        texts: for each image, its words in lower case, their synonyms, and neighbouring words joined, so that `vscode`
            finds “VS Code”.
        words: all words of letters only, sorted; typing errors in numbers are not tolerated.
        places: for each word, the positions of the images whose text has it.
    """

    texts: Sequence[str]
    words: Sequence[str]
    places: Mapping[str, Sequence[int]]


def make_index(images: Iterable[Iterable[str]]) -> SearchIndex:
    """Build the index of the texts of images."""
    texts = [_text_of("\n".join(parts)) for parts in images]
    places: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        for word in set(text.split()):
            if word.isalpha():
                places.setdefault(word, []).append(position)
    return SearchIndex(texts, sorted(places), places)


def search(index: SearchIndex, typed: str) -> list[int]:
    """Return the positions of the images in which every typed word occurs.

    If there is none, words that begin similarly count too.
    """
    plain = _plain(typed)
    found: Collection[int] = range(len(index.texts))
    for word in map(_joined, plain.split()):
        found = _having(word, index, found)
    if found:
        return list(found)
    found = range(len(index.texts))
    for word in _WORD.findall(plain):
        found = _having(word, index, found) or sorted(_nearly_having(word, index).intersection(found))
    return list(found)


def _having(word: str, index: SearchIndex, among: Iterable[int]) -> list[int]:
    texts = index.texts
    return [position for position in among if word in texts[position]]


def _nearly_having(typed: str, index: SearchIndex) -> set[int]:
    """Return the positions of the images with a word that begins like `typed`, with a typing error or two."""
    slips = min(len(typed) // _LETTERS_FOR_A_SLIP, 2)
    for most in range(1, slips + 1):
        if words := _near(typed, index.words, most):
            return {position for word in words for position in index.places[word]}
    return set()


def _near(typed: str, words: Sequence[str], most: int) -> list[str]:
    """Return the words whose beginning differs from `typed` by at most `most` typing errors.

    An error is an additional, missing or wrong letter, or two letters swapped. With two errors the first letter must be
    right, which keeps the search short. The words are sorted, so that words with a common beginning are compared
    together and skipped together (a trie without the tree).
    """
    found: list[str] = []
    first_row = list(range(len(typed) + 1))
    span = (0, len(words)) if most == 1 else (bisect_left(words, typed[0]), bisect_left(words, typed[0] + _LAST))
    ways: list[tuple[int, int, str, list[int], list[int]]] = [(*span, "", first_row, first_row)]
    while ways:
        start, end, beginning, row, above = ways.pop()
        if row[-1] <= most:
            found.extend(words[start:end])
            continue
        if start < end and words[start] == beginning:
            start += 1
        while start < end:
            letter = words[start][len(beginning)]
            longer = beginning + letter
            after = bisect_left(words, longer + _LAST, start, end)
            next_row = _next_row(typed, row, above, letter, beginning[-1:])
            if min(next_row) <= most:
                ways.append((start, after, longer, next_row, row))
            start = after
    return found


def _next_row(typed: str, row: list[int], above: list[int], letter: str, before: str) -> list[int]:
    """Compute the next row of the distance table (optimal string alignment), for one more letter of a word."""
    line = [row[0] + 1]
    for column, other in enumerate(typed, 1):
        cost = min(row[column] + 1, line[column - 1] + 1, row[column - 1] + (letter != other))
        if column > 1 and other == before and typed[column - 2] == letter:
            cost = min(cost, above[column - 2] + 1)
        line.append(cost)
    return line


def _text_of(text: str) -> str:
    words = _WORD.findall(_plain(text))
    joined = [one + other for one, other in pairwise(words)]
    return " ".join([*words, *joined, *_synonyms(words)])


def _synonyms(words: Sequence[str]) -> Iterable[str]:
    spaced = f" {' '.join(words)} "
    for name in _OTHERS.keys() & {*words} if words else ():
        for phrase, others in _OTHERS[name]:
            if phrase in spaced:
                yield others


def _joined(text: str) -> str:
    return "".join(_WORD.findall(text))


def _plain(text: str) -> str:
    """Return the text in lower case and without accents."""
    if text.isascii():
        return text.lower()
    return "".join(mark for mark in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(mark))


def _others() -> dict[str, list[tuple[str, str]]]:
    """Return, by the first word of each phrase, the phrase between spaces and its synonyms, also joined."""
    found: dict[str, list[tuple[str, str]]] = {}
    for phrases in _SYNONYMS:
        split = [_WORD.findall(phrase) for phrase in phrases]
        all_words = " ".join([*map(" ".join, split), *map("".join, split)])
        for words in split:
            found.setdefault(words[0], []).append((f" {' '.join(words)} ", all_words))
    return found


_OTHERS = _others()
