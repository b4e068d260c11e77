"""An input file that is given by a URL. The URL may come from anybody."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from run_qarnot.core.errors import InputError
from run_qarnot.core.names import check_key

_LONGEST = 4000
_PLAIN = re.compile(r"[!-~]+")  # no invisible characters and no spaces
_CHECKSUM = re.compile(r"sha256[=:]([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True)
class WebFile:
    """The URL of a file, and its name as an input.

    Arguments:
        url: `http://…` or `https://…`, without a fragment. Its query may contain a secret and is never shown.
        key: its path in the bucket.
        sha256: the expected checksum in hexadecimal; empty for any.
        size: in bytes, once known from the server; None otherwise.
        public_only: refuse addresses in the private network of the machine that fetches it.
    """

    url: str = field(repr=False)
    key: str
    sha256: str = ""
    size: int | None = None
    public_only: bool = False

    @property
    def host(self) -> str:
        """The host, such as `example.org`."""
        return urlsplit(self.url).netloc

    @property
    def shown(self) -> str:
        """The URL for display, without its query."""
        return shown_address(self.url)


def is_address(text: str) -> bool:
    """Whether a text is a URL and not a path on this computer."""
    return re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def parse_web_file(text: str, *, public_only: bool = False) -> WebFile:
    """Parse a URL as typed or pasted, such as `https://example.org/data.csv#sha256=…`.

    Arguments:
        text: the fragment may contain the expected SHA-256.
        public_only: as in `WebFile`.

    Raises:
        InputError: it is not the URL of a file on the web, or contains no file name.
    """
    address, _, fragment = text.strip().partition("#")
    checksum = _CHECKSUM.fullmatch(fragment)
    if not is_web_address(address):
        raise InputError("web-address", field="address", address=_without_password(shown_address(address)))
    if fragment and checksum is None:
        raise InputError("web-fragment", field="address", fragment=fragment[:80])
    name = unquote(urlsplit(address).path, errors="replace").rpartition("/")[2].strip()
    if not name:
        raise InputError("web-name", field="address", address=shown_address(address))
    return WebFile(address, check_key(name), checksum[1].lower() if checksum else "", public_only=public_only)


def is_web_address(address: str) -> bool:
    """Whether a URL is acceptable: http or https, with a host, and without user name and password."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = parts.username is None and parts.password is None and _PLAIN.fullmatch(address) is not None
    return parts.scheme in {"http", "https"} and bool(host) and port != 0 and is_plain and len(address) <= _LONGEST


def shown_address(address: str) -> str:
    """Return a URL for display, without its query and shortened if very long."""
    try:
        plain = urlunsplit(urlsplit(address)._replace(query="", fragment=""))
    except ValueError:
        plain = address.partition("?")[0]
    return plain if len(plain) <= 200 else f"{plain[:200]}…"


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", address)
