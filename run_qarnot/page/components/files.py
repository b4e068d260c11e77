"""Uploads from the browser, whose side is in `files.vue` and `files.js`.

There are two ways: through the kernel (`uploads`); or, for a large file with an existing bucket, directly to it in
parts that the browser sends to presigned addresses (`engine.input_bucket`). The browser finds out which one works. If
only the first does, the kernel forwards a large file to the bucket as it arrives (`engine.part_buffer`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import traitlets

from run_qarnot.core.errors import InputError, RunQarnotError, TransferError
from run_qarnot.core.messages import Message
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.part_buffer import PartBuffer, PartData
from run_qarnot.model.files import LARGE_BYTES, MOST_PARTS
from run_qarnot.model.web_file import parse_web_file
from run_qarnot.page.background import Background, Throttle
from run_qarnot.page.component import Buffers, Component, Fields, HostileInput, event
from run_qarnot.page.props import Row, file_row
from run_qarnot.page.proxied import visitors_are_elsewhere
from run_qarnot.page.uploads import LONGEST_PART, PART_BYTES, WINDOW, Arrival, Incoming, Trouble, Uploads

if TYPE_CHECKING:
    from run_qarnot.engine.input_bucket import InputBucket

MOST_NAMED = 5  # names of refused files in a message
MOST_ADDRESSES = 100  # in one message
MOST_AT_ONCE = 500  # files in one message
_SHOW_SECONDS = 0.25
_MOST_WAITING = 0  # parts on the way to the bucket before the browser must wait; its window lets two more arrive
_LARGEST_RELAYED = 16 << 20  # files above 160 GB have larger parts, which are stored on disk and not in memory
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?")
_DIGEST = re.compile(r"[0-9a-f]{32}")


class Files(Component):
    """A drop zone for files, and their list.

    `compact`: in a session's card. `direct_bytes`: files of at least so many bytes are sent directly to the bucket if
    possible; 0 without a bucket.
    """

    source = Path(__file__).with_suffix(".vue")

    compact = traitlets.Bool(False).tag(sync=True)
    part_bytes = traitlets.Int(PART_BYTES).tag(sync=True)
    window = traitlets.Int(WINDOW).tag(sync=True)
    direct_bytes = traitlets.Int(0).tag(sync=True)
    looking = traitlets.Bool(False).tag(sync=True)  # servers are asked about addresses
    # bytes per second from here to the cluster if that is slow, otherwise 0
    onward_pace = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        tasks: Background,
        uploads: Uploads,
        changed: Callable[[], None],
        *,
        inputs: Callable[[], InputBucket | None] | None = None,
        compact: bool = False,
    ) -> None:
        self._uploads = uploads
        self._changed = changed
        self._inputs = inputs or (lambda: None)
        self._beginning: set[int] = set()
        self._is_believed = True  # the storage confirms the checksums of our parts
        self._told: dict[int, Row] | None = None  # the rows that the browser shows; None before it shows any
        self.show = Throttle(self._show, _SHOW_SECONDS)  # updates the list and what depends on it
        super().__init__("files", tasks, compact=compact, direct_bytes=LARGE_BYTES if inputs else 0)

    # both ways

    @event
    def vue_begin(self, fields: Fields) -> None:
        """Add files that the browser is about to send: through the kernel, or `direct` ones to the bucket."""
        refused: list[RunQarnotError] = []
        for each in fields.each("files", MOST_AT_ONCE):
            try:
                self._take(each)
            except RunQarnotError as error:
                self.call("refused", each.whole("id"))
                refused.append(error)
        self.show()
        if len(refused) == 1:
            raise refused[0]
        if refused:
            raise _refused([str(error.facts.get("name", "")) for error in refused], refused[0].sentence)

    def _take(self, fields: Fields) -> None:
        number, name, size = fields.whole("id"), fields.text("name", 4000), fields.whole("size")
        if not fields.flag("direct"):
            self._uploads.begin(number, name, size)
        elif size < LARGE_BYTES or not self.direct_bytes:
            raise HostileInput("size")
        else:
            self._uploads.expect(number, name, size)

    @event
    def vue_unlisted(self, fields: Fields) -> None:
        """Report dropped items that the browser cannot read, so that their files are unknown."""
        names = fields.texts("names", MOST_AT_ONCE, 4000)
        raise _refused(names, Message("browser-cannot-read"))

    @event
    def vue_empty(self, fields: Fields) -> None:
        """Report dropped folders without files."""
        names = fields.texts("names", MOST_AT_ONCE, 4000)
        raise _refused(names, Message("empty-folder"))

    @event
    def vue_unreadable(self, fields: Fields) -> None:
        """Mark a file that the browser can no longer read."""
        self._uploads.fail(fields.whole("id"), Trouble.UNREADABLE)
        self.show()

    @event
    def vue_retry(self, fields: Fields) -> None:
        """Expect the rest of a broken file; the browser then asks how much has arrived."""
        self._uploads.retry(fields.whole("id"))
        self.show()

    @event
    def vue_remove(self, fields: Fields) -> None:
        """Remove a file; its received bytes are deleted, here or in the bucket."""
        incoming = self._uploads.remove(fields.whole("id"))
        self.show()
        if incoming is not None:
            self.tasks.spawn(self._free(incoming), self.failed)

    @event
    async def vue_addresses(self, fields: Fields) -> None:
        """Addresses of files on the web: each is asked how large it is, and then in the list."""
        from run_qarnot.engine.web_input import look  # it loads what speaks to servers

        self.problem, self.looking = None, True
        failed: dict[str, RunQarnotError] = {}
        try:
            for text in fields.texts("addresses", MOST_ADDRESSES, 4000):
                try:
                    file = parse_web_file(text, public_only=visitors_are_elsewhere(os.environ))
                    (found,) = await look([file])
                    self._uploads.add_web(found)
                except RunQarnotError as error:
                    failed[text] = error
                self.show()
        finally:
            self.looking = False
        self.call("addresses_left", " ".join(failed))  # to be put right
        for first in failed.values():
            raise first

    # through the kernel

    @event
    def vue_part(self, fields: Fields, buffers: Buffers) -> None:
        """Receive a part of a file; answer with the number of bytes received, even if the part failed."""
        number, offset = fields.whole("id"), fields.whole("offset")
        incoming = self._uploads.find(number)
        try:
            if len(buffers) == 1 and incoming is not None and incoming.relay is not None:
                self._pass_on(incoming, incoming.relay, offset, buffers[0])
            elif len(buffers) == 1:
                self._uploads.part(number, offset, buffers[0])
        finally:
            self._have(number)
            if incoming is not None and incoming.arrival is not Arrival.COMING:
                self.show()

    @event
    def vue_query(self, fields: Fields) -> None:
        """Answer a browser that has received no answer for a while."""
        self._have(fields.whole("id"))

    def _have(self, number: int) -> None:
        """Send the number of bytes received, which lets the browser send more; not while the bucket is behind."""
        incoming = self._uploads.find(number)
        if incoming is not None and incoming.arrival is Arrival.COMING and incoming.relay is not None:
            is_last = incoming.relay.received == incoming.size  # answered when the bucket has the whole file
            if is_last or incoming.relay.waiting > _MOST_WAITING:
                return
        self.call("have", number, self._uploads.received(number))

    def _pass_on(self, incoming: Incoming, relay: PartBuffer, offset: int, data: memoryview) -> None:
        if incoming.arrival is Arrival.COMING and memoryview(data).nbytes <= LONGEST_PART:
            for part in relay.take(offset, data):
                self.tasks.spawn(self._put(incoming, relay, part), self.failed)

    async def _put(self, incoming: Incoming, relay: PartBuffer, part: PartData) -> None:
        """Send a part to the bucket; after the last one, check that all have arrived."""
        try:
            await in_thread(relay.put, part)
            is_there = relay.is_sent and await in_thread(relay.check)
        except RunQarnotError:
            if incoming.relay is relay:  # otherwise another part has failed before, or the file was removed
                incoming.relay = relay.again()
                self._lose(incoming.id)
            return
        if incoming.relay is not relay or self._uploads.find(incoming.id) is not incoming:
            return
        if is_there:
            self._uploads.arrived(incoming)
            self.show()
        elif relay.is_sent:
            self._is_believed = False
            self._take_here(incoming)
            await in_thread(relay.upload.abort)
        self._have(incoming.id)

    # directly to the bucket; each request may arrive twice after a lost connection

    @event
    async def vue_direct(self, fields: Fields) -> None:
        """Begin or continue a direct upload; answer with the size of the parts and those that have arrived, or null."""
        number, origin = fields.whole("id"), fields.text("origin", 300)
        incoming, inputs = self._coming(number), self._inputs()
        if not _ORIGIN.fullmatch(origin) or number in self._beginning:
            raise HostileInput("origin")
        self._beginning.add(number)
        try:
            if inputs is not None and self._is_believed:
                incoming.direct = await inputs.begin(incoming.key, incoming.size, origin)
        except RunQarnotError:
            incoming.direct = None  # the storage does not support it: send through the kernel
        finally:
            self._beginning.discard(number)
        if (direct := incoming.direct) is None:
            self._answer(number, "direct", None)
        elif self._uploads.find(number) is incoming:
            self._answer(number, "direct", {"step": direct.part_size, "stored": dict(direct.stored)})
        else:  # removed meanwhile
            await self._free(incoming)

    @event
    async def vue_address(self, fields: Fields) -> None:
        """Answer with the address for a part. It is never a trait, because it is a secret while it is valid."""
        number, part = fields.whole("id"), fields.whole("part")
        direct = self._coming(number).direct
        if direct is None or not 1 <= part <= MOST_PARTS:
            raise HostileInput("part")
        self._answer(number, f"address {part}", await in_thread(direct.address, part))

    @event
    async def vue_arrived(self, fields: Fields) -> None:
        """Check with the storage that all parts have arrived; answer with the result."""
        number = fields.whole("id")
        digests = fields.texts("digests", MOST_PARTS, 32)
        found = self._uploads.find(number)
        if found is not None and found.arrival is Arrival.HERE:  # a repeated request
            self._answer(number, "arrived", True)
            return
        incoming = self._coming(number)
        if incoming.direct is None or not all(map(_DIGEST.fullmatch, digests)):
            raise HostileInput("digests")
        try:
            is_there = await in_thread(incoming.direct.check, digests)
        except TransferError:
            self._lose(number)
            return
        if is_there:
            self._uploads.arrived(incoming)
            self.show()
        self._is_believed = is_there
        self._answer(number, "arrived", is_there)

    @event
    def vue_lost(self, fields: Fields) -> None:
        """Mark a file for which the bucket was unreachable for a long time."""
        self._lose(fields.whole("id"))

    @event
    async def vue_through(self, fields: Fields) -> None:
        """Receive the file through the kernel from its beginning: the bucket accepts nothing from a page."""
        number = fields.whole("id")
        incoming = self._coming(number)
        direct = incoming.direct
        if incoming.relay is None and (direct is not None or not incoming.received):  # otherwise a repeated request
            if direct is not None and self._is_believed and direct.part_size <= _LARGEST_RELAYED:
                incoming.relay = PartBuffer(direct)
            else:
                self._take_here(incoming)
        self._answer(number, "through", True)
        if direct is not None and incoming.relay is None:
            await in_thread(direct.abort)

    def _take_here(self, incoming: Incoming) -> None:
        try:
            self._uploads.take_here(incoming)
        except TransferError:
            self._uploads.fail(incoming.id, Trouble.DISK)
            self.call("have", incoming.id, -1)
            self.show()
            raise

    async def find_unfinished(self) -> bool:
        """List files whose upload to the bucket an earlier page began; return whether there are any.

        Raises:
            RunQarnotError: the storage does not answer, or refuses.
        """
        inputs = self._inputs()
        names = await inputs.unfinished() if inputs is not None else []
        if names:
            self._uploads.show_unfinished(names)
            self.show()
        return bool(names)

    @property
    def rows(self) -> list[Row]:
        """The rows of the list."""
        return [file_row(incoming) for incoming in self._uploads]

    @event
    def vue_show_all(self, _fields: Fields) -> None:
        """Send the whole list to a browser that begins to show it, or has missed updates."""
        self._told = None
        self.show()

    def _show(self) -> None:
        """Send the browser the changed rows only, because there may be thousands of files."""
        now, before = {row["id"]: row for row in self.rows}, self._told or {}
        changed = [row for number, row in now.items() if before.get(number) != row]
        gone = None if self._told is None else [number for number in before if number not in now]
        self.call("rows", changed, gone, len(now))
        self._told = now
        self._changed()

    async def _free(self, incoming: Incoming) -> None:
        """Delete the parts of a file in the bucket, if there may be any."""
        inputs = self._inputs()
        if incoming.direct is not None:
            await in_thread(incoming.direct.abort)
        elif incoming.arrival is Arrival.UNFINISHED and inputs is not None:
            await inputs.forget(incoming.key)

    def _coming(self, number: int) -> Incoming:
        incoming = self._uploads.find(number)
        if incoming is None or incoming.arrival is not Arrival.COMING:
            self.call("have", number, -1)
            raise HostileInput("id")
        return incoming

    def _lose(self, number: int) -> None:
        self._uploads.fail(number, Trouble.STORAGE)
        self.call("have", number, -1)
        self.show()

    def _answer(self, number: int, question: str, value: object) -> None:
        self.call("answer", number, question, value)


def _refused(names: Sequence[str], problem: Message) -> InputError:
    """Return the error for refused files: their number, the first names, and the reason of the first."""
    shown = ", ".join(names[:MOST_NAMED]) + (" …" if len(names) > MOST_NAMED else "")
    return InputError("files-refused", field="upload", count=len(names), names=shown, problem=problem)
