"""The card of one session: shows its view and passes the visitor's actions to the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets
from ipywidgets import widget_serialization

from run_qarnot import bootstrap
from run_qarnot.core.errors import RunQarnotError, SessionError
from run_qarnot.core.redaction import redact
from run_qarnot.core.state import State
from run_qarnot.model.files import Upload
from run_qarnot.model.machine_use import UseHistory
from run_qarnot.model.view import SessionView
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background, Throttle
from run_qarnot.page.component import Component, Fields, HostileInput, event
from run_qarnot.page.components.files import Files
from run_qarnot.page.components.panels import Panels
from run_qarnot.page.components.results import ResultsPanel
from run_qarnot.page.components.share import Share
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.launchers import System, can_launch, make_launcher
from run_qarnot.page.props import session_row
from run_qarnot.page.uploads import Arrival, Uploads

if TYPE_CHECKING:
    from run_qarnot.engine.session import Session

MOST_LOG_LINES = 5000  # kept by the browser
_LINES_AT_ONCE = 500
_GIVE_WAY = {"save", "add", "save_and_stop", "stop"}  # actions that a stop interrupts
_NEEDS_US = {"add", "save_and_stop", "stop", "extend"}
_DETAILS_SECONDS = 300.0  # the platform updates cost and carbon rarely


class SessionCard(Component):
    """`busy` is the action in progress: "", "add", "save", "save_and_stop", "stop", "extend", "restart" or "delete"."""

    source = Path(__file__).with_suffix(".vue")

    view: Any = traitlets.Dict().tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)
    folded = traitlets.Bool(False).tag(sync=True)  # shown as one line: the session had ended before
    files: Any = traitlets.Any().tag(sync=True, **widget_serialization)  # to be added while it runs
    images: Any = traitlets.List().tag(sync=True)  # for its next run: id, title
    can_add = traitlets.Bool(False).tag(sync=True)
    unfinished = traitlets.Bool(False).tag(sync=True)  # there are files that an earlier page began to add
    results: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    panels: Any = traitlets.Any().tag(sync=True, **widget_serialization)  # of plugins
    share: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    can_extend = traitlets.Bool(False).tag(sync=True)  # by another run
    added = traitlets.Int(0).tag(sync=True)  # files that were sent last
    usual = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)  # seconds until a machine runs
    fresh = traitlets.Bool(False).tag(sync=True)  # just started: the browser scrolls to it
    log_lines = traitlets.Int(MOST_LOG_LINES).tag(sync=True)

    def __init__(
        self,
        page: PageActions,
        tasks: Background,
        session: Session,
        image_title: str,
        downloads: Downloads,
        usual: float | None = None,
    ) -> None:
        self.session = session
        self._image_title = image_title
        self._downloads = downloads
        self._page = page
        self._seen: SessionView | None = None
        self._following: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._acting: asyncio.Task[None] | None = None  # the task of the action in `busy`
        self._stop_log: Callable[[], None] | None = None
        self._log_wanted = False
        self._use = UseHistory()
        self._throttle = Throttle(self._show)
        self._unsubscribe: Callable[[], None] = session.subscribe(lambda _view: self._throttle())
        share = Share(tasks, lambda address: page.form.share_session(session, address), session.view.name)
        results = ResultsPanel(tasks, session, downloads)
        self._uploads = Uploads(downloads.folder)
        files = Files(tasks, self._uploads, self._show_can_add, inputs=lambda: session.inputs, compact=True)
        panels = Panels(tasks, session, lambda: page.form.show_problems())
        parts = {"share": share, "results": results, "files": files, "panels": panels}
        super().__init__("session", tasks, folded=session.view.is_over, usual=usual, **parts)
        self.can_extend = not session.ends_by_itself
        self._through_page = page.sessions.opener.is_needed
        if self._through_page:
            session.lead_through_page()
        self._show()
        if session.view.state is State.FAILED:
            self._say_why(session.view)
        if not session.view.is_over:  # those of an ended session are requested when its card is opened
            panels.refresh()

    def follow(self) -> None:
        """Follow the session, unless it is over or already followed, and request its cost."""
        idle = self._following is None or self._following.done()
        if idle and not self.session.view.is_over:
            self._following = self.tasks.spawn(self.session.follow(), self.failed)
        if self._log_wanted:
            self._open_log()
        if self._asking is None or self._asking.done():
            self._asking = self.tasks.spawn(self._keep_asking(), self.failed)

    async def find_unfinished(self) -> None:
        """Find files that an earlier page began to add. Errors are ignored, because there may be none."""
        if not self.session.view.is_over:
            with contextlib.suppress(RunQarnotError):
                self.unfinished = await self.files.find_unfinished()

    def begin_again(self, image_title: str) -> None:
        """Unfold the card of a session that runs again."""
        self._image_title = image_title
        self.folded, self.fresh, self.problem = False, True, None
        self.results.listing = None
        self._show()

    def rest(self) -> None:
        """Stop following; the session continues."""
        for work in (self._following, self._asking, self._looking):
            if work is not None:
                work.cancel()
        self._close_log()

    def leave(self) -> None:
        """Stop following and remove the card."""
        self.rest()
        self._throttle.cancel()
        self._unsubscribe()
        self._uploads.close()
        for part in (self.share, self.results, self.files, self.panels, self):
            part.close()

    @property
    def needs_us(self) -> bool:
        """Whether the action in progress would stay incomplete without this page."""
        return self.busy in _NEEDS_US

    def retranslate(self) -> None:
        super().retranslate()
        self.share.retranslate()
        self.results.retranslate()
        self.files.retranslate()
        self.panels.retranslate()
        self._show()

    @event
    def vue_log(self, fields: Fields) -> None:
        """Open or close the output. It is fetched only while open."""
        if fields.flag("open"):
            self._open_log()
        else:
            self._log_wanted = False
            self._close_log()

    @event
    def vue_look(self, _fields: Fields) -> None:
        """Request the time of the last save when the visitor returns to the page, or is asked whether to stop."""
        if self._looking is None or self._looking.done():
            self._looking = self.tasks.spawn(self._look_for_saves(), self.failed)

    @event
    async def vue_whole_log(self, _fields: Fields) -> None:
        """Send all output that the cluster keeps as a file; the card shows only its end."""
        self.call("save_file", f"{self.session.view.reference}.log", redact(await self.session.logs()))

    @event
    async def vue_open(self, fields: Fields) -> None:
        """Send the address, which works once, to the tab that the browser has opened. `link`: of a further page."""
        link, known = fields.text("link", 10), {str(number): number for number in range(len(self.view["links"]))}
        if link and link not in known:
            raise HostileInput("link")
        try:
            address = await self._page.sessions.opener.address(
                self.session, fields.text("origin", 300), known.get(link)
            )
        except BaseException:  # re-raised after closing the tab that waits; a cancelled request leaves it open, too
            self.call("lead_tab", None)
            raise
        self.call("lead_tab", address)

    @event
    async def vue_launcher(self, fields: Fields) -> None:
        """Offer a launcher. It contains a key, so that only a ticket for its download is sent."""
        system, spec = fields.text("system"), self.session.tunnel_spec()
        launcher = make_launcher(System(system), spec) if spec is not None and system in set(System) else None
        if launcher is None:
            raise HostileInput("launcher")
        content = launcher.text.encode()
        self.call("download", await self._downloads.offer(launcher.name, lambda: iter([content]), self.failed))

    @event
    async def vue_save(self, _fields: Fields) -> None:
        await self._while_busy("save", self.session.save)

    @event
    async def vue_keep_on(self, _fields: Fields) -> None:
        """Keep an idle session running."""
        self.problem = None
        await self.session.keep_on()

    @event
    async def vue_stop(self, fields: Fields) -> None:
        """Stop the session, also during a save or an upload, because a machine costs money."""
        save = fields.flag("save")
        if self.busy in _GIVE_WAY and self._acting is not None:
            self._acting.cancel()
            await asyncio.wait([self._acting])
        await self._while_busy("save_and_stop" if save else "stop", lambda: self.session.stop(save=save))

    @event
    async def vue_extend(self, fields: Fields) -> None:
        """Give the session more hours by another run. The browser asks first, because the memory's content is lost."""
        hours = fields.text("hours", 20)
        if not self.can_extend:
            raise HostileInput("extend")
        await self._while_busy("extend", lambda: self._page.sessions.extend(self.session, hours))

    @event
    async def vue_add(self, fields: Fields) -> None:
        """Send the files of this card's list to the session."""
        replace = fields.flag("replace")
        self._show_can_add()
        if not self.can_add:
            raise HostileInput("add")
        sent = [incoming for incoming in self._uploads if incoming.arrival is Arrival.HERE]
        uploads = [Upload(each.path, each.key) for each in sent if each.direct is None and each.web is None]
        web = [incoming.web for incoming in sent if incoming.web is not None]
        direct = [incoming.direct for incoming in sent if incoming.direct is not None]
        self.added, self.files.problem = 0, None
        try:
            await self._while_busy("add", lambda: self.session.add(uploads, direct=direct, web=web, replace=replace))
        except RunQarnotError as error:
            self.files.failed(error)  # beside the files, because the card may be long
            return
        self.added = len(sent)
        for incoming in sent:  # but not files that were added meanwhile
            self._uploads.remove(incoming.id)
        self.files.show()

    @event
    async def vue_unfolded(self, _fields: Fields) -> None:
        """Request the results of an old session when its card is opened."""
        if self.results.listing is None:
            self.panels.refresh()
            await self.results.load()

    @event
    def vue_again(self, _fields: Fields) -> None:
        self._page.form.take_from(self.session)

    @event
    async def vue_go_on(self, fields: Fields) -> None:
        """Begin the next run of an ended session."""
        changes = {name: fields.text(name, 200) for name in ("image", "hours", "idle")}
        update = fields.flag("update")
        await self._while_busy("restart", lambda: self._page.sessions.start_again(self.session, changes, update=update))

    @event
    async def vue_delete(self, fields: Fields) -> None:
        """Delete the session. The browser asks first; the engine refuses to delete a running one."""
        files = fields.flag("files")
        await self._while_busy("delete", lambda: self.session.delete(files=files))
        self._page.sessions.deleted(self.session)

    async def _while_busy(self, what: str, action: Callable[[], Awaitable[None]]) -> None:
        if self.busy:
            raise HostileInput(what)  # the buttons are disabled then
        self.busy, self.problem = what, None
        self._acting = asyncio.current_task()
        try:
            await action()
        finally:
            self.busy, self._acting = "", None

    async def _keep_asking(self) -> None:
        """Request details periodically; of an ended session, once."""
        await self._load_details()
        while not self.session.view.is_over:
            await asyncio.sleep(_DETAILS_SECONDS)
            await self._load_details()

    async def _load_details(self) -> None:
        """Request cost and the time of the last save. Errors are ignored."""
        with contextlib.suppress(RunQarnotError):
            await self.session.detail()

    async def _look_for_saves(self) -> None:
        """Request the time of the last save. Errors are ignored: no save is shown then."""
        with contextlib.suppress(RunQarnotError):
            await self.session.look_for_saves()

    def _show(self) -> None:
        view, before = self.session.view, self._seen
        row = session_row(view, self._image_title, datetime.now(UTC), batch=self.session.ends_by_itself)
        spec = self.session.tunnel_spec()
        launcher = spec is not None and can_launch(spec)
        self._use.add(datetime.now(UTC), view.machines)
        facts = self.session.facts
        self.view = {
            **row,
            "hint": self._page.account.token_hint(),
            "launcher": launcher,
            "use": self._use.row(),
            "repository": "" if facts is None else facts.constants.get(bootstrap.REPOSITORY, ""),
            "gpu": facts is not None and "gpu" in facts.hardware,
            "files": None if facts is None else facts.results_count,
        }
        self._seen = view
        if before is not None and before.state != view.state:
            self._react(view)
        if before is not None and (before.state, before.saved) != (view.state, view.saved):
            self.panels.refresh()
        self._page.sessions.told(before, view)
        if self._through_page:
            self.tasks.spawn(self._page.sessions.opener.keep(self.session), self.failed)

    def _show_can_add(self) -> None:
        files = [incoming for incoming in self._uploads if incoming.arrival is not Arrival.UNFINISHED]
        self.can_add = bool(files) and all(incoming.arrival is Arrival.HERE for incoming in files)

    def _react(self, view: SessionView) -> None:
        """React to a new state: open the parts of the card that matter in it."""
        if view.state is State.READY or view.is_over:
            self.tasks.spawn(self._load_details(), self.failed)
        if view.is_over:
            self.tasks.spawn(self.results.load(), self.results.failed)
        if view.state is State.FAILED:
            self._say_why(view)
            self._open_log()
            self.call("show_log")

    def _say_why(self, view: SessionView) -> None:
        """Show the failure of a machine as an error, with advice and a report to copy."""
        if self.session.is_submitted and view.error:  # otherwise the preparation failed, which `follow` reports
            self.failed(SessionError("session-failed", name=view.name, reason=view.error, inputs=view.inputs))

    def _open_log(self) -> None:
        """Subscribe to the output. A subscription starts at the beginning, so the browser clears its log."""
        self._log_wanted = True
        if self._stop_log is None:
            self.call("clear_log")
            self._stop_log = self.session.subscribe_log(self._tell_lines)

    def _close_log(self) -> None:
        if self._stop_log is not None:
            self._stop_log()
            self._stop_log = None

    def _tell_lines(self, lines: list[str]) -> None:
        kept = lines[-MOST_LOG_LINES:]  # the browser keeps no more
        if len(kept) < len(lines):
            self.call("cut_log")
        for start in range(0, len(kept), _LINES_AT_ONCE):
            self.call("append", [redact(line) for line in kept[start : start + _LINES_AT_ONCE]])
