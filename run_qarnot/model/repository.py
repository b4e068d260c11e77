"""A git repository that comes along with a session. Its address may come from a link that anybody wrote."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import protect

MOST_BYTES = 500_000_000  # of what is fetched, and of its files
_LONGEST = 2000
_ADDRESS = re.compile(r"[!-~]+")  # nothing that is not seen, and no space
_DOI_ADDRESS = "https://doi.org/"
_DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.5281/zenodo\.[0-9]{1,12})", re.IGNORECASE)
_REF = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$|[./]$))[A-Za-z0-9][A-Za-z0-9._/+#-]{0,199}")


@dataclass(frozen=True)
class Repository:
    """Where a repository is, and what of it is wanted.

    Arguments:
        url: `https://…`; of this computer also `http://`. One of `https://doi.org/` is a record of Zenodo.
        ref: branch, tag or whole commit; empty for what its owner shows first.
        token: of a private one. It is never written down.
        public_only: it must not come from the network of the machine that fetches it.
    """

    url: str
    ref: str = ""
    token: str = field(default="", repr=False)
    public_only: bool = False

    @property
    def doi(self) -> str:
        """Of a record of Zenodo, such as `10.5281/zenodo.123`; empty for a git repository."""
        return self.url.removeprefix(_DOI_ADDRESS) if self.url.startswith(_DOI_ADDRESS) else ""

    @property
    def folder(self) -> str:
        """Where it comes to, in the session's folder: as git itself would call it; a record by its number."""
        if self.doi:
            return self.doi.rpartition("/")[2].replace(".", "-")
        name = unquote(urlsplit(self.url).path).rstrip("/").rpartition("/")[2].removesuffix(".git")
        return re.sub(r"[^\w.-]", "-", name, flags=re.ASCII).lstrip(".-") or "repository"

    def __str__(self) -> str:
        return f"{self.url}@{self.ref}" if self.ref else self.url


def parse_repository(text: str, ref: str = "", token: str = "") -> Repository | None:
    """Read `URL[@REF]`, or the DOI of a record of Zenodo, as somebody typed it, or as a link has it; None for nothing.

    Arguments:
        text: an at sign in the path of the address begins the ref.
        ref: where it is given apart.
        token: of a private one; hidden from all output from now on.

    Raises:
        InputError: it is no address from which anything is fetched, or no ref.
    """
    protect(token)
    typed = text.strip()
    if not typed:
        return None
    if found := _DOI.fullmatch(typed):
        return Repository(_DOI_ADDRESS + found[1].lower())
    url, ref = _split(typed, ref.strip())
    if not _is_address(url):
        raise InputError("git-address", field="git", address=_shown(typed))
    if ref and not _REF.fullmatch(ref):
        raise InputError("git-ref", field="git", ref=ref[:50])
    return Repository(url, ref, token.strip())


def check_open(path: str) -> str:
    """Return the path of what is to be opened first, in the session's folder or that of its repository.

    Raises:
        InputError: it leads out of there.
    """
    clean = path.strip().strip("/")
    parts = clean.split("/")
    if clean and (len(clean) > _LONGEST or ".." in parts or not clean.isprintable() or "\\" in clean):
        raise InputError("open-path", field="open", path=path[:50])
    return clean


def _split(typed: str, ref: str) -> tuple[str, str]:
    scheme, slashes, rest = typed.partition("://")
    host, slash, path = rest.partition("/")
    path, at, behind = path.partition("@")
    return f"{scheme}{slashes}{host}{slash}{path}", ref or (behind if at else "")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))
    is_plain = parts.username is None and parts.password is None and not parts.query and not parts.fragment
    return bool(
        is_secure and is_plain and host and parts.path.strip("/") and len(url) <= _LONGEST and _ADDRESS.fullmatch(url)
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(typed: str) -> str:
    """The address without what might be a password in it."""
    return re.sub(r"//[^/@]*@", "//…@", typed)[:100]
