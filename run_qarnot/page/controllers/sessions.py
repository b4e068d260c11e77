"""The session cards of the page. Their sessions are followed while the browser sends pings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from run_qarnot.catalog import Catalog
from run_qarnot.core.state import State
from run_qarnot.model.spec import parse_hours, parse_idle
from run_qarnot.model.view import SessionView
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.components.shell import Shell
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.proxied import SessionOpener

if TYPE_CHECKING:
    from run_qarnot.engine.price_estimate import TaskSnapshot
    from run_qarnot.engine.session import Session
    from run_qarnot.page.components.session import SessionCard

PATIENCE_SECONDS = 120.0  # without a ping: more than the minute to which browsers slow down timers of hidden pages
_CHECK_SECONDS = 10.0
_ENDED_SHOWN = timedelta(days=7)
_MOST_ENDED = 10


class SessionsController:
    """Keeps the cards, the newest first.

    Arguments:
        page: the other parts.
        tasks: of the page.
        shell: shows the cards.
        catalog: of the page.
        downloads: of our server.
    """

    def __init__(
        self, page: PageActions, tasks: Background, shell: Shell, catalog: Catalog, downloads: Downloads
    ) -> None:
        self.opener = SessionOpener.of(downloads)
        self._page, self._tasks, self._shell = page, tasks, shell
        self._catalog, self._downloads = catalog, downloads
        self._usual: Mapping[str, float] = {}  # seconds until a machine runs, by image
        self._cards: list[SessionCard] = []
        self._others: list[Session] = []  # ended long ago: without a card until the visitor asks for more
        self._resting = False

    def add(self, session: Session) -> None:
        """Show a session that was just started, and follow it."""
        self._cards.insert(0, self._make_card(session))
        self._cards[0].fresh = True
        self._show()
        self._cards[0].follow()
        self._changed()

    def restore(self, found: Iterable[Session], usual: Mapping[str, float]) -> None:
        """Show the sessions of the account: all that are alive, and those that ended recently.

        Arguments:
            found: sessions of the account, the newest first.
            usual: seconds until a machine runs, by image.
        """
        self._usual = usual
        known = {card.session.view.id for card in self._cards}
        ended = 0
        for session in found:
            view = session.view
            if view.id in known:
                continue
            ended += view.is_over
            if view.is_over and (ended > _MOST_ENDED or _is_old(view)):
                self._others.append(session)
                continue
            self._cards.append(self._make_card(session))
        self._cards.sort(key=lambda card: card.session.view.is_over)  # running sessions come first
        self._show()
        for card in self._cards:
            card.follow()
            self._tasks.spawn(card.find_unfinished(), card.failed)

    def show_older(self) -> None:
        """Show more of the sessions that ended long ago."""
        shown, self._others = self._others[:_MOST_ENDED], self._others[_MOST_ENDED:]
        cards = [self._make_card(session) for session in shown]
        self._cards += cards
        self._show()
        for card in cards:
            card.follow()

    def clear(self) -> None:
        """Remove all sessions from the page."""
        cards, self._cards, self._others = self._cards, [], []
        self._usual = {}
        self._show()
        for card in cards:
            card.leave()

    def needing_us(self) -> list[str]:
        """Return the names of sessions to which this page is sending files, or which it is stopping."""
        return [card.session.view.name for card in self._cards if card.needs_us]

    def retranslate(self) -> None:
        """Re-render all texts in the current language."""
        for card in self._cards:
            card.retranslate()

    def views(self) -> list[SessionView]:
        """Return the views of all sessions, with or without a card."""
        return [*(card.session.view for card in self._cards), *(other.view for other in self._others)]

    def tasks(self) -> list[TaskSnapshot]:
        """Return the tasks of all sessions, the newest first."""
        sessions = [*(card.session for card in self._cards), *self._others]
        known = [task for session in sessions for task in session.tasks]
        return sorted(known, key=lambda facts: facts.created.timestamp() if facts.created else 0.0, reverse=True)

    async def start_again(self, session: Session, changes: Mapping[str, str], *, update: bool = False) -> None:
        """Begin the next run of a session that ended, with its name, files and packages.

        Arguments:
            session: an ended one.
            changes: "image", "hours" and "idle", as typed; empty or missing values are unchanged.
            update: the repository that came along is brought up to date first.

        Raises:
            RunQarnotError: a check failed; nothing was started. Or another process has started it: it is shown then.
        """
        account = self._page.account.current
        if account is None:
            return
        image = self._catalog.get(changes.get("image") or session.view.image)
        wanted: dict[str, Any] = {}
        if image.id != session.view.image:
            wanted["image"] = image
        if update:
            wanted["update"] = True
        if hours := changes.get("hours", "").strip():
            wanted["hours"] = parse_hours(hours, image)
        if (idle := parse_idle(changes.get("idle", ""))) is not None:
            wanted["idle"] = idle
        self._page.entry.check(replace(self._page.form.form_of(session), image=image.id), session.view.name)
        try:
            await account.start_again(session, **wanted)
        finally:
            if not session.view.is_over:
                self._go_on(session)

    def _go_on(self, session: Session) -> None:
        """Show a session above the form, and follow its next run."""
        for card in [card for card in self._cards if card.session is session]:
            self._cards.remove(card)
            self._cards.insert(0, card)
            card.begin_again(self._title(session))
            self._show()
            card.follow()
        self._changed()

    async def extend(self, session: Session, hours: str) -> None:
        """Give a session more hours: it is stopped, and its next run begins.

        Raises:
            RunQarnotError: a check failed; the session still runs then.
        """
        account = self._page.account.current
        if account is not None:
            wanted = parse_hours(hours, self._catalog.get(session.view.image))
            await account.extend(session, wanted)
            self._go_on(session)

    def deleted(self, session: Session) -> None:
        """Remove the card of a deleted session."""
        for card in [card for card in self._cards if card.session is session]:
            self._cards.remove(card)
            self._show()
            card.leave()
        self._changed()

    def told(self, before: SessionView | None, view: SessionView) -> None:
        """React to a new view of a session."""
        if before is not None and before.state != view.state:
            self._shell.announcement = f"{view.name}: {view.phase}"
            self._show_ready()
            self._changed()
            account = self._page.account.current
            if view.state is State.READY and account is not None:
                found = [card.session for card in self._cards]
                self._tasks.spawn(self._page.entry.look_around(account, found), self._shell.failed)

    async def pause_when_nobody_looks(self) -> None:
        """Stop following when the browser's pings stop, and continue when they come back.

        A kernel that keeps writing to widgets is never idle, so it would never be culled (§3 of the reference).
        """
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Stop or continue following, depending on the last ping before `now`."""
        alone = now - self._shell.seen > PATIENCE_SECONDS
        if alone != self._resting:
            self._resting = alone
            for card in self._cards:
                if alone:
                    card.rest()
                else:
                    card.follow()

    def _make_card(self, session: Session) -> SessionCard:
        # Imported with the first session: it is large and not needed for the first paint.
        from run_qarnot.page.components.session import SessionCard

        usual = self._usual.get(session.view.image)
        card = SessionCard(self._page, self._tasks, session, self._title(session), self._downloads, usual)
        card.images = [{"id": image.id, "title": image.name} for image in self._catalog if not image.hidden]
        return card

    def _title(self, session: Session) -> str:
        image = self._catalog.images.get(session.view.image)
        return image.name if image is not None else session.view.image

    def _changed(self) -> None:
        """Refresh the numbers of the account, after a session began, became ready or ended."""
        self._page.form.sessions_changed()
        self._tasks.spawn(self._page.form.offer_choices(), self._shell.failed)
        self._page.account.refresh()

    def _show(self) -> None:
        self._shell.sessions = [card for card in self._cards if not card.folded]
        self._shell.ended = [card for card in self._cards if card.folded]
        self._shell.older = len(self._others)
        self._show_ready()

    def _show_ready(self) -> None:
        sessions = [card.session for card in self._cards if not card.session.ends_by_itself]
        self._shell.ready = [session.view.name for session in sessions if session.view.state is State.READY]


def _is_old(view: SessionView) -> bool:
    when = view.ended or view.created
    return when is not None and datetime.now(UTC) - when > _ENDED_SHOWN
