"""The user's own SSH keys, as given by `--ssh-key`."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.messages import Message
from run_qarnot.engine.session import Session
from run_qarnot.model.keys import KeyPolicy, check_public_keys


def read_key(file: Path | None) -> str | None:
    """Return the public keys in a file.

    Raises:
        InputError: it cannot be read, or is not a public key.
    """
    return None if file is None else check_public_keys(_read_text(file), KeyPolicy.MANY)


def _read_text(file: Path) -> str:
    try:
        data = file.expanduser().read_bytes()
        return data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8")
    except OSError as error:
        raise InputError("file-unreadable", field="ssh-key", path=file, problem=reason_of(error)) from error
    except UnicodeDecodeError as error:
        raise InputError("file-unreadable", field="ssh-key", path=file, problem=Message("no-text")) from error


def _private_half(file: Path) -> Path | None:
    """Return the file of the private key if `file` is a private key, or a public one with its private key beside it."""
    file = file.expanduser()
    private = file.with_suffix("") if file.suffix == ".pub" else file
    is_there = private.is_file() and not _read_text(private).lstrip().startswith(("ssh-", "ecdsa-", "sk-"))
    return private if is_there else None


def identity(file: Path | None) -> str | None:
    """Return the file for `-i` in the printed command: the private key, else the public one.

    With a public key, OpenSSH asks the agent, which may have its private key. Without `-i` it tries all keys of the
    agent, and the server disconnects after the sixth.
    """
    return None if file is None else str((_private_half(file) or file.expanduser()).resolve())


def use_own_key(session: Session, file: Path | None) -> None:
    """Open the tunnel with the user's key if the machine does not accept the session's own.

    Raises:
        InputError: the file cannot be read.
        SessionError: the key cannot be used.
    """
    if session.knows_session_key:
        return
    private = None if file is None else _private_half(file)
    if file is not None and private is None:
        _read_text(file)  # the agent may have the private key; but the file must be readable
    session.use_own_keys(None if private is None else _read_text(private))
