"""A look into a file shows it, and runs nothing."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "text", "source", "image/png"]), inner),
)


@given(json_values)
def test_no_notebook_makes_it_fail(value: object) -> None:
    for block in look("a.ipynb", notebook(value, {"data": value}, {"text": value})):
        assert isinstance(block["text"], str)
        assert block["kind"] in {"code", "words", "output", "picture"}
