"""SSH keys and tokens of a session: the user's public key is checked; ours are derived, never stored.

The session's key is derived from the Qarnot token and the launch id, so that a restarted page can open the tunnel of a
session that an earlier one started (`design.md` §7).

`asyncssh` and `cryptography` are imported where a key is made or checked: the catalog imports this module for
`KeyPolicy`, and the first paint of the page would wait for 2 MB of libraries that it does not need.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message

# The last one is the beginning of OpenSSH's own format ("openssh-key-v1" in base64).
_PRIVATE = re.compile(r"PRIVATE[\s-]*KEY|PuTTY-User-Key-File|Private-(Lines|MAC):|b3BlbnNzaC1rZXktdjE")
# The defaults of a server (`PubkeyAcceptedAlgorithms` of OpenSSH 9): no DSA, no Ed448.
_KINDS = frozenset({
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
})  # fmt: skip
_LEAST_RSA_BITS = 2048  # Red Hat's servers, and NIST SP 800-131A; OpenSSH itself takes 1024
_MOST_RSA_BITS = 16384
_LONGEST_TEXT = 100_000
_BYTE_ORDER_MARK = "\ufeff"
_CHUNK = re.compile(
    r"^-{4,5} ?BEGIN.*?(?:^-{4,5} ?END[^\n]*|\Z)|^[^\n]*", re.DOTALL | re.MULTILINE
)  # a block, or a line
_KEY_INSIDE = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ +AAAA")
_CERTIFICATE = re.compile(r"-cert-v\d\d@|BEGIN [A-Z ]*CERTIFICATE")


class KeyPolicy(StrEnum):
    """How many lines an image takes in `DOCKER_SSH`."""

    ONE = "one"
    MANY = "many"


@dataclass(frozen=True)
class SessionKey:
    """The key pair that this product uses to reach a session; `private` is in OpenSSH's format."""

    public: str
    private: str = field(repr=False)


def derive_session_key(token: str, launch_id: str) -> SessionKey:
    """Derive the Ed25519 key of a launch: the seed is HKDF-SHA256 of the Qarnot token, salted with the launch id."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(_derive(token, launch_id, b""))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return SessionKey(public=f"{public.decode()} run-qarnot", private=private.decode())


def derive_app_token(token: str, session_id: str) -> str:
    """Derive the token for a session's app, such as JupyterLab. The Qarnot token cannot be computed from it."""
    return _derive(token, session_id, b"app token").hex()[:48]


def derive_base_url(token: str, session_id: str) -> str:
    """Derive the base URL `/rq-<12 hex>/` of a session's app, which is the same in every run.

    It is not secret. It is unique, so that a proxy can put its own prefix in front of it (`reference/anywhere.md` §1).
    """
    return f"/rq-{_derive(token, session_id, b'base url').hex()[:12]}/"


def derive_proxy_key(token: str, session_id: str) -> str:
    """Derive the key that signs the cookies of visitors who open a session through the page's server."""
    return _derive(token, session_id, b"proxy key").hex()


def is_private_key(text: str) -> bool:
    """Whether `text` contains a private key in any common format. Such text must not be kept or sent."""
    return _PRIVATE.search("".join(mark for mark in text if mark.isprintable() or mark in "\n\r")) is not None


def check_public_keys(text: str, policy: KeyPolicy) -> str:
    """Return the public keys in `text`, one per line, as lines for OpenSSH's server.

    Raises:
        InputError: one is a private key (which is kept nowhere), is not a key, or is refused by servers; there is
            none; or the image accepts only one.
    """
    lines = _read(text)
    if len(lines) > 1 and policy is KeyPolicy.ONE:
        raise _malformed(Message("key-one-only"))
    return "\n".join(lines)


def authorized_keys(policy: KeyPolicy, session_key: str, user_keys: str | None) -> tuple[str, ...]:
    """Return the lines for `DOCKER_SSH`. An image that accepts one line gets the user's key, if there is one."""
    if user_keys is None:
        return (session_key,)
    theirs = tuple(user_keys.splitlines())
    return theirs[:1] if policy is KeyPolicy.ONE else (*theirs, session_key)


def _derive(token: str, salt: str, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt.encode(), info=purpose).derive(token.encode())


def _read(text: str) -> list[str]:
    """Return the keys in a text, at least one: lines of OpenSSH, and blocks of RFC 4716 or PEM."""
    if is_private_key(text):
        raise InputError("key-private", field="ssh-key")
    if len(text) > _LONGEST_TEXT:
        raise _malformed(Message("key-long"))
    text = text.removeprefix(_BYTE_ORDER_MARK).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    if invisible := [mark for mark in text if mark not in " \n" and _is_invisible(mark)]:
        raise InputError("key-characters", field="ssh-key", character=f"U+{ord(invisible[0]):04X}")
    chunks = [match[0].strip() for match in _CHUNK.finditer(text)]
    keys = [_read_key(chunk) for chunk in chunks if chunk and not chunk.startswith("#")]
    if not keys:
        raise _malformed(Message("key-empty"))
    return keys


def _is_invisible(mark: str) -> bool:
    """Whether a character is a control or format character, an unusual space, or unassigned."""
    return unicodedata.category(mark) in {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}


def _read_key(chunk: str) -> str:
    if chunk.startswith("---"):
        return _clean(chunk)
    kind, _, rest = chunk.partition(" ")
    if kind not in _KINDS and _KEY_INSIDE.search(rest):
        raise InputError("key-options", field="ssh-key")
    if kind.startswith("AAAA"):
        raise _malformed(Message("key-word-missing"))
    if not kind.startswith(("ssh-", "ecdsa-", "sk-")):
        raise _malformed(Message("key-beginning"))
    _check_kind(kind)
    blob, _, comment = rest.strip().partition(" ")
    if not _is_base64(blob):  # asyncssh ignores characters outside base64
        raise InputError("key-damaged", field="ssh-key")
    return f"{_clean(f'{kind} {blob}')} {comment.strip()}".rstrip()


def _is_base64(text: str) -> bool:
    try:
        return base64.b64encode(base64.b64decode(text)).decode() == text
    except ValueError:
        return False


def _clean(text: str) -> str:
    """Return a key in OpenSSH's format; from a block of RFC 4716 with its comment."""
    import asyncssh
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = asyncssh.import_public_key(text.encode())
    except (ValueError, ArithmeticError, UnsupportedAlgorithm) as error:
        if _CERTIFICATE.search(f"{text} {error}"):
            raise InputError("key-certificate", field="ssh-key") from None
        raise InputError("key-damaged", field="ssh-key") from None
    kind, public = key.algorithm.decode(), cast(Any, key.pyca_key)
    _check_kind(kind)
    if kind == "ssh-rsa" and not _LEAST_RSA_BITS <= public.key_size <= _MOST_RSA_BITS:
        raise InputError("key-size", field="ssh-key", bits=public.key_size, least=_LEAST_RSA_BITS)
    kind, blob, *comment = key.export_public_key().decode().strip().split(" ", 2)
    if not kind.startswith("sk-"):  # asyncssh keeps a compressed curve point, which OpenSSH does not read
        _, blob = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode().split(" ")
    return " ".join([kind, blob, *comment])


def _check_kind(kind: str) -> None:
    if _CERTIFICATE.search(kind):
        raise InputError("key-certificate", field="ssh-key")
    if kind not in _KINDS:
        raise InputError("key-kind", field="ssh-key", kind=kind[:40])


def _malformed(problem: Message) -> InputError:
    return InputError("key-format", field="ssh-key", problem=problem)
