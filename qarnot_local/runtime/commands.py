"""A task's command line: constants expanded, then split as a shell would (§3.2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

_NAME = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `${NAME}` by its value, again inside the values (samples nest them); unknown names stay."""
    for _ in range(8):  # limits recursion
        replaced = _NAME.sub(lambda found: values.get(found[1], found[0]), text)
        if replaced == text:
            break
        text = replaced
    return text


def in_place(text: str, path: str, folder: Path) -> str:
    """Replace a path of the container, such as `/job`, by the folder that stands for it on this machine."""
    return re.sub(rf"(?<![\w/.-]){path}(?=/|$|[^\w.-])", lambda _: str(folder), text)


def arguments(command: str, values: Mapping[str, str], local: Callable[[str], str]) -> list[str]:
    """The program and its arguments in DOCKER_CMD.

    No shell is implied, but a command line that is one quoted word (`'python3 x.py && y'`, for images with a shell as
    entry point) goes to one. Raises ValueError when a quotation is not closed. `local` replaces the paths in a word.
    """
    words = [local(word) for word in shlex.split(expand(command, values))]
    if len(words) == 1 and any(character.isspace() for character in words[0]):
        return ["/bin/sh", "-c", words[0]]
    return words
