"""What a cluster says of its storage ends in a security policy: only a plain origin may."""

from __future__ import annotations

import pytest

from run_qarnot.cloud.origin import origin_of


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://storage.qarnot.com", "https://storage.qarnot.com"),
        ("https://storage.qarnot.com/", "https://storage.qarnot.com"),
        ("http://127.0.0.1:9000/path?query", "http://127.0.0.1:9000"),
        ("https://user:secret@storage.example.org", "https://storage.example.org"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("ftp://storage.example.org", None),
        ("https://a.example; script-src *", None),
        ("https://a.example 'unsafe-eval'", None),
        ("https://*.example", None),
        ("https://*", None),
        ("https://a.example:port", None),
        ("https://", None),
        ("", None),
    ],
)
def test_an_address_becomes_an_origin_or_nothing(address: str, origin: str | None) -> None:
    assert origin_of(address) == origin
