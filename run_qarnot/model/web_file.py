"""A file at an address of the web, that goes into a session's bucket. The address may be anybody's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from run_qarnot.core.errors import InputError
from run_qarnot.core.names import check_key

_LONGEST = 4000
_PLAIN = re.compile(r"[!-~]+")  # nothing that is not seen, and no space
_CHECKSUM = re.compile(r"sha256[=:]([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True)
class WebFile:
    """Where a file is, and what it will be called.

    Arguments:
        url: `http://…` or `https://…`, without a fragment. Its query may hold a key: it is shown to nobody.
        key: its path in the bucket.
        sha256: what its content must have, in hexadecimal; empty for any.
        size: in bytes, once the server has said it; None if it does not.
        public_only: it must not come from the network of the machine that fetches it.
    """

    url: str = field(repr=False)
    key: str
    sha256: str = ""
    size: int | None = None
    public_only: bool = False

    @property
    def host(self) -> str:
        """From where it comes, such as `example.org`."""
        return urlsplit(self.url).netloc

    @property
    def shown(self) -> str:
        """The address for people, without its query."""
        return shown_address(self.url)


def is_address(text: str) -> bool:
    """Whether somebody means an address, and no file of this computer."""
    return re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def parse_web_file(text: str, *, public_only: bool = False) -> WebFile:
    """Read an address as it was typed or pasted, such as `https://example.org/data.csv#sha256=…`.

    Arguments:
        text: behind `#`, a SHA-256 may stand that the file must have.
        public_only: as of `WebFile`.

    Raises:
        InputError: it is no address of a file on the web, or names no file.
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
    """Whether a file may be fetched there: by http or https, with a host, and without a user's name or password."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = parts.username is None and parts.password is None and _PLAIN.fullmatch(address) is not None
    return parts.scheme in {"http", "https"} and bool(host) and port != 0 and is_plain and len(address) <= _LONGEST


def shown_address(address: str) -> str:
    """Return an address for people, without its query, and cut where it is very long."""
    try:
        plain = urlunsplit(urlsplit(address)._replace(query="", fragment=""))
    except ValueError:
        plain = address.partition("?")[0]
    return plain if len(plain) <= 200 else f"{plain[:200]}…"


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", address)
