"""Converts values to plain data for the browser. Text stays text; only links to web addresses are passed on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image, Option
from run_qarnot.catalog.problem import Problem
from run_qarnot.core import visible
from run_qarnot.core.errors import InputError
from run_qarnot.core.language import number
from run_qarnot.core.redaction import redact
from run_qarnot.core.state import State
from run_qarnot.model.connections import Connection, ConnectionKind
from run_qarnot.model.files import StoredFile
from run_qarnot.model.links import Filling
from run_qarnot.model.price import Price
from run_qarnot.model.view import SessionView
from run_qarnot.page import words
from run_qarnot.page.launchers import System, command_for
from run_qarnot.page.uploads import Incoming

_LINK_SCHEMES = frozenset({"http", "https", "vscode"})
_OPENED_BY_CLICK = (ConnectionKind.HTTPS, ConnectionKind.PAGE, ConnectionKind.TUNNEL, ConnectionKind.VSCODE)
_OPEN_STATES = frozenset({State.READY, State.UNKNOWN})
_STEPS = (State.PREPARING, State.WAITING, State.LOADING, State.STARTING, State.READY)
MOST_RESULTS = 500
MOST_IGNORED = 10
_MOST_REASONS = 20

Row = dict[str, Any]
T = TypeVar("T")


def safe_url(url: str | None) -> str | None:
    """Return `url` if it may stand behind a link: never `javascript:`, `data:` or a relative one."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in _LINK_SCHEMES and parts.netloc else None


def image_row(image: Image) -> Row:
    return {
        "id": image.id,
        "title": image.name,
        "summary": image.summary,
        "description": image.description,
        "icon": image.icon,
        "docs": safe_url(image.docs_url),
    }


def problem_rows(catalog: Catalog, *, for_admin: bool = False) -> list[Row]:
    """Return the problems of catalog and plugins: a row per entry or plugin, with its source and reasons, one per line.

    `details`, which are tracebacks, are for admins only.
    """
    grouped: dict[tuple[str, str], list[Problem]] = {}
    for problem in catalog.problems_so_far:
        grouped.setdefault((problem.source, problem.entry), []).append(problem)
    return [
        {
            "title": entry or source,
            "by": source,
            "level": _level(entry, problems, catalog),
            "reason": redact("\n".join(map(str, problems[:_MOST_REASONS]))),
            "details": [redact(problem.details) for problem in problems if problem.details] if for_admin else [],
        }
        for (source, entry), problems in grouped.items()
    ]


def _level(entry: str, problems: Iterable[Problem], catalog: Catalog) -> str:
    """Return the severity: "broken" if the entry cannot be used, "note" for warnings alone, otherwise "partly"."""
    if all(problem.warning for problem in problems):
        return "note"
    return "broken" if entry and entry not in catalog.images else "partly"


def option_row(name: str, option: Option, value: object) -> Row:
    """Return a form field. Neither the default nor the entered value of a secret is sent to the browser."""
    secret = option.type == "secret"
    shown = option.default if value is None else value
    return {
        "name": name,
        "label": option.label or name,
        "help": option.help,
        "type": option.type,
        "choices": list(option.choices),
        "min": option.min,
        "max": option.max,
        "required": option.is_required,
        "hint": str(option.hint) if option.is_required else "",
        "value": "" if secret or shown is None else list(shown) if isinstance(shown, tuple) else shown,
    }


def file_row(incoming: Incoming) -> Row:
    return {
        "id": incoming.id,
        "name": incoming.key,
        "size": incoming.size,
        "received": incoming.received,
        "arrival": incoming.arrival.value,
        "trouble": incoming.trouble.value,
        "web": "" if incoming.web is None else incoming.web.host,
        "sized": incoming.web is None or incoming.web.size is not None,
    }


def resume_rows(views: Iterable[SessionView], titles: Mapping[str, str], sizes: Mapping[str, int]) -> list[Row]:
    """Return the sessions to continue from.

    Arguments:
        titles: of the images.
        sizes: bytes by bucket, as far as they are known.
    """
    return [
        {
            "value": view.id or view.name,
            "name": view.name,
            "image": titles.get(view.image, view.image),
            "created": _iso(view.created),
            "running": not view.is_over,
            "size": sizes.get(view.results),
        }
        for view in views
        if view.results
    ]


def link_row(link: Filling, image: Image | None) -> Row | None:
    """Return what a link filled in and what was left out of it; None if neither."""
    filled = []
    if image is not None:
        filled.append({"label": words.field("image"), "value": image.name})
        if link.hours:
            filled.append({"label": words.field("hours"), "value": link.hours})
        if link.idle:
            filled.append({"label": words.field("idle"), "value": link.idle})
        if link.machines:
            filled.append({"label": words.field("machines"), "value": str(link.machines)})
        if link.git:  # the whole address, because its code will run with the user's files
            filled.append({"label": words.field("git"), "value": link.git})
        if link.opened:
            filled.append({"label": words.field("open"), "value": link.opened})
        filled += [
            {"label": image.options[name].label or name, "value": _as_text(value)}
            for name, value in link.options.items()
        ]
    ignored = [str(error.advice) for error in link.ignored[:MOST_IGNORED]]
    if not (filled or ignored or link.had_token):
        return None
    return {
        "filled": filled,
        "ignored": [*ignored, *["…"] * (len(link.ignored) > MOST_IGNORED)],
        "token": link.had_token,
        "erase": list(link.secrets),
    }


def session_row(view: SessionView, image_title: str, now: datetime, *, batch: bool = False) -> Row:
    """Return the values of a session's card. Times are ISO 8601; `now` corrects a wrong clock of the browser."""
    word = partial(words.state_word, batch=batch)
    connections = [] if view.is_over else view.connections
    return {
        "name": view.name,
        "reference": view.reference,
        "image": image_title,
        "image_id": view.image,
        "app": str(view.app_title),
        "state": view.state.value,
        "state_word": word(view.state.value),
        "phase": str(view.phase),
        "steps": [{"state": step.value, "word": word(step.value)} for step in _STEPS],
        "attempt": view.attempt,
        "over": view.is_over,
        "reason": view.reason if view.is_over else None,
        "idle_minutes": view.idle_minutes,
        "now": _iso(now),
        "created": _iso(view.created),
        "ended": _iso(view.ended),
        "ends": _iso(view.ends),
        "idle_since": None if view.idle_stop is None else _iso(view.idle_since),
        "idle_stop": _iso(view.idle_stop),
        "saved": _iso(view.saved),
        "saved_asked": _iso(view.saved_asked),
        "error": None if view.error is None else str(view.error),
        "open": _best_door(view),
        "links": _links(view),
        "machine_count": view.machine_count,
        "vscode": _url_of(connections, ConnectionKind.VSCODE),
        "ssh": _ssh_row(connections),
        "notes": {connection.kind.value: str(connection.note) for connection in connections},
        "cost": None if view.cost is None else f"{number(view.cost, 2)} €",
        "costs": view.cost,  # euros, at the time of the request
        "costs_per_hour": view.cost_per_hour,
        "per_hour": None if view.cost_per_hour is None else f"{number(view.cost_per_hour, 2)} €",
        "carbon": None if view.carbon is None else f"{number(view.carbon, 0)} g",
        "asked": _iso(view.asked),
        "results": view.results,
    }


def price_row(price: Price, hours: float, machines: int = 1) -> Row:
    """Return the price of a start on all of its machines, as texts; None for unknown values."""
    per_hour, most = price.hourly(machines), price.most(hours, machines)
    return {
        "per_hour": None if per_hour is None else f"{number(per_hour, 2)} €",
        "most": None if most is None else f"{number(most, 2)} €",
        "left": None if price.left is None else f"{number(price.left, 2)} €",
    }


def planned_hours(view: SessionView) -> float | None:
    """Return the planned hours of a session, rounded to a tenth: the cluster keeps only the planned end."""
    started = view.started or view.created
    if view.ends is None or started is None:
        return None
    return round((view.ends - started).total_seconds() / 3600, 1) or None


def shared_hours(hours: float) -> float:
    """Return hours for a link, rounded: those that come from a time of day have many decimals."""
    return hours if hours == round(hours, 2) else math.floor(hours * 10) / 10 or hours


def shared_options(entered: Mapping[str, T], image: Image) -> dict[str, T]:
    """Return the options of an earlier session for a link, without defaults and without values that the catalog no
    longer allows."""

    def is_worth_saying(name: str, value: T) -> bool:
        option = image.options[name]
        try:
            text = option.check(name, value)
        except InputError:
            return False
        return option.default in (None, "", ()) or text != option.check(name, option.default)

    return {name: value for name, value in entered.items() if is_worth_saying(name, value)}


def result_rows(files: Iterable[StoredFile], since: datetime | None = None) -> Row:
    """Return the first results by name, their total number and size.

    Arguments:
        files: all results.
        since: when the latest run began; files that were saved later are new.
    """
    ordered = sorted(files, key=lambda file: file.key)
    return {
        "files": [
            {
                "key": file.key,
                "shown": visible.one_line(file.key),
                "size": file.size,
                "modified": _iso(file.modified),
                "new": since is not None and file.modified >= since,
            }
            for file in ordered[:MOST_RESULTS]
        ],
        "count": len(ordered),
        "size": sum(file.size for file in ordered),
    }


def _best_door(view: SessionView) -> Row | None:
    """Return the first connection that a click can open. A `page` connection gets its address at the click."""
    if view.state not in _OPEN_STATES:
        return None
    for kind in _OPENED_BY_CLICK:
        url = _url_of(view.connections, kind)
        if url is not None or (
            kind is ConnectionKind.PAGE and any(connection.kind is kind for connection in view.connections)
        ):
            return {"url": url, "kind": kind.value}
    return None


def _links(view: SessionView) -> list[Row]:
    """The further pages of the app, such as a dashboard, by the way that `_best_door` takes."""
    door = _best_door(view)
    found = [each for each in view.connections if door is not None and each.kind.value == door["kind"]]
    return [{"title": link.title, "url": safe_url(link.url)} for each in found[:1] for link in each.links]


def _url_of(connections: Iterable[Connection], kind: ConnectionKind) -> str | None:
    return next(
        (
            url
            for connection in connections
            if connection.kind is kind and (url := safe_url(connection.url)) is not None
        ),
        None,
    )


def _ssh_row(connections: Iterable[Connection]) -> Row | None:
    connection = next(
        (connection for connection in connections if connection.kind is ConnectionKind.SSH and connection.command), None
    )
    if connection is None or connection.command is None:
        return None
    commands = {system.value: command_for(system, connection.command) for system in System}
    return {
        "command": connection.command,
        "commands": commands,
        "url": safe_url(connection.url),
        "note": str(connection.note),
    }


def _as_text(value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "✓" if value else "–"
    return ", ".join(value) if isinstance(value, list) else value


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")
