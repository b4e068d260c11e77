"""The results of a session: a tree, previews, single files directly from the storage, several as a zip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from run_qarnot.core import visible
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.files import StoredFile
from run_qarnot.model.paths import renamed, zip_paths
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, HostileInput, event
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.preview import Look, bytes_wanted, preview
from run_qarnot.page.props import MOST_RESULTS, result_rows

if TYPE_CHECKING:
    from run_qarnot.engine.session import Session

_LINK_SECONDS = 24 * 3600
_MOST_RENAMED = 20  # that are shown


class ResultsPanel(Component):
    """`listing` is None until the results were requested. Keys from the browser are looked up, never trusted."""

    source = Path(__file__).with_suffix(".vue")

    session = traitlets.Unicode("").tag(sync=True)  # its name: that of a landmark must be the only one of the page
    listing: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    renamed: Any = traitlets.List().tag(sync=True)  # files that have another name in the zip: key, path
    shown: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)  # a look into a file

    def __init__(self, tasks: Background, session: Session, downloads: Downloads) -> None:
        self._session = session
        self._downloads = downloads
        self._files: dict[str, StoredFile] = {}
        super().__init__("results", tasks, session=session.view.name)

    def _names_in_zip(self, files: Sequence[StoredFile]) -> list[dict[str, str]]:
        """Return the files that get another name in a zip."""
        paths = renamed(zip_paths(file.key for file in files if not file.is_folder))
        rows = [{"key": visible.one_line(key), "path": visible.one_line(path)} for key, path in paths.items()]
        return rows[:_MOST_RENAMED]

    async def load(self) -> None:
        """Request the list of results from the storage."""
        self._files = {file.key: file for file in await self._session.results.files()}
        self.listing = result_rows(self._files.values(), self._session.view.started)

    @event
    async def vue_load(self, _fields: Fields) -> None:
        """Request the list again after an error."""
        self.problem = None
        await self.load()

    @event
    async def vue_look(self, fields: Fields) -> None:
        """Show the preview of a file."""
        file = self._file(fields.text("key", 4000))
        look = await in_thread(self._look, file)
        self.shown = {"key": file.key, "name": visible.one_line(file.key), **look._asdict()}

    @event
    def vue_look_away(self, _fields: Fields) -> None:
        self.shown = None

    @event
    async def vue_fetch(self, fields: Fields) -> None:
        """Download one file directly from the storage, or through our server if the browser cannot reach it."""
        self.problem = None
        key = self._file(fields.text("key", 4000)).key
        self.call("open", await self._session.results.address(key), key)

    @event
    async def vue_link(self, fields: Fields) -> None:
        """Send an address of one file, valid for a day for anybody. It is a secret and therefore never a trait."""
        self.problem = None
        key = self._file(fields.text("key", 4000)).key
        ends = datetime.now(UTC) + timedelta(seconds=_LINK_SECONDS)
        self.call("link", await self._session.results.address(key, _LINK_SECONDS), key, ends.isoformat())

    @event
    async def vue_download(self, fields: Fields) -> None:
        """Download a selection as a zip; an empty one means all. A key that ends in a slash means a folder."""
        self.problem = None
        wanted = fields.value("keys")
        if not isinstance(wanted, list) or len(wanted) > MOST_RESULTS:
            raise HostileInput("keys")
        await self._zip([file for key in wanted for file in self._files_of(key)] or None)

    async def _zip(self, files: Sequence[StoredFile] | None) -> None:
        self.renamed = self._names_in_zip(list(self._files.values()) if files is None else files)
        name = f"{self._session.view.reference}-results.zip"
        self.call("download", await self._downloads.offer(name, lambda: self._session.results.zip(files), self.failed))

    def _look(self, file: StoredFile) -> Look:
        """Read and convert a file. Blocks: a notebook with pictures takes a while."""
        head = self._session.results.head(file.key, bytes_wanted(file.key, file.size))
        return preview(file.key, file.size, head)

    def _files_of(self, key: str) -> list[StoredFile]:
        if not isinstance(key, str) or not key.endswith("/") or key in self._files:
            return [self._file(key)]
        if not (found := [file for name, file in self._files.items() if name.startswith(key)]):
            raise HostileInput(key)
        return found

    def _file(self, key: str) -> StoredFile:
        if key not in self._files:
            raise HostileInput(key)
        return self._files[key]
