"""Following a session from a command: until it is ready, until files are sent, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator

from run_qarnot.commands import show
from run_qarnot.core.browser import open_privately
from run_qarnot.core.errors import SessionError
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.state import State
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.session import Session

_SILENT_SECONDS = 0.5  # after Ctrl-C, before a message says what is waited for
_LOG_LINES_ON_FAILURE = 15


@contextlib.asynccontextmanager
async def following(session: Session, *, quiet: bool = False) -> AsyncIterator[None]:
    """Follow the session during the block, and raise errors of the preparation from the block.

    Ctrl-C ends the block with a message that says whether the session continues.

    Arguments:
        quiet: do not print the phases.
    """
    if not quiet:
        session.subscribe(show.Phases())
    work = asyncio.current_task()
    assert work is not None
    failure: list[Exception] = []

    async def follow() -> None:
        try:
            await session.follow()
        except Exception as error:  # noqa: BLE001  raised from the block
            failure.append(error)
            work.cancel()

    task = asyncio.create_task(follow())
    try:
        yield
    except asyncio.CancelledError:
        if failure:
            work.uncancel()
            raise failure[0] from None
        await _end(task, submits=not session.is_submitted)
        if failure:
            raise failure[0] from None
        _say_that_it_goes_on(session)
        raise
    finally:
        await _end(task)


async def _end(task: asyncio.Task[None], *, submits: bool = False) -> None:
    """Cancel the task. A submission in progress is completed first, to know what runs; a message says if it is slow."""
    task.cancel()
    if submits and not (await asyncio.wait({task}, timeout=_SILENT_SECONDS))[0]:
        show.err("\nThe submission is under way; waiting for the cluster's answer…")
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.contextmanager
def saying_what_runs(session: Session) -> Iterator[None]:
    """Print after Ctrl-C in the block whether the session continues."""
    try:
        yield
    except asyncio.CancelledError:
        _say_that_it_goes_on(session)
        raise


async def until_ready(session: Session, *, as_json: bool = False) -> None:
    """Wait until the app answers, or a batch has ended.

    Raises:
        SessionError: it failed or ended before; with `as_json` the session is printed all the same.
    """
    batch = session.ends_by_itself
    view = await session.until(lambda view: view.is_over or (view.state is State.READY and not batch))
    if not view.is_over or (batch and view.state is State.ENDED):
        return
    if as_json:
        show.out_json(view.as_json())
    if view.state is State.FAILED:
        tail = (await session.logs()).splitlines()[-_LOG_LINES_ON_FAILURE:] if session.is_submitted else []
        raise SessionError(
            "session-failed",
            details="\n".join(tail),
            name=view.name,
            reason=view.error or Verbatim(""),
            inputs=view.inputs,
        )
    raise SessionError("session-ended", name=view.name, reference=view.reference, reason=view.phase)


async def until_sent(session: Session) -> None:
    """Wait until files that were added while the machine was loading are sent to it."""
    show.err(f"{session.view.name} is being loaded: waiting until its machine runs, to send the files there.")
    async with following(session, quiet=True):
        view = await session.until(lambda view: view.is_over or not session.owes_files)
    if view.is_over:
        raise SessionError("too-late", name=view.name, reference=view.reference)


def nothing_to_open(name: str, hint: Message) -> SessionError:
    """Return the error for opening a session that only runs a command."""
    return SessionError("no-connection", name=name, problem=Message("runs-command"), hint=hint)


async def stay_open(session: Session, *, browser: bool, as_json: bool = False) -> None:
    """Print the address, open it, and keep the tunnel open until the session's end."""
    address = session.app_address()
    if address is None:
        problem = session.access_problem or Message("no-way-in")
        hint = Message("hint-show")
        if not session.knows_session_key:
            hint = Message("hint-ssh-key", reference=session.view.reference)
        raise SessionError("no-connection", name=session.view.name, problem=problem, hint=hint)
    show.out(address, sys.stderr if as_json else None)
    for link in session.app_links():
        show.err(f"{link.title}: {link.url}")
    if browser and not await in_thread(open_privately, address):
        show.err("No browser could be opened here: open the address yourself.")
    show.err("Press Ctrl-C to close the way to it; the session goes on.")
    view = await session.until(lambda view: view.is_over)
    show.err(str(view.phase))


def _say_that_it_goes_on(session: Session) -> None:
    """Print what becomes of the session when this command ends."""
    view, name, reference = session.view, session.view.name, session.view.reference
    if view.is_over:
        return
    if session.is_asked_to_stop:
        show.err(f"\n{name} was asked to stop, and ends. `run-qarnot show {reference}` tells when it has.")
    elif session.is_submitted:
        back = f"`run-qarnot open {reference}` returns to it, `run-qarnot stop {reference}` ends it."
        show.err(f"\n{name} goes on. {back}")
    else:
        show.err(f"\n{name} was cancelled before it started; nothing is running.")
