"""What a container printed: what is new since the last look, and the app's own link in it. Pure functions."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"^\d+> ?", re.MULTILINE)  # the aggregate stream names the instance on each line (§2.5)


def plain(text: str) -> str:
    """Return the output without the instance prefixes."""
    return _PREFIX.sub("", text)


def new_text(before: str, now: str) -> str:
    """Return what was added. The cluster keeps a ring: old text may be gone, so the overlap is looked for."""
    if now.startswith(before):
        return now[len(before) :]
    tail = before[-200:]
    position = now.rfind(tail)
    return now[position + len(tail) :] if tail and position >= 0 else now


def complete_lines(text: str) -> tuple[list[str], str]:
    """Split into complete lines and the unfinished rest, which a later look will complete."""
    *lines, rest = text.split("\n")
    return [line.rstrip("\r") for line in lines], rest


def find_link(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match: after a restart the app prints a new link, and the newest counts."""
    return next(reversed(list(re.finditer(pattern, text))), None)
