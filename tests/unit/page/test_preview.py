"""A look into a file shows it, and runs nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import language
from run_qarnot.page.preview import MOST_BYTES, bytes_wanted, preview

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EVIL = "<script>window.hacked=1</script>"


def notebook(*outputs: object) -> bytes:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", EVIL]},
        {"cell_type": "code", "source": "print(1)", "outputs": list(outputs)},
    ]
    return json.dumps({"cells": cells}).encode()


def look(name: str, data: bytes) -> list[dict[str, str]]:
    return preview(name, len(data), data).blocks


def note(name: str, data: bytes, size: int | None = None) -> str:
    return preview(name, len(data) if size is None else size, data).note


def test_text_is_text() -> None:
    assert look("a.html", EVIL.encode()) == [{"kind": "output", "text": EVIL}]
    assert look("a.svg", b"<svg onload=alert(1)>") == [{"kind": "output", "text": "<svg onload=alert(1)>"}]


def test_a_picture_is_a_picture() -> None:
    (block,) = look("plots/a.PNG", PNG)
    assert block["kind"] == "picture"
    assert block["text"].startswith("data:image/png;base64,")


def test_secrets_are_masked() -> None:
    assert "abcdefgh" not in look("log.txt", b"http://localhost:8888/?token=abcdefgh")[0]["text"]


def test_what_cannot_be_shown_has_its_reason() -> None:
    assert preview("a.bin", 3, b"\0\1\2") == ([], "unknown")
    assert preview("large.png", MOST_BYTES + 1, b"") == ([], "large")
    assert preview("large.ipynb", MOST_BYTES + 1, b"") == ([], "large")
    assert preview("empty.png", 0, b"") == ([], "empty")
    assert preview("empty", 0, b"") == ([], "empty")
    assert preview("no-cells.ipynb", 13, b'{"cells": []}') == ([], "empty")


def test_a_notebook_full_of_pictures_is_read_whole_and_of_a_text_only_the_beginning() -> None:
    cell = {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG * 40_000).decode()}}
    large = notebook(cell)
    assert len(large) > 3 << 20
    assert bytes_wanted("plots.ipynb", len(large)) == len(large)
    assert [block["kind"] for block in look("plots.ipynb", large)] == ["words", "code", "picture"]
    assert note("plots.ipynb", large) == ""
    assert bytes_wanted("plots/a.PNG", MOST_BYTES) == MOST_BYTES
    assert bytes_wanted("large.ipynb", MOST_BYTES + 1) == 0, "half of one would be no notebook"
    assert bytes_wanted("log.txt", MOST_BYTES) == 1 << 20


def test_that_something_was_cut_is_said() -> None:
    assert note("a.txt", b"x" * 100_000) == ""
    assert note("a.txt", b"x" * 100_001) == "cut"
    assert note("a.txt", b"abc", size=4) == "cut"
    assert note("a.ipynb", notebook({"text": "x" * 100_001})) == "cut"
    assert note("a.ipynb", notebook(*[{"text": "x"}] * 3000)) == "cut"


def test_a_notebook_is_its_cells_and_what_they_printed() -> None:
    blocks = look(
        "a.ipynb",
        notebook(
            {"output_type": "stream", "text": ["1\n"]},
            {"output_type": "display_data", "data": {"text/html": EVIL, "text/plain": "<Figure>"}},
            {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}},
            {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": [EVIL]},
            {"output_type": "error", "ename": "KeyboardInterrupt", "evalue": ""},
        ),
    )
    assert [block["kind"] for block in blocks] == ["words", "code", "output", "output", "picture", "output", "output"]
    assert blocks[0]["text"] == f"# Title\n{EVIL}"
    assert blocks[3]["text"] == "<Figure>", "never the HTML"
    assert blocks[5]["text"] == "ZeroDivisionError: division by zero"
    assert blocks[6]["text"] == "KeyboardInterrupt"


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"cells": 3}', "{", "[" * 100_000])
def test_what_is_called_a_notebook_and_is_none_is_text(text: str) -> None:
    assert [block["kind"] for block in look("a.ipynb", text.encode())] == ["output"]


def texts(data: bytes, name: str = "a.ipynb") -> list[str]:
    return [block["text"] for block in look(name, data)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_of_the_encoding_is_obeyed_and_not_shown(encoding: str) -> None:
    assert texts("a,b\r\n1,é\n".encode(encoding), "a.csv") == ["a,b\n1,é\n"]
    blocks = look("a.ipynb", notebook({"text": "é"}).decode().encode(encoding))
    assert [block["kind"] for block in blocks] == ["words", "code", "output"]
    assert look("a.csv", "a,b\n".encode("utf-16-le")) == [], "without a mark it may be anything"


def test_output_is_shown_as_a_terminal_leaves_it() -> None:
    progress = "\r 10%|#         | 1/10\r100%|##########| 10/10\n\x1b[1;31mred\x1b[0m\n"
    assert texts(notebook({"output_type": "stream", "text": [progress]}))[2] == "100%|##########| 10/10\nred\n"
    assert texts(b"\x1b[32m12> kept\x1b[0m\r\nx\n", "a.log") == ["12> kept\nx\n"], "it is no prefix of an instance here"
    assert texts(b"one\rtwo\rthree", "old-mac.txt") == ["one\ntwo\nthree"]
    error = {"output_type": "error", "ename": "E", "evalue": "\x1b[0;31mwhy\x1b[0m"}
    assert texts(notebook(error))[2] == "E: why"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"text/html": ["<TABLE><tr>"]}, "(a table in HTML: download the file to see it)"),
        ({"text/html": "<b>x</b>"}, "(HTML: download the file to see it)"),
        ({"image/svg+xml": "<svg onload=alert(1)>"}, "(a picture in SVG: download the file to see it)"),
        ({"image/svg+xml": "<svg>", "text/plain": "<Figure>"}, "(a picture in SVG: download the file to see it)"),
        ({"application/vnd.plotly.v1+json": {}}, "(application/vnd.plotly.v1+json: download the file to see it)"),
        ({"text/markdown": "**x**"}, "**x**"),
        ({"image/png": "no base64!", "text/plain": "<Figure>"}, "<Figure>"),
        ({}, ""),
    ],
)
def test_an_output_that_cannot_be_shown_says_what_it_is(data: dict[str, object], said: str) -> None:
    assert texts(notebook({"output_type": "display_data", "data": data}))[2] == said


def test_that_is_said_in_french_too() -> None:
    language.set_language("fr")
    try:
        shown = texts(notebook({"data": {"text/html": "<table>"}}, {"data": {"x/y": ""}}))
    finally:
        language.set_language("en")
    assert shown[2:] == [
        "(un tableau en HTML : téléchargez le fichier pour le voir)",
        "(x/y : téléchargez le fichier pour le voir)",
    ]


def test_a_gif_among_the_outputs_is_a_picture() -> None:
    gif = base64.b64encode(b"GIF89a").decode()
    assert texts(notebook({"data": {"image/gif": gif}}))[2] == f"data:image/gif;base64,{gif}"


def test_a_notebook_of_an_older_format_is_its_cells() -> None:
    outputs = [
        {"output_type": "pyout", "text": ["2"]},
        {"output_type": "display_data", "png": base64.b64encode(PNG).decode(), "text": "<Figure>"},
        {"output_type": "display_data", "html": "<table>"},
        {"output_type": "pyerr", "ename": "KeyError", "evalue": "x"},
    ]
    cells = [{"cell_type": "heading", "source": "Title"}, {"cell_type": "code", "input": ["1+1"], "outputs": outputs}]
    old = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}, 3, {"cells": None}]}).encode()
    assert [block["kind"] for block in look("a.ipynb", old)] == [
        "words",
        "code",
        "output",
        "picture",
        "output",
        "output",
    ]
    shown = texts(old)
    assert shown[:3] == ["Title", "1+1", "2"]
    assert shown[4:] == ["(a table in HTML: download the file to see it)", "KeyError: x"]


def test_half_a_character_reaches_no_browser() -> None:
    (text,) = texts(b'{"cells": [{"cell_type": "markdown", "source": "a \\ud800 \\ud83d\\ude00"}]}')
    assert text == "a \\ud800 😀"


def test_words_that_are_no_secrets_stay_readable() -> None:
    text = "max_token=4096 pad_token=[PAD]\ndef f(token=None): ...\nauthorization: enabled\n"
    assert texts(text.encode(), "a.log") == [text]


KEYS = ("data", "text", "source", "image/png", "text/html", "worksheets", "cells", "input", "png")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
)


@given(json_values)
def test_no_notebook_makes_it_fail(value: object) -> None:
    for block in look("a.ipynb", notebook(value, {"data": value}, {"text": value})):
        assert isinstance(block["text"], str)
        assert block["kind"] in {"code", "words", "output", "picture"}
        block["text"].encode()


@given(json_values)
def test_no_json_makes_it_fail(value: object) -> None:
    preview("a.ipynb", 100, json.dumps(value).encode()[:100])
    preview("a.ipynb", 100, json.dumps({"worksheets": value, "cells": value}).encode())


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for block in look("a.csv", data):
        block["text"].encode()
