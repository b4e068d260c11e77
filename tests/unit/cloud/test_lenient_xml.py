"""Answers that name keys which XML cannot hold are read all the same."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.lenient_xml import repaired


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"<a>x</a>", "<a>x</a>"),
        (b"<a>x\x01y</a>", "<a>x\ufffdy</a>"),
        (b"<a>&#x01;&#1;&#x1F;</a>", "<a>\ufffd\ufffd\ufffd</a>"),
        (b"<a>&#x41;&#65;&#10;</a>", "<a>&#x41;&#65;&#10;</a>"),
        (b"<a>&#xD800;&#x110000;&#9999999;</a>", "<a>\ufffd\ufffd\ufffd</a>"),
        ("<a>\ufffe\uffff</a>".encode(), "<a>\ufffd\ufffd</a>"),
    ],
)
def test_what_xml_cannot_hold_is_replaced_and_nothing_else(body: bytes, whole: str) -> None:
    assert repaired(body).decode() == whole


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&")), st.integers(0, 9_999_999))
def test_every_key_can_be_parsed(key: str, number: int) -> None:
    text = ET.fromstring(repaired(f"<a>{key}&#{number};&#x{number:x};</a>".encode())).text
    assert text is not None
