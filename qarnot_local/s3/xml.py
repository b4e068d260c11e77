"""XML as S3 speaks it. Names of objects may hold characters that XML cannot: nothing else must break at them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

Fields = list[tuple[str, Any]]
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_XML_BYTES = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_SPARE = 0x10FE00  # of a plane that nobody has characters in: stands for a character that XML cannot hold


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
    return _CONTROL.sub(lambda found: f"&#{ord(found[0])};", escape(text))


def legible(text: str) -> str:
    """A text that XML can hold; clients stop at others, and ask again and again."""
    return _NO_XML.sub("\ufffd", text)


def legible_bytes(body: bytes) -> bytes:
    """The same for an answer that was written already."""
    return _NO_XML_BYTES.sub("\ufffd".encode(), body)


def parse(body: bytes) -> ET.Element:
    """Read XML, also with characters that it cannot hold: `text` gives them back. Raises ParseError or ValueError."""
    text = body.decode()
    if any(_SPARE <= ord(character) <= _SPARE + 0xFF for character in text):
        return ET.fromstring(text)  # noqa: S314  expat limits what entities may become

    def spare(number: int, otherwise: str) -> str:
        return chr(_SPARE + number) if number < 0x80 and _NO_XML.match(chr(number)) else otherwise

    text = _NO_XML.sub(lambda found: spare(ord(found[0]), found[0]), text)
    text = _REFERENCE.sub(lambda found: spare(int(found[1] or found[2], 16 if found[1] else 10), found[0]), text)
    return ET.fromstring(text)  # noqa: S314


def text_of(parent: ET.Element, name: str) -> str | None:
    """The text of a child; None when there is no such child."""
    found = next((child for child in parent if child.tag.rpartition("}")[2] == name), None)
    if found is None:
        return None
    return "".join(chr(ord(each) - _SPARE) if 0 <= ord(each) - _SPARE < 0x80 else each for each in found.text or "")
