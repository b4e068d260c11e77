"""A file with mistakes: every entry that can be read is read, and each mistake has its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog import toml
from run_qarnot.catalog.toml import parse, read_document
from run_qarnot.catalog.toml_positions import table_of

BROKEN = """title = "top"
[images.a]
x = 1
[images.b]
x =
[images.b.options.y]
z = 1
[images.c]
x = 3
[images.a]
x = 4
[other]
x = 5
"""


def problems(text: str) -> list[tuple[str, str, int | None]]:
    return [(each.code, each.entry, each.line) for each in parse(text, "t.toml").problems]


def test_a_mistake_costs_the_entry_it_is_in() -> None:
    document = parse(BROKEN, "t.toml")
    assert document.data == {"title": "top", "images": {"a": {"x": 1}, "c": {"x": 3}}, "other": {"x": 5}}
    assert document.text == BROKEN
    assert problems(BROKEN) == [("toml", "b", 5), ("entry-twice", "a", 10)]
    assert {each.source for each in document.problems} == {"t.toml"}
    assert "(at line" not in document.problems[0].message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a = 1\n[images.x]\nb = 2\n", []),
        ("a =", [("toml", "", 1)]),
        ("[images.x]\na = 1\n\nb = [\n\n", [("toml", "x", 4)]),
        ("[images.x]\na = 1\na = 2\n", [("toml", "x", 3)]),
        ("[defaults]\na =\n", [("toml", "", 2)]),
        ("[images]\na =\n", [("toml", "", 2)]),
        ("[images.x]\na = 1\n[images.x]\na = 1\n", [("entry-twice", "x", 3)]),
        ("[a]\nx = 1\n[a]\nx = 2\n", [("toml", "", 3)]),
    ],
)
def test_each_mistake_has_its_line_and_its_entry(text: str, found: list[tuple[str, str, int]]) -> None:
    assert problems(text) == found


@given(st.text(alphabet="[]a.=\"'\n 1#ä", max_size=60))
def test_no_text_makes_reading_fail(text: str) -> None:
    document = parse(text, "t.toml")
    assert all(1 <= (each.line or 0) <= text.count("\n") + 1 for each in document.problems)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only(path: Path) -> tuple[str, int | None, dict[str, Any]]:
        document = read_document(path, "t.toml")
        (problem,) = document.problems
        assert (document.data, problem.source) == ({}, "t.toml")
        return problem.code, problem.line, problem.english_facts

    missing = tmp_path / "missing"
    assert only(missing) == ("file-missing", None, {"found": str(missing)})
    assert only(tmp_path) == ("file-kind", None, {"found": str(tmp_path)})
    file = tmp_path / "t.toml"
    file.write_bytes(b'a = 1\nb = "\xff"\n')
    assert only(file) == ("file-utf8", 2, {"byte": 12, "found": "0xFF"})
    monkeypatch.setattr(toml, "MOST_BYTES", 1_000_000)
    file.write_bytes(b"#" * 1_200_000)
    assert only(file) == ("file-size", None, {"size": "1.2", "allowed": "at most 1 MB"})
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_document(file, "t.toml").data == {"a": 1}


@pytest.mark.parametrize(
    ("line", "table"),
    [("[a]", ["a"]), ("  [a.b] # x", ["a", "b"]), ('[a."b.c"]', ["a", "b.c"]), ("a = 1", None), ("", None)],
)
def test_headers_of_tables(line: str, table: list[str] | None) -> None:
    found = table_of(line)
    assert (None if found is None else list(found)) == table
