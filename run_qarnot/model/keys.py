"""SSH keys and tokens of a session: the user's public key is checked; ours are derived, never stored.

Whoever has the Qarnot token and the launch id can make the session's key again, so a page that starts afresh can open
the tunnel of a session that an earlier one started (`design.md` §7).

`cryptography` is imported where a key is made or checked: the catalog imports this module for its `KeyPolicy`, and the
page's first paint would wait for 2 MB of library that it has no use for.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from enum import StrEnum

from run_qarnot.core.errors import InputError

_PRIVATE_MARKS = ("PRIVATE KEY", "PuTTY-User-Key-File")


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


def derive_app_token(token: str, launch_id: str) -> str:
    """Derive the token that a session's app (JupyterLab, say) asks for; nothing of the Qarnot token shows in it."""
    return _derive(token, launch_id, b"app token").hex()[:48]


def check_public_key(text: str) -> str:
    """Return the public key in `text` as one clean line.

    Raises:
        InputError: for a private key (which is kept nowhere), or what is no OpenSSH public key.
    """
    if any(mark in text for mark in _PRIVATE_MARKS):
        raise InputError("key-private", field="ssh-key")
    line = text.strip()
    if not line:
        raise InputError("key-format", field="ssh-key", problem="it is empty")
    if "\n" in line or "\r" in line:
        raise InputError("key-format", field="ssh-key", problem="it has several lines")
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise InputError("key-format", field="ssh-key", problem="it does not begin with ssh-")
    if not (_is_loadable(parts[0], parts[1]) or _names_its_own_type(parts[0], parts[1])):
        raise InputError("key-format", field="ssh-key", problem="the middle part is damaged")
    return " ".join(parts)


def check_public_keys(text: str, policy: KeyPolicy) -> str:
    """Return the public keys in `text`, one on a line, as clean lines.

    Raises:
        InputError: one of them is none (`check_public_key`), or the image takes one only.
    """
    if any(mark in text for mark in _PRIVATE_MARKS):
        raise InputError("key-private", field="ssh-key")
    given = [line for line in text.splitlines() if line.strip()]
    lines = [check_public_key(line) for line in given or [""]]
    if len(lines) > 1 and policy is KeyPolicy.ONE:
        raise InputError("key-format", field="ssh-key", problem="this environment takes one key only")
    return "\n".join(lines)


def authorized_keys(policy: KeyPolicy, session_key: str, user_keys: str | None) -> tuple[str, ...]:
    """Return the lines for `DOCKER_SSH`. An image that takes one line gets the user's, if there is one."""
    if user_keys is None:
        return (session_key,)
    theirs = tuple(user_keys.splitlines())
    return theirs[:1] if policy is KeyPolicy.ONE else (*theirs, session_key)


def _derive(token: str, salt: str, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt.encode(), info=purpose).derive(token.encode())


def _is_loadable(kind: str, blob: str) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        serialization.load_ssh_public_key(f"{kind} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _names_its_own_type(kind: str, blob: str) -> bool:
    """Accept types that `cryptography` cannot load (`sk-…`), if the blob says the same type inside."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except ValueError:
        return False
    return kind.startswith("sk-") and raw[4 : 4 + int.from_bytes(raw[:4], "big")] == kind.encode()
