"""The command `results`: fetches saved files into a folder or a zip."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from run_qarnot.commands import show
from run_qarnot.core import visible
from run_qarnot.core.errors import InputError, NotFoundError, TransferError, reason_of
from run_qarnot.engine.account import Account
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.session import Session
from run_qarnot.model.files import StoredCopy, StoredFile, publish
from run_qarnot.model.paths import local_paths, renamed, zip_paths

_STANDARD_OUTPUT = Path("-")


async def results(account: Account, arguments: Namespace) -> int:
    """Fetch the results, into a folder or as one zip."""
    session = await account.find(arguments.session)
    saved = await session.results.with_inputs(session.view.inputs if arguments.inputs else None)
    wanted = [each for each in saved if not each.file.is_folder and _matches(each.file, arguments.patterns)]
    files = [each.file for each in wanted]
    name = session.view.name
    if not files:
        if arguments.patterns:
            raise NotFoundError("no-results-match", name=name, patterns=" ".join(arguments.patterns))
        raise NotFoundError("no-results", name=name)
    target = arguments.zip or arguments.output or Path(f"{session.view.reference}-results")
    await in_thread(_say_renamed, files, None if arguments.zip else target)
    given_up = threading.Event()  # set by Ctrl-C, to end the thread, too
    try:
        if arguments.zip:
            await _write_zip(session, wanted, target, given_up)
        else:
            unconfirmed = await in_thread(
                session.results.download, wanted, target, show.Bytes(files), cancelled=given_up.is_set
            )
            for key in unconfirmed:
                show.err(f"{visible.one_line(key)}: complete, but its checksum cannot be verified here.")
    finally:
        given_up.set()
    show.err(f"{show.count(len(files), 'file')}, {sum(file.size for file in files) / 1e6:.1f} MB:")
    if target != _STANDARD_OUTPUT:
        show.out(str(target))
    return 0


def _matches(file: StoredFile, patterns: list[str]) -> bool:
    return not patterns or any(fnmatch(file.key, pattern) for pattern in patterns)


def _say_renamed(files: list[StoredFile], folder: Path | None) -> None:
    """Print which files get another name, below a folder or, without one, in a zip."""
    keys = [file.key for file in files]
    paths = zip_paths(keys) if folder is None else local_paths(keys, folder)
    for key, path in renamed(paths).items():
        place = "a zip" if folder is None else "this folder"
        show.err(
            f"{visible.one_line(key)} becomes {visible.one_line(path)}: {place} cannot hold it under its own name."
        )


async def _write_zip(session: Session, files: list[StoredCopy], target: Path, given_up: threading.Event) -> None:
    """Write the zip under a temporary name first, so that an interrupted transfer leaves no incomplete zip."""
    content = _counted(session.results.zip(files, cancelled=given_up.is_set), show.Bytes([each.file for each in files]))
    partial = target.parent / f".partial-{secrets.token_hex(8)}"
    try:
        await in_thread(_write, content, partial, target)
    finally:
        given_up.set()
        # Here, not in the thread: after Ctrl-C the process ends without it, while it may wait for the storage.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _write(content: Iterable[bytes], partial: Path, target: Path) -> None:
    if target == _STANDARD_OUTPUT:
        sys.stdout.buffer.writelines(content)
        sys.stdout.buffer.flush()
        return
    if os.path.lexists(target):
        raise InputError("output-exists", path=target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            file.writelines(content)
        publish(partial, target)
    except OSError as error:
        raise TransferError("write", path=target, problem=reason_of(error)) from error


def _counted(content: Iterable[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in content:
        progress(len(chunk))
        yield chunk
