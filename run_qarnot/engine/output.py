"""Reads the output of a container: new lines, the app's link, host keys."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from run_qarnot import bootstrap
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core import visible
from run_qarnot.core.errors import NotFoundError, RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State, observed_state
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.results import Results

Listener = Callable[[list[str]], None]
Trouble = Callable[[Message], None]
_FETCH_SECONDS = 1.0
_LOG_FILE = "logs/qarnot.log"  # in which the original images write their link (§3.5)

# A line of `start.sh` for each host key of its SSH server, of the only instance or of the first one.
_HOST_KEY = re.compile(r"(?:0> ?)?Run Qarnot: SSH host key (SHA256:[A-Za-z0-9+/]{43})\r?")
_MOST_HOST_KEYS = 8

# The aggregate stream prefixes each line with the instance (§2.5); the prefix of the first one is not shown.
_PREFIX = re.compile(r"^0> ?", re.MULTILINE)


def plain(text: str) -> str:
    """Return the output without the instance prefixes."""
    return _PREFIX.sub("", text)


def as_shown(line: str) -> str:
    """Return a line as a terminal shows it, without the instance prefix."""
    return in_terminal(plain(line.rstrip("\r").rpartition("\r")[2]))


def in_terminal(line: str) -> str:
    """Return a line as a terminal shows it: the last state of a progress bar, no colours, no invisible characters."""
    return visible.lines(visible.without_sequences(line.rstrip("\r").rpartition("\r")[2]))


def new_text(before: str, now: str) -> str:
    """Return the added text. The cluster drops the beginning of long output, so the overlap is searched for."""
    if now.startswith(before):
        return now[len(before) :]
    tail = before[-200:]
    position = now.rfind(tail)
    return now[position + len(tail) :] if tail and position >= 0 else now


def complete_lines(text: str) -> tuple[list[str], str]:
    """Split a text into complete lines and the unfinished rest."""
    *lines, rest = text.split("\n")
    return [as_shown(line) for line in lines], rest


def find_link(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match, because the app prints a new link after a restart.

    A match at the very end of the text is ignored: the link may be incomplete.
    """
    return next(reversed([match for match in re.finditer(pattern, text) if match.end() < len(text)]), None)


def find_host_keys(text: str) -> set[str]:
    """Return the fingerprints (`SHA256:…`) of the current host keys of the machine's SSH server.

    Each attempt prints a block of such lines, and the last block is used. Any program may have printed text: only
    complete lines of exactly this form are read, and a block with more keys than a server has is ignored.

    Arguments:
        text: the output so far, with or without the prefixes of the instances.
    """
    block: list[str] = []
    is_open = False
    for line in text.split("\n")[:-1]:  # the last line may be incomplete
        found = _HOST_KEY.fullmatch(line)
        if found:
            block = [*block, found[1]][: _MOST_HOST_KEYS + 1] if is_open else [found[1]]
        is_open = found is not None
    return set(block) if len(block) <= _MOST_HOST_KEYS else set()


async def printed(client: Client, task_id: str) -> tuple[str, ...]:
    """Return the output of a container so far; empty if the cluster does not answer."""
    with contextlib.suppress(RunQarnotError):
        return await client.streams(task_id)
    return ()


async def streams(client: Client, task_id: str) -> tuple[str, str]:
    """Return standard output and standard error so far; empty before the submission."""
    if not task_id:
        return "", ""
    printed, errors = await client.streams(task_id)
    return plain(printed), plain(errors)


async def log_file(results: Results) -> tuple[str, ...]:
    """Return the beginning of the app's log file in the results, which contains the link."""
    with contextlib.suppress(RunQarnotError):
        return ((await in_thread(results.head, _LOG_FILE)).decode(errors="replace"),)
    return ()


async def with_reason(client: Client, facts: TaskSnapshot) -> TaskSnapshot:
    """Return the task with the error that the start script printed, if it failed: the cluster has an exit code."""
    if observed_state(facts.state) is State.FAILED:
        with contextlib.suppress(RunQarnotError):
            said = bootstrap.reason(await client.output(facts.id))
            return replace(facts, error=visible.one_line(said) if said else facts.error)
    return facts


class Follower:
    """Fetches the output periodically while there are listeners, and passes them the new lines.

    Arguments:
        fetch: returns standard output and standard error so far.
        is_over: whether the run has ended.
    """

    def __init__(self, fetch: Callable[[], Awaitable[tuple[str, str]]], is_over: Callable[[], bool]) -> None:
        self._fetch = fetch
        self._is_over = is_over
        self._listeners: list[tuple[Listener, Trouble]] = []
        self._failure: RunQarnotError | None = None
        self._work: asyncio.Task[None] | None = None

    def subscribe(self, listener: Listener, trouble: Trouble = lambda _: None) -> Callable[[], None]:
        """Call `listener` with new lines and `trouble` with what fails; return a function that ends it."""
        subscription = listener, trouble
        self._listeners.append(subscription)
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._follow())

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(subscription)
            if not self._listeners and self._work is not None:
                self._work.cancel()
                self._work = None

        return unsubscribe

    def again(self) -> None:
        """Start again from the beginning: another container prints now."""
        if self._work is not None:
            self._work.cancel()
        self._failure = None
        self._work = asyncio.get_running_loop().create_task(self._follow()) if self._listeners else None

    async def finished(self) -> None:
        """Wait until the listeners have received the whole output.

        Raises:
            RunQarnotError: the run has ended, and the cluster refuses to return its output.
        """
        if self._work is not None:
            await self._work
            if self._failure is not None:
                raise self._failure

    async def _follow(self) -> None:
        seen, rests, is_complete = ["", ""], ["", ""], False
        while self._listeners and not is_complete:
            over = self._is_over()  # read before the fetch, which then returns all output
            try:
                texts = await self._fetch()
            except NotFoundError:
                return
            except RunQarnotError as error:
                if over and not error.transient:  # before the end, a refused token may become valid again
                    self._failure = error
                    return
                self._tell_trouble(Message("retrying" if over else "retrying-session", what=error.sentence))
            else:
                is_complete = over
                for stream, text in enumerate(
                    texts
                ):  # separately: in a combined text, lines would be inserted in the middle
                    lines, rest = complete_lines(rests[stream] + new_text(seen[stream], text))
                    seen[stream], rests[stream] = text, rest
                    self._tell([*lines, rest] if over and rest else lines)
            if not is_complete:
                await asyncio.sleep(_FETCH_SECONDS)

    def _tell(self, lines: list[str]) -> None:
        if lines:
            for listener, _ in list(self._listeners):
                listener(lines)

    def _tell_trouble(self, what: Message) -> None:
        for _, trouble in list(self._listeners):
            trouble(what)
