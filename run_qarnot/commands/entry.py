"""Runs a command. One of the two places that show errors to people; the page is the other."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from run_qarnot.commands import show
from run_qarnot.commands.parser import parse
from run_qarnot.core import logs
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Verbatim
from run_qarnot.engine.daemon_executor import run as run_loop
from run_qarnot.model.settings import Settings, read_settings

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

    OnAccount = Callable[[Account, Namespace], Awaitable[int]]

_DRAIN_SECONDS = 5.0  # at the end, for plugins to receive the last events
_DRAIN_SECONDS_INTERRUPTED = 0.3  # after Ctrl-C, which ends every command within a second

log = logging.getLogger(__name__)


def run(arguments: list[str] | None = None) -> int:
    """Run a command. Returns 0; 1 for the user's fault or a failed session; 2 for bad usage; 3 without a cluster."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # characters that the terminal cannot show are escaped
    parsed = parse(arguments)
    if parsed is None:
        return 0
    try:
        settings = read_settings(os.environ, Path.cwd())
        logs.configure(parsed.log_level, parsed.log_file, settings.log_config)
        return _run(settings, parsed)
    except RunQarnotError as error:
        if error.details:
            show.err(error.details)
        show.err(f"{error.what}\n{f'{error.todo} {error.typed}'.strip()}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has ended, such as `head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  the top: whatever comes here is a fault of ours
        log.debug("%s", traceback.format_exc())
        bug = RunQarnotError("bug", problem=Verbatim(f"{type(error).__name__}: {error}"))
        show.err(f"{bug.what}\n{bug.todo} (`--log-level debug` shows them.)")
        return 1


def _run(settings: Settings, arguments: Namespace) -> int:
    """Run the function of the command, as the table of commands names it."""
    module, _, name = arguments.run.partition(":")
    function = getattr(importlib.import_module(f"run_qarnot.commands.{module}"), name)
    if inspect.iscoroutinefunction(function):
        return run_loop(_with_account(function, settings, arguments))
    code: int = function(settings, arguments)
    return code


async def _with_account(command: OnAccount, settings: Settings, arguments: Namespace) -> int:
    # Imported here: the SDK takes half a second, which the other commands need not wait for.
    from run_qarnot.engine.account import Account
    from run_qarnot.hooks.manager import find_plugins

    given = os.environ.get("QARNOT_CLIENT_TOKEN", "")
    if given.strip() not in {"", given}:
        show.err("Spaces around the token in QARNOT_CLIENT_TOKEN were ignored.")
    account = await Account.open(settings, settings.token or "", find_plugins(settings).catalog())
    drain_seconds = _DRAIN_SECONDS
    try:
        return await command(account, arguments)
    except asyncio.CancelledError:
        drain_seconds = _DRAIN_SECONDS_INTERRUPTED
        raise
    finally:
        await account.close(drain_seconds)
