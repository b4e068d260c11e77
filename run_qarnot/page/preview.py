"""What a result looks like, without running anything of it: text stays text, and only plain pictures are pictures.

A notebook is its cells and what they printed; HTML and scripts in its outputs are never shown as such.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from run_qarnot.core.redaction import redact

MOST_BYTES = 16 << 20  # of what can be shown only as a whole
_HEAD_BYTES = 1 << 20  # of a text
_MOST_TEXT = 100_000
_MOST_BLOCKS = 2000
_NOTEBOOK = ".ipynb"
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}

Block = dict[str, str]  # kind: "code", "words", "output" or "picture"; and its text, or the picture as a data address


class Look(NamedTuple):
    """What can be shown of a file, and what must be said of that: "", "cut", "empty", "large" or "unknown"."""

    blocks: list[Block]
    note: str = ""


def bytes_wanted(name: str, size: int) -> int:
    """Return how many bytes of a file `preview` wants: of notebooks and pictures, which mean nothing in part, all."""
    if not _is_whole(name):
        return min(size, _HEAD_BYTES)
    return size if size <= MOST_BYTES else 0


def preview(name: str, size: int, head: bytes) -> Look:
    """Return what can be shown of a file.

    Arguments:
        name: of the file.
        size: of the whole of it.
        head: its first `bytes_wanted`.
    """
    if not size:
        return Look([], "empty")
    cut = size > len(head)
    if cut and _is_whole(name):
        return Look([], "large")
    if kind := _PICTURES.get(_suffix(name)):
        return Look([_picture(kind, head)])
    if b"\0" in head:
        return Look([], "unknown")
    text = head.decode("utf-8", "replace")
    if _suffix(name) == _NOTEBOOK:
        try:
            return _shortened(_cells(json.loads(text)))
        except (ValueError, RecursionError):
            pass  # then it is shown as the text that it is
    return _shortened([{"kind": "output", "text": text}], cut=cut)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_whole(name: str) -> bool:
    return _suffix(name) in {_NOTEBOOK, *_PICTURES}


def _shortened(blocks: Iterable[Block], *, cut: bool = False) -> Look:
    """Leave out what nobody reads in a small window, and all secrets."""
    some = list(islice(blocks, _MOST_BLOCKS + 1))
    cut = cut or len(some) > _MOST_BLOCKS
    for block in some:
        if block["kind"] != "picture":
            text = redact(block["text"])
            cut = cut or len(text) > _MOST_TEXT
            block["text"] = text[:_MOST_TEXT]
    return Look(some[:_MOST_BLOCKS], "cut" if cut else "" if some else "empty")


def _cells(notebook: Any) -> Iterator[Block]:
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if not isinstance(cells, list):
        raise ValueError("no notebook")  # noqa: TRY004  it is a matter of content
    for cell in cells:
        if isinstance(cell, Mapping):
            yield _text("code" if cell.get("cell_type") == "code" else "words", cell.get("source"))
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else ():
                yield from _output(output)


def _output(output: Any) -> Iterator[Block]:
    if not isinstance(output, Mapping):
        return
    data = output.get("data")
    if not isinstance(data, Mapping):
        yield _text("output", output.get("text") or _error(output))
        return
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            try:
                yield _picture(kind, base64.b64decode(_joined(data[kind])))
            except (binascii.Error, ValueError):
                continue
            return
    yield _text("output", data.get("text/plain"))


def _error(output: Mapping[str, Any]) -> str:
    """Such as `ValueError: no such column`: what a traceback ends with."""
    return ": ".join(filter(None, (_joined(output.get("ename")), _joined(output.get("evalue")))))


def _text(kind: str, source: Any) -> Block:
    return {"kind": kind, "text": _joined(source)}


def _joined(source: Any) -> str:
    """Notebooks hold text as a string, or as a list of lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _picture(kind: str, data: bytes) -> Block:
    return {"kind": "picture", "text": f"data:{kind};base64,{base64.b64encode(data).decode()}"}
