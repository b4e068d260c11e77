"""Values of the core → plain data for the browser. Text stays text; a link is passed on only if it is one."""

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
    """What is wrong with catalog and plugins: one row for each entry or plugin, by whom, with the reasons, one a line.

    `details`, which are tracebacks, are for admins alone.
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
    """How bad it is: "broken" if the entry cannot be used, "note" if all may be meant so, "partly" between them."""
    if all(problem.warning for problem in problems):
        return "note"
    return "broken" if entry and entry not in catalog.images else "partly"


def option_row(name: str, option: Option, value: object) -> Row:
    """A form field. The default of a secret is not shown, and what is typed into one never comes back here."""
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
        "web": "" if incoming.web is None else incoming.web.shown,
        "sized": incoming.web is None or incoming.web.size is not None,
    }


def resume_rows(views: Iterable[SessionView], titles: Mapping[str, str], sizes: Mapping[str, int]) -> list[Row]:
    """Sessions that one can continue from, with what one remembers them by.

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
    """What a link filled in and what was left out of it; None when there is nothing to say."""
    filled = []
    if image is not None:
        filled.append({"label": words.field("image"), "value": image.name})
        if link.hours:
            filled.append({"label": words.field("hours"), "value": link.hours})
        if link.idle:
            filled.append({"label": words.field("idle"), "value": link.idle})
        if link.machines:
            filled.append({"label": words.field("machines"), "value": str(link.machines)})
        if link.git:  # in full: its code will run with the user's files
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
    """Everything that a session's card shows; times as ISO 8601, and `now`, so that a wrong clock does no harm."""
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
        "costs": view.cost,  # euros, when it was asked
        "costs_per_hour": view.cost_per_hour,
        "per_hour": None if view.cost_per_hour is None else f"{number(view.cost_per_hour, 2)} €",
        "carbon": None if view.carbon is None else f"{number(view.carbon, 0)} g",
        "asked": _iso(view.asked),
        "results": view.results,
    }


def price_row(price: Price, hours: float, machines: int = 1) -> Row:
    """What a start costs on all of its machines, as text; None for what is not known."""
    per_hour, most = price.hourly(machines), price.most(hours, machines)
    return {
        "per_hour": None if per_hour is None else f"{number(per_hour, 2)} €",
        "most": None if most is None else f"{number(most, 2)} €",
        "left": None if price.left is None else f"{number(price.left, 2)} €",
    }


def planned_hours(view: SessionView) -> float | None:
    """How long a session was meant to run, to the tenth of an hour: the cluster keeps only when it ends."""
    started = view.started or view.created
    if view.ends is None or started is None:
        return None
    return round((view.ends - started).total_seconds() / 3600, 1) or None


def shared_hours(hours: float) -> float:
    """Return hours as a link has them: what comes from a time of the day has more places than anybody types."""
    return hours if hours == round(hours, 2) else math.floor(hours * 10) / 10 or hours


def shared_options(entered: Mapping[str, T], image: Image) -> dict[str, T]:
    """Return what a link says of the options of an earlier session: not what is the default anyway, nor what the
    catalog does not allow any more."""

    def is_worth_saying(name: str, value: T) -> bool:
        option = image.options[name]
        try:
            text = option.check(name, value)
        except InputError:
            return False
        return option.default in (None, "", ()) or text != option.check(name, option.default)

    return {name: value for name, value in entered.items() if is_worth_saying(name, value)}


def result_rows(files: Iterable[StoredFile], since: datetime | None = None) -> Row:
    """The first results by name, how many there are in all, and their size.

    Arguments:
        files: all results.
        since: when the latest run began; what was saved later is new.
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
    """The first connection that a click can open, once the app answers. A `page` one gets its address by the click."""
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
