"""Times, sizes and columns for a terminal. Times are local."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

_DAYS = {-1: "yesterday", 0: "today", 1: "tomorrow"}
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # not from the locale: the commands are in English


def clock(time: datetime, now: datetime) -> str:
    """Format a time such as `today 14:10`, `5 Dec 14:10` or `5 Dec 2025 14:10`.

    Arguments:
        time: with a time zone.
        now: in the time zone of the person; years are left out within six months of it.
    """
    local = time.astimezone(now.tzinfo)
    at = f"{local:%H:%M}"
    if word := _DAYS.get((local.date() - now.date()).days):
        return f"{word} {at}"
    year = "" if abs(local - now) < timedelta(days=183) else f" {local.year}"
    return f"{local.day} {_MONTHS[local.month - 1]}{year} {at}"


def away(time: datetime, now: datetime) -> str:
    """Format a time relative to now: `in 3 h 20 min`, `12 min ago`, `now`."""
    seconds = (time - now).total_seconds()
    length = duration(abs(seconds))
    if abs(seconds) < 1:
        return "now"
    return f"in {length}" if seconds > 0 else f"{length} ago"


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: `3 h 20 min`, `45 s`, `2 days 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    named = f"{days} day{'' if days == 1 else 's'}"
    return f"{named} {hours} h" if hours else named


def size(count: float) -> str:
    """Format a number of bytes in units of 1000, with at most three digits and one decimal place."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def bar(done: float, total: float, seconds: float, width: int = 24) -> str:
    """Draw the progress of a transfer: `[######------]  50 %  5.0 MB of 10.0 MB  1.0 MB/s  5 s left`.

    Arguments:
        done: bytes transferred.
        total: bytes.
        seconds: since the start.
        width: between the brackets, in characters.
    """
    share = min(done / total, 1.0) if total else 1.0
    filled = int(share * width)
    text = f"[{'#' * filled}{'-' * (width - filled)}] {share * 100:3.0f} %  {size(done)} of {size(total)}"
    if seconds < 1 or done <= 0 or share == 1:
        return text
    speed = done / seconds
    return f"{text}  {size(speed)}/s  {duration((total - done) / speed)} left"


def curve(percents: Sequence[float]) -> str:
    """Draw values of 0 to 100 as a line of blocks, the oldest first: `▁▂▅█`."""
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(blocks[min(max(int(percent / 100 * len(blocks)), 0), len(blocks) - 1)] for percent in percents)


def fitting(widths: Sequence[int], total: int) -> list[int]:
    """Return the widths of columns that fit into `total`; the widest are narrowed first, none below eight
    characters."""
    fit = list(widths)
    while sum(fit) > total and max(fit) > 8:
        fit[fit.index(max(fit))] -= 1
    return fit


def cut(text: str, width: int) -> str:
    """Return the text cut to `width` characters; a cut text ends in “…”."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
