"""Commands about sessions, from `launch` to `delete`. Each gets an open account and the parsed arguments."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from run_qarnot.commands import show
from run_qarnot.commands.following import (
    following,
    nothing_to_open,
    saying_what_runs,
    stay_open,
    until_ready,
    until_sent,
)
from run_qarnot.commands.ssh_keys import identity, read_key, use_own_key
from run_qarnot.core import readable, times, visible
from run_qarnot.core.errors import InputError, RunQarnotError, SessionError
from run_qarnot.core.messages import Message, Sentence
from run_qarnot.core.names import make_name
from run_qarnot.engine.account import Account
from run_qarnot.engine.session import Session
from run_qarnot.engine.web_input import look
from run_qarnot.model.connections import ConnectionKind, closed_tunnel
from run_qarnot.model.files import Upload, collect_inputs
from run_qarnot.model.machine_use import UseHistory
from run_qarnot.model.repository import MOST_BYTES, parse_repository
from run_qarnot.model.spec import SessionSpec, parse_settings, parse_size
from run_qarnot.model.view import SessionView
from run_qarnot.model.web_file import WebFile, parse_web_file

_POLL_SECONDS = 5.0
_MOST_NAMES = 10  # in one sentence
_MOST_LOOKED_AT = 100  # of the sessions of a list that are over


async def launch(account: Account, arguments: Namespace) -> int:
    """Start a session; show phases; print the connections when it is ready."""
    uploads, web = _collect(arguments.input), await _look(arguments.input)
    image = account.catalog.get(arguments.image)
    spec = SessionSpec(
        image=image,
        name=make_name() if arguments.name is None else arguments.name,
        hours=image.hours if arguments.hours is None else arguments.hours,
        user_key=read_key(arguments.ssh_key),
        resume=arguments.resume,
        options=parse_settings(arguments.set),
        buckets=tuple(arguments.bucket),
        scheduling=arguments.scheduling,
        hardware=parse_size(arguments.cores, arguments.memory),
        machine=arguments.machine,
        idle=arguments.idle,
        machines=arguments.machines,
        repository=parse_repository(arguments.git, token=account.settings.git_token or ""),
    )
    if arguments.open and image.effective_app.ends_by_itself:
        raise nothing_to_open(spec.name, Message("leave-open-away"))
    if arguments.resume:
        await _say_what_is_copied(account, arguments.resume)
    if spec.repository is not None:
        show.err(f"Fetching {spec.repository}, at most {MOST_BYTES / 1e6:.0f} MB")
    session = await account.start(spec, uploads, web)
    session.use_identity(identity(arguments.ssh_key))
    show.err(f"{session.view.name}: {image.name}, stops by itself after {show.hours(session.view)}")
    async with following(session):
        if arguments.open:
            use_own_key(session, arguments.ssh_key)
        if arguments.detach:
            await session.submitted()
        else:
            await until_ready(session, as_json=arguments.json)
        _print_session(session.view if arguments.open else _without_tunnel(session.view), arguments)
        if arguments.open:
            await stay_open(session, browser=True, as_json=arguments.json)
    return 0


async def start(account: Account, arguments: Namespace) -> int:
    """Start an ended session again; show phases; print the connections when it is ready."""
    uploads, web = _collect(arguments.input), await _look(arguments.input)
    session = await account.find(arguments.session)
    changes = _changes(arguments)
    if arguments.update:
        changes["update"] = True
    if arguments.image is not None:
        changes["image"] = account.catalog.get(arguments.image)
    if arguments.set:
        changes["options"] = parse_settings(arguments.set)
    if (uploads or web) and session.view.is_over:  # else nothing is started
        await session.add(uploads, web=web)
    await account.start_again(session, **changes)
    return await _see_next_run(session, arguments)


async def extend(account: Account, arguments: Namespace) -> int:
    """Save, stop, and immediately start the next run."""
    session = await account.find(arguments.session)
    session.subscribe(show.Phases(actions_only=True))
    with saying_what_runs(session):
        await account.extend(session, **_changes(arguments))
    return await _see_next_run(session, arguments)


def _changes(arguments: Namespace) -> dict[str, Any]:
    """Return the options for the next run that replace those of the previous one."""
    given = {name: getattr(arguments, name) for name in ("hours", "idle", "machines")}
    return {name: value for name, value in given.items() if value is not None}


async def _see_next_run(session: Session, arguments: Namespace) -> int:
    view = session.view
    show.err(f"{view.name} goes on with its files: run {view.run}, {view.image}, for {show.hours(view)}.")
    async with following(session):
        if arguments.detach:
            await session.submitted()
        else:
            await until_ready(session, as_json=arguments.json)
    _print_session(_without_tunnel(session.view), arguments)
    return 0


async def _say_what_is_copied(account: Account, source: str) -> None:
    copies = await account.copies(source)
    room = "" if copies.free is None else f"; {readable.size(max(copies.free, 0))} are free"
    what = f"{show.count(len(copies.files), 'file')}, {readable.size(copies.size)}"
    show.err(f"Begins with a copy of {copies.name}: {what}{room}.")
    if not (await account.find(source)).view.is_over:
        show.err(f"{copies.name} is running: only what it has saved so far is copied.")


async def sessions(account: Account, arguments: Namespace) -> int:
    """List the sessions of this account."""
    found = await account.sessions()
    await asyncio.gather(*map(_look_shortly, [each for each in found if not each.view.is_over] + _ended(found)))
    views = [session.view for session in found]
    if arguments.json:
        show.out_json([view.as_json() for view in views])
        return 0
    if not views:
        show.err("There are no sessions. Start one with `run-qarnot launch IMAGE`.")
        return 0
    show.table(
        ("NAME", "IMAGE", "STATE", "CREATED", "ENDS", "ID"),
        [(v.name, v.image, show.state(v), show.when(v.created), _end_of(v), v.id[:8]) for v in views],
    )
    return 0


async def show_session(account: Account, arguments: Namespace) -> int:
    """Print one session with its connections and the panels of plugins; with `--json`, only the session."""
    session = await account.find(arguments.session)
    if arguments.watch and not session.view.is_over:
        await _watch(session)
    elif not session.view.is_over:
        await _look_shortly(session)
    view = await session.detail()
    if arguments.json:
        show.out_json(view.as_json())
        return 0
    show.session(view)
    for panel in await session.panels():
        show.panel(panel)
    return 0


async def _watch(session: Session) -> None:
    """Print the session whenever it changes, until its end. It polls no more often than any other command."""
    use = UseHistory()

    def draw(view: SessionView) -> None:
        use.add(datetime.now(UTC), view.machines)
        show.watched(view, use)

    draw(session.view)
    unsubscribe = session.subscribe(draw)
    try:
        async with following(session, quiet=True):
            await session.until(lambda view: view.is_over)
    finally:
        unsubscribe()


async def open_session(account: Account, arguments: Namespace) -> int:
    """Open a tunnel to a session, print the address, and stay until Ctrl-C or the session's end."""
    session = await account.find(arguments.session)
    if session.view.is_over:
        raise SessionError("too-late", name=session.view.name, reference=session.view.reference)
    if session.ends_by_itself:
        raise nothing_to_open(session.view.name, Message("hint-logs", reference=session.view.reference))
    if session.needs_other_token and not session.takes_user_key:
        raise SessionError("other-token", name=session.view.name, reference=session.view.reference)
    use_own_key(session, arguments.ssh_key)
    async with following(session):
        await until_ready(session)
        await stay_open(session, browser=not arguments.no_browser)
    return 0


async def logs(account: Account, arguments: Namespace) -> int:
    """Print the container's output."""
    session = await account.find(arguments.session)
    if not arguments.follow:
        show.out((await session.logs()).rstrip("\n"))
        return 0
    phases = show.Phases(actions_only=True)  # such as when the cluster does not respond
    session.subscribe(phases)
    unsubscribe = session.subscribe_log(lambda lines: show.out("\n".join(lines)), phases.say)
    try:
        async with following(session, quiet=True):
            await session.until(lambda view: view.is_over)
            await session.log_is_complete()
    finally:
        unsubscribe()
    return 0


async def add(account: Account, arguments: Namespace) -> int:
    """Add files to a running session."""
    uploads, web = _collect(arguments.paths), await _look(arguments.paths)
    session = await account.find(arguments.session)
    session.subscribe(show.Phases(actions_only=True))
    await session.add(uploads, web=web, replace=arguments.replace)
    if session.owes_files:
        await until_sent(session)
    when = "; its next run begins with them" if session.view.is_over else ""
    show.err(f"{show.count(len(uploads) + len(web), 'file')} added to {session.view.name}{when}.")
    return 0


async def save(account: Account, arguments: Namespace) -> int:
    """Save the results now and wait until they are saved."""
    session = await account.find(arguments.session)
    session.subscribe(show.Phases(actions_only=True))
    with saying_what_runs(session):
        await session.save()
    show.err(f"{session.view.name} is saved. `run-qarnot results {session.view.reference}` fetches its results.")
    return 0


async def stop(account: Account, arguments: Namespace) -> int:
    """Save, wait, stop."""
    session = await account.find(arguments.session)
    session.subscribe(show.Phases(actions_only=True))
    if arguments.no_save and not arguments.yes and not await _may_lose(session):
        show.err(f"{session.view.name} goes on.")
        return 0
    with saying_what_runs(session):
        await session.stop(save=not arguments.no_save)
    if not session.view.has_run:
        show.err(f"{session.view.name}: {session.view.phase}")
    elif arguments.no_save:
        show.err(f"{session.view.name} has ended.")
    else:
        show.err(f"{session.view.name} has ended. `run-qarnot results {session.view.reference}` fetches its results.")
    return 0


async def _may_lose(session: Session) -> bool:
    """At a terminal, ask before unsaved work is lost. Saves are automatic, so the storage is queried first."""
    if not sys.stdin.isatty() or session.view.is_over or not session.view.has_run:
        return True
    with contextlib.suppress(TimeoutError, RunQarnotError):
        async with asyncio.timeout(_POLL_SECONDS):
            await session.look_for_saves()
    saved = show.last_save(session.view) or "the storage does not say"
    name = session.view.name
    return show.confirm(f"Last save of {name}: {saved}.\nStop it without saving what was done since?")


async def delete(account: Account, arguments: Namespace) -> int:
    """Delete an ended session; with `--left-over`, delete what deleted sessions have left behind."""
    if arguments.left_over:
        return await _delete_left_over(account, ask=not arguments.yes)
    session = await account.find(arguments.session, whole=arguments.files)
    if arguments.files and not arguments.yes and not await _may_delete(session):
        show.err("Nothing was deleted.")
        return 0
    await session.delete(files=arguments.files)
    kept = "" if arguments.files else f" Its files are still in {session.view.inputs} and {session.view.results}."
    show.err(f"{session.view.name} is forgotten.{kept}")
    return 0


async def _may_delete(session: Session) -> bool:
    """Ask before files are deleted.

    Raises:
        InputError: there is no terminal to ask at.
        SessionError: they must not be deleted, so there is nothing to ask.
    """
    name = session.view.name
    await session.deletable_buckets()
    if not sys.stdin.isatty():
        raise InputError("delete-unasked", name=name, reference=session.view.reference)
    return show.confirm(
        f"Delete {name} with all its files, those that were sent and its results? There is no way back."
    )


async def _delete_left_over(account: Account, *, ask: bool) -> int:
    found = await account.left_over()
    if not found:
        show.err("Nothing is left over: all files belong to a session that is there, are new, or are none of ours.")
        return 0
    rows = [(b.bucket, str(b.files), f"{b.size / 1e6:.1f}", times.to_text(b.changed)) for b in found]
    show.table(("LEFT OVER", "FILES", "MB", "LAST CHANGE"), rows)
    if ask and not show.confirm(f"Delete these {sum(each.files for each in found)} file(s)? There is no way back."):
        show.err("Nothing was deleted.")
        return 0
    gone = {bucket.bucket for bucket in await account.delete_left_over(found)}
    show.err(f"Deleted: {', '.join(sorted(gone)) or 'nothing'}.")
    for bucket in found:
        if bucket.bucket not in gone:
            show.err(f"{bucket.bucket} was kept: something has changed in it.")
    return 0


async def _look_shortly(session: Session) -> None:
    """Look up what the list of all tasks does not include: whether it answers, or ended because it was idle."""
    with contextlib.suppress(TimeoutError, RunQarnotError):  # the earlier facts about it are shown anyway
        async with asyncio.timeout(_POLL_SECONDS):
            await (session.find_idle_ends() if session.view.is_over else session.poll())


def _ended(found: Sequence[Session]) -> list[Session]:
    """The most recent sessions that are over. For older ones, a list shows only what the cluster returns."""
    return [session for session in found if session.view.is_over][:_MOST_LOOKED_AT]


def _without_tunnel(view: SessionView) -> SessionView:
    """The view without the tunnel, which ends with this process."""
    connections = (
        closed_tunnel(d.command, view.app_title) if d.kind == ConnectionKind.TUNNEL else d for d in view.connections
    )
    return replace(view, connections=tuple(connections))


def _print_session(view: SessionView, arguments: Namespace) -> None:
    if arguments.json:
        show.out_json(view.as_json())
    elif arguments.detach:
        show.out(view.reference)
    else:
        show.connections(view)
        show.err(_next_step(view))


def _next_step(view: SessionView) -> str:
    """The next step for the user."""
    if view.is_over:
        return f"`run-qarnot results {view.reference}` fetches its results."
    if not view.connections:
        return f"Nothing leads into it without a key of yours: `run-qarnot stop {view.reference}`, then give --ssh-key."
    return f"`run-qarnot show {view.reference}` lists this again, `run-qarnot stop {view.reference}` saves and ends it."


async def _look(inputs: Sequence[Path | str]) -> list[WebFile]:
    """Look up the sizes of the files from the web and print them."""
    found = await look([parse_web_file(each) for each in inputs if isinstance(each, str)])
    for file in found:
        size = "its server does not say its size" if file.size is None else readable.size(file.size)
        show.err(f"{file.key}: {size}, from {visible.one_line(file.shown)}")
    return found


def _collect(inputs: Sequence[Path | str]) -> list[Upload]:
    """Find the local files to upload, and print what is left out of the folders."""
    paths = [each for each in inputs if isinstance(each, Path)]
    left_out: dict[str, Sentence] = {}
    uploads = collect_inputs(paths, left_out.__setitem__)
    if left_out:
        names = [name if name.isprintable() else ascii(name) for name in left_out]
        shown = ", ".join([*names[:_MOST_NAMES], *(["…"] if len(names) > _MOST_NAMES else [])])
        problem = InputError("inputs-left-out", count=len(names), names=shown, problem=next(iter(left_out.values())))
        show.err(str(problem.advice))
    return uploads


def _end_of(view: SessionView) -> str:
    """When it will stop automatically, or when it ended."""
    return show.when(view.ended or view.ends) if view.is_over else show.when(view.ends, far=True)
