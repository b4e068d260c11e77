"""Brings the image “JupyterLab, overnight”, whose time limit is the next morning.

It is a plugin, and no entry of `images.toml`, because the limit depends on the time of day. To learn how to write one,
read `README.md` beside this file.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from run_qarnot import Image, Settings, hookimpl

MORNING = 8  # o'clock, where the dashboard runs
SHORTEST_NIGHT = timedelta(hours=6)  # asked for at 7, “the morning” is that of the next day


def hours_until_morning(now: datetime) -> float:
    """Return the time from `now` to the morning, in whole quarters of an hour."""
    earliest = now + SHORTEST_NIGHT
    morning = earliest.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if morning < earliest:
        morning += timedelta(days=1)
    return round((morning - now) / timedelta(minutes=15)) / 4


@hookimpl
def rq_images(settings: Settings) -> list[Image]:
    """The same image as `base`, with a limit that is worked out when the catalog is read."""
    return [
        Image(
            id="overnight",
            title="JupyterLab, overnight",
            summary=f"Stops by itself at about {MORNING} in the morning",
            icon="mdi-weather-night",
            category="JupyterLab",
            repo="qarnotlab/jupyterlab-base",
            tag="v1",
            hours=hours_until_morning(datetime.now().astimezone()),
            max_hours=30,
            snapshot_minutes=15,
        )
    ]
