"""Formats numbers of bytes."""

from __future__ import annotations

from decimal import Decimal

from run_qarnot.core.messages import Message


def size(count: float) -> Message:
    """Return a number of bytes for people, in units of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            places = 0 if unit == "bytes" or count >= 100 else 1
            return Message(f"size.{unit}", number=Decimal(f"{count:.{places}f}"))
        count /= 1000
    return Message("size.TB", number=Decimal(f"{count:.1f}"))
