"""Previews of results. No file is executed: text is shown as text, and only bitmap pictures as pictures.

Of a notebook, the cells and their text output are shown; HTML and scripts in outputs are not rendered.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from run_qarnot.core.messages import Message
from run_qarnot.core.redaction import redact
from run_qarnot.engine.output import in_terminal

MOST_BYTES = 16 << 20  # of files that can be shown only as a whole
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

# Byte order marks of text that is not UTF-8; the longer ones first, because UTF-32's begins with UTF-16's.
_ENCODINGS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_FORMAT_3 = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "html": "text/html",
    "latex": "text/latex",
}
_SURROGATE = re.compile("[\ud800-\udfff]")

Block = dict[str, str]  # kind: "code", "words", "output" or "picture"; and its text, or the picture as a data address


class Look(NamedTuple):
    """The preview of a file, and a remark about it: "", "cut", "empty", "large" or "unknown"."""

    blocks: list[Block]
    note: str = ""


def bytes_wanted(name: str, size: int) -> int:
    """Return how many bytes `preview` needs: all of a notebook or picture, which cannot be shown in part."""
    if not _is_whole(name):
        return min(size, _HEAD_BYTES)
    return size if size <= MOST_BYTES else 0


def preview(name: str, size: int, head: bytes) -> Look:
    """Return the preview of a file.

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
    encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), None)
    if encoding is None and b"\0" in head:
        return Look([], "unknown")
    text = head.decode(encoding or "utf-8", "replace").removeprefix("\ufeff")
    if _suffix(name) == _NOTEBOOK:
        try:
            return _shortened(_cells(json.loads(text)))
        except (ValueError, RecursionError):
            pass  # it is shown as text
    if "\n" not in text:  # line ends of old Macs, or states of a progress bar
        text = text.replace("\r", "\n")
    return _shortened([{"kind": "output", "text": text}], cut=cut)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_whole(name: str) -> bool:
    return _suffix(name) in {_NOTEBOOK, *_PICTURES}


def _shortened(blocks: Iterable[Block], *, cut: bool = False) -> Look:
    """Shorten long blocks and redact secrets."""
    some = list(islice(blocks, _MOST_BLOCKS + 1))
    cut = cut or len(some) > _MOST_BLOCKS
    for block in some:
        if block["kind"] != "picture":
            text = redact(_readable(block["text"]))
            cut = cut or len(text) > _MOST_TEXT
            block["text"] = text[:_MOST_TEXT]
    return Look(some[:_MOST_BLOCKS], "cut" if cut else "" if some else "empty")


def _readable(text: str) -> str:
    """Remove colour codes, earlier states of progress bars, and surrogates, which cannot be sent to a browser."""
    return _SURROGATE.sub("\ufffd", "\n".join(map(in_terminal, text.split("\n"))))


def _cells(notebook: Any) -> Iterator[Block]:
    """Yield the blocks of a notebook's cells; formats up to 3 have them in worksheets."""
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if isinstance(notebook, Mapping) and isinstance(sheets := notebook.get("worksheets"), list):
        cells = [cell for sheet in sheets if isinstance(sheet, Mapping) for cell in _listed(sheet.get("cells"))]
    if not isinstance(cells, list):
        raise ValueError("no notebook")  # noqa: TRY004  it is a matter of content
    for cell in cells:
        if isinstance(cell, Mapping):
            is_code = cell.get("cell_type") == "code"
            yield _text("code" if is_code else "words", cell.get("source") or (is_code and cell.get("input")))
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else ():
                yield from _output(output)


def _output(output: Any) -> Iterator[Block]:
    if not isinstance(output, Mapping):
        return
    data = output.get("data")
    if not isinstance(data, Mapping):  # a stream, an error, or an output of format 3, which has no `data`
        data = {kind: output[name] for name, kind in _FORMAT_3.items() if name in output}
        if not data:
            yield _text("output", output.get("text") or _error(output))
            return
        data["text/plain"] = output.get("text")
    for kind in _PICTURES.values():
        if kind in data:
            try:
                yield _picture(kind, base64.b64decode("".join(_joined(data[kind]).split()), validate=True))
            except (binascii.Error, ValueError):
                continue
            return
    yield _text("output", _words_for(data))


def _words_for(data: Mapping[str, Any]) -> str:
    """Return the text of an output that is not a bitmap picture, otherwise a description of it."""
    if "image/svg+xml" in data:
        return str(Message("preview-svg"))
    for kind in ("text/plain", "text/markdown", "text/latex"):
        if text := _joined(data.get(kind)):
            return text
    if html := _joined(data.get("text/html")):
        table = "<table" in html.lower()
        return str(Message("preview-table" if table else "preview-html"))
    return str(Message("preview-other", kinds=", ".join(map(str, data))[:200])) if data else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _error(output: Mapping[str, Any]) -> str:
    """Return the last line of a traceback, such as `ValueError: no such column`."""
    return ": ".join(filter(None, (_joined(output.get("ename")), _joined(output.get("evalue")))))


def _text(kind: str, source: Any) -> Block:
    return {"kind": kind, "text": _joined(source)}


def _joined(source: Any) -> str:
    """Return text that a notebook stores as a string or as a list of lines."""
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _picture(kind: str, data: bytes) -> Block:
    return {"kind": "picture", "text": f"data:{kind};base64,{base64.b64encode(data).decode()}"}
