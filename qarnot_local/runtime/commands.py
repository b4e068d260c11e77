"""A task's command line: constants expanded, then split as a shell would (§3.2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
_JOB = re.compile(r"(?<![\w/.-])/job(?=/|$|[^\w.-])")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `${NAME}` by its value, again inside the values (samples nest them); unknown names stay."""
    for _ in range(8):  # limits recursion
        replaced = _NAME.sub(lambda found: values.get(found[1], found[0]), text)
        if replaced == text:
            break
        text = replaced
    return text


def in_place(text: str, job: Path) -> str:
    """Replace the path `/job` by the folder that stands for it on this machine."""
    return _JOB.sub(lambda _: str(job), text)


def arguments(command: str, values: Mapping[str, str], job: Path) -> list[str]:
    """The program and its arguments in DOCKER_CMD.

    No shell is implied, but a command line that is one quoted word (`'python3 x.py && y'`, for images with a shell as
    entry point) goes to one. Raises ValueError when a quotation is not closed.
    """
    words = [in_place(word, job) for word in shlex.split(expand(command, values))]
    if len(words) == 1 and any(character.isspace() for character in words[0]):
        return ["/bin/sh", "-c", words[0]]
    return words
