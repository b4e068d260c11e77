"""What a container printed: what is new since the last look, and the app's own link in it."""

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
_LOG_FILE = "logs/qarnot.log"  # where the original images write their link (§3.5)

# What `start.sh` prints for each host key of its SSH server: of one instance, or of the first of several.
_HOST_KEY = re.compile(r"(?:0> ?)?Run Qarnot: SSH host key (SHA256:[A-Za-z0-9+/]{43})\r?")
_MOST_HOST_KEYS = 8

# The aggregate stream names the instance on each line (§2.5): of the first one, it says nothing to people.
_PREFIX = re.compile(r"^0> ?", re.MULTILINE)


def plain(text: str) -> str:
    """Return the output without the instance prefixes."""
    return _PREFIX.sub("", text)


def as_shown(line: str) -> str:
    """Return a line of the output as a terminal leaves it, without the instance prefix."""
    return in_terminal(plain(line.rstrip("\r").rpartition("\r")[2]))


def in_terminal(line: str) -> str:
    """Return a line as a terminal leaves it: of a progress bar the last state, no colours, nothing invisible."""
    return visible.lines(visible.without_sequences(line.rstrip("\r").rpartition("\r")[2]))


def new_text(before: str, now: str) -> str:
    """Return what was added. The cluster keeps a ring: old text may be gone, so the overlap is looked for."""
    if now.startswith(before):
        return now[len(before) :]
    tail = before[-200:]
    position = now.rfind(tail)
    return now[position + len(tail) :] if tail and position >= 0 else now


def complete_lines(text: str) -> tuple[list[str], str]:
    """Split into complete lines and the unfinished rest, which a later look will complete."""
    *lines, rest = text.split("\n")
    return [as_shown(line) for line in lines], rest


def find_link(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match: after a restart the app prints a new link, and the newest counts.

    One at the very end of the text may be half a link, of which the rest is still to come, and is not counted.
    """
    return next(reversed([match for match in re.finditer(pattern, text) if match.end() < len(text)]), None)


def find_host_keys(text: str) -> set[str]:
    """Return the fingerprints (`SHA256:…`) of the host keys that the machine's SSH server has now.

    They are in lines that stand together; each attempt prints such lines anew, and the last ones count. Anybody may
    have written the text: only whole lines of exactly this form are looked at, and more keys than a server has are
    none.

    Arguments:
        text: what the container printed so far, with or without the prefixes of the instances.
    """
    block: list[str] = []
    is_open = False
    for line in text.split("\n")[:-1]:  # the last one may be half a line
        found = _HOST_KEY.fullmatch(line)
        if found:
            block = [*block, found[1]][: _MOST_HOST_KEYS + 1] if is_open else [found[1]]
        is_open = found is not None
    return set(block) if len(block) <= _MOST_HOST_KEYS else set()


async def printed(client: Client, task_id: str) -> tuple[str, ...]:
    """Return what a container printed so far; nothing where the cluster does not say."""
    with contextlib.suppress(RunQarnotError):
        return await client.streams(task_id)
    return ()


async def streams(client: Client, task_id: str) -> tuple[str, str]:
    """Return standard output and errors so far; of what is not on the cluster yet, nothing."""
    if not task_id:
        return "", ""
    printed, errors = await client.streams(task_id)
    return plain(printed), plain(errors)


async def log_file(results: Results) -> tuple[str, ...]:
    """Return the beginning of the app's log among the results: the link is in its first lines."""
    with contextlib.suppress(RunQarnotError):
        return ((await in_thread(results.head, _LOG_FILE)).decode(errors="replace"),)
    return ()


async def with_reason(client: Client, facts: TaskSnapshot) -> TaskSnapshot:
    """Our start script says why it cannot go on; the cluster only knows an exit code."""
    if observed_state(facts.state) is State.FAILED:
        with contextlib.suppress(RunQarnotError):
            said = bootstrap.reason(await client.output(facts.id))
            return replace(facts, error=visible.one_line(said) if said else facts.error)
    return facts


class Follower:
    """Fetches the output again and again while somebody listens, and tells the lines that are new.

    Arguments:
        fetch: returns standard output and errors so far.
        is_over: whether there will be no more.
    """

    def __init__(self, fetch: Callable[[], Awaitable[tuple[str, str]]], is_over: Callable[[], bool]) -> None:
        self._fetch = fetch
        self._is_over = is_over
        self._listeners: list[tuple[Listener, Trouble]] = []
        self._failure: RunQarnotError | None = None
        self._work: asyncio.Task[None] | None = None

    def subscribe(self, listener: Listener, trouble: Trouble = lambda _: None) -> Callable[[], None]:
        """Have `listener` told new lines, and `trouble` why none come; returns the way to end that."""
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
        """Begin anew for those who listen: another container prints now."""
        if self._work is not None:
            self._work.cancel()
        self._failure = None
        self._work = asyncio.get_running_loop().create_task(self._follow()) if self._listeners else None

    async def finished(self) -> None:
        """Wait until there is no more to tell.

        Raises:
            RunQarnotError: it is over, and the cluster refuses to say what was printed.
        """
        if self._work is not None:
            await self._work
            if self._failure is not None:
                raise self._failure

    async def _follow(self) -> None:
        seen, rests, is_complete = ["", ""], ["", ""], False
        while self._listeners and not is_complete:
            over = self._is_over()  # asked first: what was printed before the end is fetched after it
            try:
                texts = await self._fetch()
            except NotFoundError:
                return
            except RunQarnotError as error:
                if over and not error.transient:  # before the end, a token that is refused may be good again
                    self._failure = error
                    return
                self._tell_trouble(Message("retrying" if over else "retrying-session", what=error.sentence))
            else:
                is_complete = over
                for stream, text in enumerate(texts):  # each by itself: put together, one would grow in the middle
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
