"""Checks of the arguments of the control: over HTTP, they may be of any type."""

from __future__ import annotations

import re
from typing import Any

from qarnot_local.control.faults import ControlError

LONGEST_SECONDS = 24 * 3600  # a delay or a refusal takes real time
FARTHEST_SECONDS = 100 * 366 * 24 * 3600  # how far the clock may be ahead: dates end with the year 9999
LARGEST = 10**15
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t -~\xa0-\xff]*")


def number(name: str, value: Any, least: float = 0, most: float = LARGEST) -> None:
    """Refuse what is no number between the two. NaN is between none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ControlError(f"{name} is a number from {least} to {most}, not {value!r:.80}.")


def whole(name: str, value: Any, least: int = 0, most: int = LARGEST) -> None:
    number(name, value, least, most)
    if not isinstance(value, int):
        raise ControlError(f"{name} is a whole number, not {value!r}.")


def text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ControlError(f"{name} is a text, not {value!r:.80}.")


def headers(value: Any) -> None:
    """Refuse headers that HTTP cannot represent."""
    is_map = isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair)
    if not is_map or not all(_HEADER.fullmatch(key) and _HEADER_VALUE.fullmatch(value[key]) for key in value):
        raise ControlError(f"headers is an object of texts that HTTP can send, not {value!r:.80}.")
