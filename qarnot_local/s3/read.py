"""Reads of large objects, answered in pieces.

moto copies the whole object for each ranged GET: reading a file of 1 GB in parts of 8 MiB would copy 128 GB. So plain
reads of large objects, and of ranges, are answered here from the same store; everything else is moto's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from qarnot_local.s3.operations import WHO

_LARGE = 1 << 20
_CHUNK = 1 << 18  # bytes: a client reads ten parts at once, and each keeps some pieces on their way
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_OVERRIDE = "response-"


def read_object(environ: dict[str, Any], key: Any, start_response: Callable[..., Any]) -> Iterable[bytes] | None:
    """Answer a plain GET of a stored object, or None when moto should."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    asked = [name for name in query if name not in WHO and not name.startswith(("X-Amz-", _OVERRIDE))]
    if environ["REQUEST_METHOD"] != "GET" or asked or "HTTP_IF_NONE_MATCH" in environ:
        return None
    wanted = _RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    if not wanted and (key.size < _LARGE or "HTTP_RANGE" in environ):
        return None
    if environ.get("HTTP_IF_MATCH", key.etag).strip('"') != key.etag.strip('"'):
        return None
    span = _span(wanted, key.size)
    if span is None:
        return None
    first, last = span
    headers = {name: str(value) for name, value in key.metadata.items()}
    headers |= {"ETag": key.etag, "Last-Modified": key.last_modified_RFC1123, "Accept-Ranges": "bytes"}
    headers |= {"Content-Length": str(last - first + 1)}
    headers = {name.title(): value for name, value in headers.items()}
    headers |= {name[len(_OVERRIDE) :].title(): value for name, value in query.items() if name.startswith(_OVERRIDE)}
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{last}/{key.size}"
    start_response("206 Partial Content" if wanted else "200 OK", list(headers.items()))
    return pieces(key, first, last)


def _span(wanted: re.Match[str] | None, size: int) -> tuple[int, int] | None:
    """First and last byte; None when the range cannot be satisfied."""
    if wanted is None:
        return 0, size - 1
    first, last = wanted.groups()
    if not first:
        span = (max(0, size - int(last)), size - 1) if last and int(last) else (1, 0)
    else:
        span = (int(first), min(int(last or size - 1), size - 1))
    return span if span[0] <= span[1] else None


def pieces(key: Any, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of an object from `first` to `last`, without copying it whole."""
    position = first
    while position <= last:
        with key.lock:  # the buffer has one position for all readers
            key._value_buffer.seek(position)
            data = key._value_buffer.read(min(_CHUNK, last - position + 1))
        if not data:
            raise ConnectionAbortedError("The object was replaced while it was read")
        position += len(data)
        yield data
