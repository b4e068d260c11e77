"""A look into a file shows it, and runs nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.page.preview import HEAD_BYTES, preview

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
    return preview(name, len(data), data)


def test_text_is_text() -> None:
    assert look("a.html", EVIL.encode()) == [{"kind": "output", "text": EVIL}]
    assert look("a.svg", b"<svg onload=alert(1)>") == [{"kind": "output", "text": "<svg onload=alert(1)>"}]


def test_a_picture_is_a_picture() -> None:
    (block,) = look("plots/a.PNG", PNG)
    assert block["kind"] == "picture"
    assert block["text"].startswith("data:image/png;base64,")


def test_secrets_are_masked() -> None:
    assert "abcdefgh" not in look("log.txt", b"http://localhost:8888/?token=abcdefgh")[0]["text"]


def test_what_is_neither_is_not_shown() -> None:
    assert look("a.bin", b"\0\1\2") == []
    assert look("empty", b"") == []
    assert preview("large.png", HEAD_BYTES * 2, PNG) == []


def test_a_notebook_is_its_cells_and_what_they_printed() -> None:
    blocks = look(
        "a.ipynb",
        notebook(
            {"output_type": "stream", "text": ["1\n"]},
            {"output_type": "display_data", "data": {"text/html": EVIL, "text/plain": "<Figure>"}},
            {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}},
            {"output_type": "error", "evalue": "division by zero"},
        ),
    )
    assert [block["kind"] for block in blocks] == ["words", "code", "output", "output", "picture", "output"]
    assert blocks[0]["text"] == f"# Title\n{EVIL}"
    assert blocks[3]["text"] == "<Figure>", "never the HTML"
    assert blocks[5]["text"] == "division by zero"


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"cells": 3}', "{", "[" * 100_000])
def test_what_is_called_a_notebook_and_is_none_is_text(text: str) -> None:
    assert [block["kind"] for block in look("a.ipynb", text.encode())] == ["output"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "text", "source", "image/png"]), inner),
)


@given(json_values)
def test_no_notebook_makes_it_fail(value: object) -> None:
    for block in look("a.ipynb", notebook(value, {"data": value}, {"text": value})):
        assert isinstance(block["text"], str)
        assert block["kind"] in {"code", "words", "output", "picture"}
