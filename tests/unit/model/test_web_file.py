"""Addresses of files on the web, as people type them and as strangers may."""

from __future__ import annotations

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.model.web_file import WebFile, is_address, parse_web_file

SUM = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("typed", "url", "key", "sha256"),
    [
        ("https://example.org/data.csv", "https://example.org/data.csv", "data.csv", ""),
        (" https://example.org/a/b%20c.csv?x=1 ", "https://example.org/a/b%20c.csv?x=1", "b c.csv", ""),
        (f"http://example.org:8080/d.zip#sha256={SUM.upper()}", "http://example.org:8080/d.zip", "d.zip", SUM),
        (f"https://example.org/d.zip#sha256:{SUM}", "https://example.org/d.zip", "d.zip", SUM),
    ],
)
def test_addresses_are_read(typed: str, url: str, key: str, sha256: str) -> None:
    assert parse_web_file(typed) == WebFile(url, key, sha256)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("ftp://example.org/data.csv", "web-address"),
        ("file:///etc/passwd", "web-address"),
        ("https:///data.csv", "web-address"),
        ("https://anna:secret@example.org/data.csv", "web-address"),
        ("https://example.org/da ta.csv", "web-address"),
        ("https://example.org/" + 4000 * "a", "web-address"),
        ("https://[::1/data.csv", "web-address"),
        ("https://example.org/data.csv#part", "web-fragment"),
        ("https://example.org/data.csv#sha256=12", "web-fragment"),
        ("https://example.org", "web-name"),
        ("https://example.org/folder/", "web-name"),
        ("https://example.org/..%5Cx", "file-name"),
        ("https://example.org/%00", "file-name"),
        ("https://example.org/..", "file-name"),
    ],
)
def test_what_is_no_file_of_the_web_is_refused(typed: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_web_file(typed)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


def test_a_slash_in_a_name_does_not_make_a_folder() -> None:
    assert parse_web_file("https://example.org/a%2Fb.csv").key == "b.csv"


def test_a_query_may_hold_a_key_and_is_not_shown() -> None:
    file = parse_web_file("https://example.org/data.csv?X-Amz-Signature=0123456789")
    assert "0123456789" not in repr(file)
    assert file.shown == "https://example.org/data.csv"
    assert file.host == "example.org"


@pytest.mark.parametrize(
    ("text", "is_one"), [("https://x/y", True), ("ftp://x/y", True), ("C:\\data", False), ("a/b", False)]
)
def test_addresses_and_paths_are_told_apart(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one
