"""Files of a state folder that only its owner can read."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Record = TypeVar("_Record")
_log = logging.getLogger(__name__)


def write(file: Path, text: str) -> None:
    """Write the file atomically; at no moment can other users read it."""
    temporary = file.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    temporary.replace(file)


def read(file: Path, make: Callable[[str], _Record]) -> _Record | None:
    """Return the result of `make` for the text of a file. A damaged file, for example after a power cut, is renamed to
    `*.broken` with a warning, so that the others can still be loaded."""
    try:
        return make(file.read_text("utf-8"))
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        aside = file.with_name(f"{file.name}.broken")
        file.replace(aside)
        _log.warning("%s could not be read (%s). It was set aside as %s; all else is there.", file, error, aside.name)
        return None


def token(file: Path) -> str:
    """The stored token, or a new one that is stored: clients keep their configuration after a restart."""
    kept = file.read_text("utf-8").strip() if file.exists() else ""
    if not kept:
        kept = secrets.token_urlsafe(32)
        write(file, f"{kept}\n")
    return kept
