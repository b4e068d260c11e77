"""What a result looks like, without running anything of it: text stays text, and only plain pictures are pictures.

A notebook is its cells and what they printed; HTML and scripts in its outputs are never shown as such.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from run_qarnot.redact import redact

HEAD_BYTES = 1 << 20  # as much as is read of a file
_MOST_TEXT = 100_000
_MOST_CELLS = 200
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}

Block = dict[str, str]  # kind: "code", "words", "output" or "picture"; and its text, or the picture as a data address


def preview(name: str, size: int, head: bytes) -> list[Block]:
    """Return what can be shown of a file; nothing for what is neither text nor a picture.

    Arguments:
        name: of the file.
        size: of the whole of it.
        head: its first `HEAD_BYTES`.
    """
    suffix = PurePosixPath(name).suffix.lower()
    whole = size <= len(head)
    if suffix in _PICTURES:
        return [_picture(_PICTURES[suffix], head)] if whole else []
    if b"\0" in head:
        return []
    text = head.decode("utf-8", "replace")
    if suffix == ".ipynb" and whole:
        try:
            return list(_cells(json.loads(text)))
        except (ValueError, RecursionError):
            pass  # then it is shown as the text that it is
    return [{"kind": "output", "text": redact(text[:_MOST_TEXT])}] if text else []


def _cells(notebook: Any) -> Iterator[Block]:
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if not isinstance(cells, list):
        raise ValueError("no notebook")  # noqa: TRY004  it is a matter of content
    for cell in cells[:_MOST_CELLS]:
        if isinstance(cell, Mapping):
            yield _text("code" if cell.get("cell_type") == "code" else "words", cell.get("source"))
            outputs = cell.get("outputs")
            for output in outputs[:_MOST_CELLS] if isinstance(outputs, list) else ():
                yield from _output(output)


def _output(output: Any) -> Iterator[Block]:
    if not isinstance(output, Mapping):
        return
    data = output.get("data")
    if not isinstance(data, Mapping):
        yield _text("output", output.get("text") or output.get("evalue"))
        return
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            try:
                yield _picture(kind, base64.b64decode(_joined(data[kind])))
            except (binascii.Error, ValueError):
                continue
            return
    yield _text("output", data.get("text/plain"))


def _text(kind: str, source: Any) -> Block:
    return {"kind": kind, "text": redact(_joined(source)[:_MOST_TEXT])}


def _joined(source: Any) -> str:
    """Notebooks hold text as a string, or as a list of lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _picture(kind: str, data: bytes) -> Block:
    return {"kind": "picture", "text": f"data:{kind};base64,{base64.b64encode(data).decode()}"}
