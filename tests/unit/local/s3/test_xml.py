"""XML with keys that it cannot hold, as a Ceph gateway writes it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from qarnot_local.s3.xml import as_references, document, element, parse, text_of


def test_elements_nest_and_texts_are_escaped() -> None:
    fields = [("A", "x<&>"), ("B", True), ("C", 5), ("D", [("E", "a\x01\n")])]
    assert element("R", fields) == "<R><A>x&lt;&amp;&gt;</A><B>true</B><C>5</C><D><E>a&#x01;&#x0A;</E></D></R>"
    whole = document("R", [("A", "ä")])
    assert whole.startswith(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    )
    assert text_of(parse(whole), "A") == "ä"
    assert document("R", [("A", "\ud800")]).count(b"?") == 3, "a lone surrogate has no bytes"


def test_a_child_is_found_in_any_namespace() -> None:
    parent = parse(b'<R xmlns="urn:x"><A>1</A><B/></R>')
    assert (text_of(parent, "A"), text_of(parent, "B"), text_of(parent, "C")) == ("1", "", None)


def test_a_request_with_a_character_that_xml_cannot_hold_is_refused() -> None:
    assert as_references(b"<a>\x01\t</a>") == b"<a>&#x01;\t</a>"
    for body in (b"<a>\x01</a>", b"<a>&#x01;</a>", b"<a>"):
        with pytest.raises(ET.ParseError):
            parse(body)
