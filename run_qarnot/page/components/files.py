"""Files on their way from the browser: the browser's half of `uploads` is in `files.vue`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from run_qarnot.page.component import Buffers, Component, Fields, HostileInput, event
from run_qarnot.page.rows import file_row
from run_qarnot.page.tasks import Tasks
from run_qarnot.page.uploads import PART_BYTES, WINDOW, Trouble, Uploads


class Files(Component):
    """A place to drop files, and the list of them. `compact`: in a session's card."""

    source = Path(__file__).with_suffix(".vue")

    rows: Any = traitlets.List().tag(sync=True)
    compact = traitlets.Bool(False).tag(sync=True)
    part_bytes = traitlets.Int(PART_BYTES).tag(sync=True)
    window = traitlets.Int(WINDOW).tag(sync=True)

    def __init__(self, tasks: Tasks, uploads: Uploads, changed: Callable[[], None], *, compact: bool = False) -> None:
        self._uploads = uploads
        self._changed = changed
        super().__init__("files", tasks, compact=compact)

    @event
    def vue_begin(self, fields: Fields) -> None:
        """The browser is about to send a file."""
        number = fields.whole("id")
        try:
            self._uploads.begin(number, fields.text("name", 4000), fields.whole("size"))
        except HostileInput:
            raise
        except Exception:
            self.call("refused", number)
            raise
        finally:
            self.show()

    @event
    def vue_part(self, fields: Fields, buffers: Buffers) -> None:
        """A part of a file; answered with how much of it is here, whatever happened to the part."""
        number, offset = fields.whole("id"), fields.whole("offset")
        try:
            if len(buffers) == 1:
                self._uploads.part(number, offset, buffers[0])
        except Exception:
            self.show()
            raise
        finally:
            self.call("have", number, self._uploads.received(number))

    @event
    def vue_query(self, fields: Fields) -> None:
        """The browser has not heard from us for a while."""
        number = fields.whole("id")
        self.call("have", number, self._uploads.received(number))

    @event
    def vue_finish(self, fields: Fields) -> None:
        self._uploads.finish(fields.whole("id"))
        self.show()

    @event
    def vue_unreadable(self, fields: Fields) -> None:
        """The browser cannot read the file any more."""
        self._uploads.fail(fields.whole("id"), Trouble.UNREADABLE)
        self.show()

    @event
    def vue_retry(self, fields: Fields) -> None:
        """The browser sends the rest of a file that broke off; answered by its next `query`."""
        try:
            self._uploads.retry(fields.whole("id"))
        finally:
            self.show()

    @event
    def vue_remove(self, fields: Fields) -> None:
        self._uploads.remove(fields.whole("id"))
        self.show()

    def show(self) -> None:
        """Show the list of files as it is, and what follows from it."""
        self.rows = [file_row(incoming) for incoming in self._uploads]
        self._changed()
