"""Files of a state folder that are for its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write(file: Path, text: str) -> None:
    """Write it whole or not at all; nobody else can read it at any moment."""
    temporary = file.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    temporary.replace(file)


def token(file: Path) -> str:
    """The one that was kept there, else a new one: the configuration of a client outlives the cluster."""
    kept = file.read_text("utf-8").strip() if file.exists() else ""
    if not kept:
        kept = secrets.token_urlsafe(32)
        write(file, f"{kept}\n")
    return kept
