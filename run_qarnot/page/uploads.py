"""Receives files from the browser into a private folder by an offset protocol (`reference/voila-ipyvuetify.md` §2).

The browser sends parts of 4 MiB, each with its offset, up to four at a time. A part is appended only if it begins where
the file ends, and is answered with the number of bytes received; lost parts are then sent again. Memory is constant,
and a lost connection loses no data. Every value comes from the browser and is checked here.

A file that the browser sends straight to the bucket is in the same list, and `Incoming.direct` is its upload. A file
that is relayed to the bucket keeps only a few parts here, in `Incoming.relay`.

Files on the disk are named by number, never by the visitor. The folder is private and is removed with the kernel.
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
from run_qarnot.model.web_file import WebFile
from run_qarnot.page.room import Room

if TYPE_CHECKING:
    from run_qarnot.engine.input_bucket import DirectUpload
    from run_qarnot.engine.part_buffer import PartBuffer

PART_BYTES = 4 * 1024 * 1024
WINDOW = 4
LONGEST_PART = 9 * 1024 * 1024  # the websocket takes 10 MiB
MOST_FILES = 10_000


class Arrival(StrEnum):
    """The state of a file. `UNFINISHED`: an earlier page started it; the user can choose it again."""

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
    """A file: `received` of `size` bytes are in `path`; if it is `direct`, they are in the bucket."""

    id: int
    key: str
    size: int
    path: Path
    received: int = 0
    reserved: int = 0  # bytes of the disk that are reserved for the rest
    arrival: Arrival = Arrival.COMING
    trouble: Trouble = Trouble.NONE
    stream: BinaryIO | None = field(default=None, repr=False)
    direct: DirectUpload | None = None
    relay: PartBuffer | None = None
    web: WebFile | None = None  # it comes from there, when the session is started or it is sent to it

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
        self._numbers: dict[str, int] = {}  # by key, because folders have thousands of files
        self._kept: set[Path] = set()
        self._room: Room | None = None

    @property
    def folder(self) -> Path:
        """The private folder, made for the first file: most pages need none."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="run-qarnot-", dir=self._parent))  # 0700 by `mkdtemp`
            self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)  # also at exit
        return self._folder

    @property
    def room(self) -> Room:
        """The space on the disk, shared with the other pages of the server."""
        if self._room is None:
            self._room = Room(self._parent or self.folder)
        return self._room

    def close(self) -> None:
        """Delete all files now."""
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
        """Add a file that the browser sends to the kernel; it is opened with its first part.

        Raises:
            InputError: its name cannot be stored, or is in the list already; the file is not added.
            TransferError: the disk has no space for it, or cannot be written; the file is not added.
        """
        if not self.room.take(size):
            raise TransferError("no-room", field="upload", name=name[:120])
        try:
            incoming = self.expect(number, name, size)
        except InputError:
            self.room.give_back(size)
            raise
        incoming.reserved = size
        if not size:  # no part will arrive
            try:
                self._write(incoming, b"")
            except TransferError:
                self.remove(number)
                raise
        return incoming

    def expect(self, number: int, name: str, size: int) -> Incoming:
        """Add a file to the list, in place of an unfinished one with its name; its bytes may go elsewhere.

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
        """Receive a file here from its beginning, instead of in the bucket.

        Raises:
            TransferError: the disk has no room for it.
        """
        if incoming.arrival is Arrival.COMING:
            incoming.received, incoming.direct, incoming.relay = 0, None, None
            self._reserve(incoming)

    def _reserve(self, incoming: Incoming) -> None:
        """Reserve disk space for the rest of a file, counting all files that this server receives."""
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
        """Add the files that an earlier page started, unless they are in the list. Ids of browsers are far above
        ours."""
        free = (number for number in count(1) if number not in self._files)
        for key in sorted(set(keys) - self._numbers.keys())[:MOST_FILES]:
            number = next(free)
            self._put(Incoming(number, key, 0, self.folder / f"{number}", arrival=Arrival.UNFINISHED))

    def add_web(self, file: WebFile) -> Incoming:
        """Add a file of the web to the list; nothing of it is here.

        Raises:
            InputError: its name is there already, or the list is full.
        """
        number = next(number for number in count(1) if number not in self._files)
        incoming = self.expect(number, file.key, file.size or 0)
        incoming.web, incoming.arrival, incoming.received = file, Arrival.HERE, incoming.size
        return incoming

    def part(self, number: int, offset: int, data: memoryview | bytes) -> int:
        """Append a part if it fits; return the number of bytes received. The last one completes the file.

        Raises:
            TransferError: the disk cannot be written; the file is marked as broken.
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
        """Return how many bytes of a file were received; -1 if no more are expected."""
        incoming = self._files.get(number)
        if incoming is None or incoming.arrival is Arrival.BROKEN:
            return -1
        return incoming.relay.received if incoming.relay and incoming.arrival is Arrival.COMING else incoming.received

    def arrived(self, incoming: Incoming) -> None:
        """Mark a file as complete, here or in the bucket."""
        if incoming.arrival is Arrival.COMING:
            incoming.arrival, incoming.received = Arrival.HERE, incoming.size
            self._release(incoming)

    def fail(self, number: int, trouble: Trouble) -> None:
        """Mark a file as broken; the received bytes are kept for `retry`."""
        incoming = self._files.get(number)
        if incoming is not None and incoming.arrival is Arrival.COMING:
            with contextlib.suppress(OSError):  # a full disk refuses the rest of the buffer again
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
        """Remove a file from the list and return it. It is deleted here unless a session still needs it."""
        incoming = self._files.pop(number, None)
        if incoming is not None:
            del self._numbers[incoming.key]
            self._release(incoming)
            incoming.close()
            if incoming.path not in self._kept:
                incoming.path.unlink(missing_ok=True)
        return incoming

    def keep(self, files: Iterable[Incoming]) -> None:
        """Keep these files until the page ends, because a session reads them."""
        self._kept.update(incoming.path for incoming in files)

    def restore(self, files: Iterable[Incoming]) -> None:
        """Add the files of an earlier start again, except for names that are in the list."""
        for incoming in files:
            if incoming.key not in self._numbers:
                self._put(incoming)

    def clear(self) -> None:
        """Remove all files."""
        for number in tuple(self._files):
            self.remove(number)


def _open_at(path: Path, offset: int) -> BinaryIO:
    """Open a file to write from an offset."""
    stream = path.open("r+b" if offset else "wb")
    stream.truncate(offset)  # a failed write may have left a part
    stream.seek(offset)
    return stream
