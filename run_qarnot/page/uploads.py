"""Files on their way from the browser into a private folder: the offset protocol (`reference/voila-ipyvuetify.md` §2).

The browser sends parts of 4 MiB, each with its offset, and keeps four of them on the way. We append a part only if it
begins where the file ends, and answer with how much we have; whatever was lost is then sent again. Memory stays
constant, and a cut of the connection costs nothing. Every value comes from the browser and is checked here.

A file that goes straight to the bucket is in the same list, but its bytes are not here: `Incoming.direct` knows them.
Nor do those stay here that only pass on their way to the bucket: `Incoming.relay` has the few that wait.

What lies on the disk is named by number, never by the visitor; the folder is private and goes with the kernel.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from run_qarnot.core.errors import InputError, TransferError, reason_of
from run_qarnot.core.names import check_key
from run_qarnot.page.room import Room

if TYPE_CHECKING:
    from run_qarnot.engine.input_bucket import DirectUpload
    from run_qarnot.engine.part_buffer import PartBuffer

PART_BYTES = 4 * 1024 * 1024
WINDOW = 4
LONGEST_PART = 9 * 1024 * 1024  # the websocket takes 10 MiB
MOST_FILES = 10_000


class Arrival(StrEnum):
    """How far a file is. `UNFINISHED` is what an earlier page began: the person can choose it again."""

    UNFINISHED = "unfinished"
    COMING = "coming"
    HERE = "here"
    BROKEN = "broken"


class Trouble(StrEnum):
    """Why a file is broken; `words` has a sentence for each."""

    NONE = ""
    UNREADABLE = "unreadable"  # the browser cannot read it any more: it was changed, moved or deleted
    DISK = "disk"
    STORAGE = "storage"  # the bucket did not take or confirm it


@dataclass
class Incoming:
    """One file: `received` of `size` bytes are in `path`; all of them are in the bucket if it is `direct`."""

    id: int
    key: str
    size: int
    path: Path
    received: int = 0
    reserved: int = 0  # bytes of the disk that are kept for the rest of it
    arrival: Arrival = Arrival.COMING
    trouble: Trouble = Trouble.NONE
    stream: BinaryIO | None = field(default=None, repr=False)
    direct: DirectUpload | None = None
    relay: PartBuffer | None = None

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.stream = None


class Uploads:
    """The files of one page. Ids are the browser's own serial numbers."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._files: dict[int, Incoming] = {}
        self._numbers: dict[str, int] = {}  # by key: folders have thousands of files
        self._kept: set[Path] = set()
        self._room: Room | None = None

    @property
    def folder(self) -> Path:
        """The private folder, made when the first file comes: most pages never need one."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="run-qarnot-", dir=self._parent))  # 0700 by `mkdtemp`
            self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)  # also at exit
        return self._folder

    @property
    def room(self) -> Room:
        """The room on the disk, shared with the other pages of the server."""
        if self._room is None:
            self._room = Room(self._parent or self.folder)
        return self._room

    def close(self) -> None:
        """Erase everything now."""
        if self._room is not None:
            self._room.close()
            self._room = None
        if self._folder is not None:
            self._finalizer()

    def __iter__(self) -> Iterator[Incoming]:
        return iter(self._files.values())

    def find(self, number: int) -> Incoming | None:
        """Return a file of the list."""
        return self._files.get(number)

    def begin(self, number: int, name: str, size: int) -> Incoming:
        """Expect a file whose bytes come here; it is opened with the first of them.

        Raises:
            InputError: its name cannot be stored, or is there already; nothing is expected then.
            TransferError: the disk has no room for it, or does not take it; nothing is expected then either.
        """
        if not self.room.take(size):
            raise TransferError("no-room", field="upload", name=name[:120])
        try:
            incoming = self.expect(number, name, size)
        except InputError:
            self.room.give_back(size)
            raise
        incoming.reserved = size
        if not size:  # no part of it will come
            try:
                self._write(incoming, b"")
            except TransferError:
                self.remove(number)
                raise
        return incoming

    def expect(self, number: int, name: str, size: int) -> Incoming:
        """Put a file into the list, in place of an unfinished one of its name; its bytes may go elsewhere.

        Raises:
            InputError: its name cannot be stored, or is there already.
        """
        key = check_key(name)
        other = self._files.get(self._numbers.get(key, -1))
        if other is not None and other.arrival is Arrival.UNFINISHED:
            self.remove(other.id)
        if len(self._files) >= MOST_FILES:
            raise InputError("files-many", field="upload", name=name[:120], most=MOST_FILES)
        if number in self._files:
            raise InputError("file-twice", field="upload", name=name[:120])
        if key in self._numbers:
            raise InputError("file-twice", field="upload", name=key)
        incoming = Incoming(number, key, size, self.folder / f"{number}")
        self._put(incoming)
        return incoming

    def take_here(self, incoming: Incoming) -> None:
        """Take the bytes of a file that is on its way here after all, from its beginning.

        Raises:
            TransferError: the disk has no room for it.
        """
        if incoming.arrival is Arrival.COMING:
            incoming.received, incoming.direct, incoming.relay = 0, None, None
            self._reserve(incoming)

    def _reserve(self, incoming: Incoming) -> None:
        """Keep room on the disk for the rest of a file, all files on their way to this server counted."""
        self._release(incoming)
        rest = incoming.size - incoming.received
        if not self.room.take(rest):
            raise TransferError("no-room", field="upload", name=incoming.key)
        incoming.reserved = rest

    def _release(self, incoming: Incoming) -> None:
        if incoming.reserved:
            self.room.give_back(incoming.reserved)
            incoming.reserved = 0

    def _put(self, incoming: Incoming) -> None:
        self._files[incoming.id] = incoming
        self._numbers[incoming.key] = incoming.id

    def show_unfinished(self, keys: Iterable[str]) -> None:
        """List what an earlier page began, unless it is in the list. Numbers of browsers are far above ours."""
        free = (number for number in count(1) if number not in self._files)
        for key in sorted(set(keys) - self._numbers.keys())[:MOST_FILES]:
            number = next(free)
            self._put(Incoming(number, key, 0, self.folder / f"{number}", arrival=Arrival.UNFINISHED))

    def part(self, number: int, offset: int, data: memoryview | bytes) -> int:
        """Append a part if it fits; return how many bytes of the file are here. With the last one it has arrived.

        Raises:
            TransferError: the disk does not take it; the file is marked as broken.
        """
        incoming = self._files.get(number)
        if incoming is None or incoming.arrival is not Arrival.COMING or incoming.direct is not None:
            return self.received(number)
        length = len(memoryview(data).cast("B")) if len(data) else 0
        fits = offset == incoming.received and 0 < length <= min(LONGEST_PART, incoming.size - offset)
        if fits:
            self._write(incoming, data)
        return incoming.received

    def _write(self, incoming: Incoming, data: memoryview | bytes) -> None:
        if not self.room.has(memoryview(data).nbytes):
            self.fail(incoming.id, Trouble.DISK)
            raise TransferError("no-room", field="upload", name=incoming.key)
        try:
            incoming.stream = incoming.stream or _open_at(incoming.path, incoming.received)
            incoming.stream.write(data)
            incoming.stream.flush()
        except OSError as error:
            self.fail(incoming.id, Trouble.DISK)
            raise TransferError("upload", field="upload", name=incoming.key, problem=reason_of(error)) from error
        size = memoryview(data).nbytes
        incoming.received += size
        self.room.give_back(min(size, incoming.reserved))
        incoming.reserved -= min(size, incoming.reserved)
        if incoming.received == incoming.size:
            incoming.close()
            self.arrived(incoming)

    def received(self, number: int) -> int:
        """How many bytes of a file have come here; -1 when no more of it is expected."""
        incoming = self._files.get(number)
        if incoming is None or incoming.arrival is Arrival.BROKEN:
            return -1
        return incoming.relay.received if incoming.relay and incoming.arrival is Arrival.COMING else incoming.received

    def arrived(self, incoming: Incoming) -> None:
        """All of a file is here, or in the bucket."""
        if incoming.arrival is Arrival.COMING:
            incoming.arrival, incoming.received = Arrival.HERE, incoming.size
            self._release(incoming)

    def fail(self, number: int, trouble: Trouble) -> None:
        """Something went wrong with a file; what has arrived of it stays, for `retry`."""
        incoming = self._files.get(number)
        if incoming is not None and incoming.arrival is Arrival.COMING:
            with contextlib.suppress(OSError):  # a full disk refuses once more what is in its buffer
                incoming.close()
            incoming.stream, incoming.arrival, incoming.trouble = None, Arrival.BROKEN, trouble
            self._release(incoming)

    def retry(self, number: int) -> None:
        """Expect the rest of a broken file.

        Raises:
            TransferError: the disk has no room for it; it stays broken.
        """
        incoming = self._files.get(number)
        if incoming is not None and incoming.arrival is Arrival.BROKEN:
            if incoming.direct is None and incoming.relay is None:
                self._reserve(incoming)
            incoming.arrival, incoming.trouble = Arrival.COMING, Trouble.NONE

    def remove(self, number: int) -> Incoming | None:
        """Forget a file, and erase it here unless a session still needs it; return what it was."""
        incoming = self._files.pop(number, None)
        if incoming is not None:
            del self._numbers[incoming.key]
            self._release(incoming)
            incoming.close()
            if incoming.path not in self._kept:
                incoming.path.unlink(missing_ok=True)
        return incoming

    def keep(self, files: Iterable[Incoming]) -> None:
        """Do not erase these before the page ends: a session reads them."""
        self._kept.update(incoming.path for incoming in files)

    def restore(self, files: Iterable[Incoming]) -> None:
        """Put files of an earlier start into the list again; of two of a name, the one that is there stays."""
        for incoming in files:
            if incoming.key not in self._numbers:
                self._put(incoming)

    def clear(self) -> None:
        """Forget all files."""
        for number in tuple(self._files):
            self.remove(number)


def _open_at(path: Path, offset: int) -> BinaryIO:
    """Open a file to be begun, or gone on with."""
    stream = path.open("r+b" if offset else "wb")
    stream.truncate(offset)  # a write that failed may have left a piece
    stream.seek(offset)
    return stream
