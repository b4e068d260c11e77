"""XML as a Ceph gateway speaks it (`reference/storage-ceph.md`).

Keys may hold characters that XML cannot. The gateway writes them all the same, as references, so that its answer is no
XML; and it refuses a request that has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

Fields = list[tuple[str, Any]]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def document(root: str, fields: Fields) -> bytes:
    body = element(root, fields, ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode("utf-8", "replace")


def element(tag: str, value: Any, attributes: str = "") -> str:
    """One element: a list is its elements, all else a text."""
    if isinstance(value, list):
        return f"<{tag}{attributes}>{_elements(value)}</{tag}>"
    text = str(value).lower() if isinstance(value, bool) else _text(str(value))
    return f"<{tag}>{text}</{tag}>"


def _elements(fields: Iterable[tuple[str, Any]]) -> str:
    return "".join(element(tag, value) for tag, value in fields)


def _text(text: str) -> str:
    return _CONTROL.sub(lambda found: f"&#x{ord(found[0]):02X};", escape(text))


def as_references(body: bytes) -> bytes:
    """Write the control characters of moto's answers as the gateway does."""
    return _CONTROL_BYTES.sub(lambda found: b"&#x%02X;" % found[0][0], body)


def parse(body: bytes) -> ET.Element:
    """Read XML. Raises ParseError, also for a character that XML cannot hold."""
    return ET.fromstring(body)  # noqa: S314  expat limits what entities may become


def text_of(parent: ET.Element, name: str) -> str | None:
    """The text of a child; None when there is no such child."""
    found = next((child for child in parent if child.tag.rpartition("}")[2] == name), None)
    return None if found is None else found.text or ""
