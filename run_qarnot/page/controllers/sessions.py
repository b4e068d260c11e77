"""The session cards of the page: which there are, and who is being watched while somebody looks."""

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

PATIENCE_SECONDS = 120.0  # without a ping: longer than the minute to which browsers slow down hidden pages
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
        self._others: list[Session] = []  # ended long ago: without a card until somebody asks for it
        self._resting = False

    def add(self, session: Session) -> None:
        """Show a session that was just started, and see it through."""
        self._cards.insert(0, self._make_card(session))
        self._cards[0].fresh = True
        self._show()
        self._cards[0].follow()
        self._changed()

    def restore(self, found: Iterable[Session], usual: Mapping[str, float]) -> None:
        """Show what is on the account: all that is alive, and what ended lately.

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
        self._cards.sort(key=lambda card: card.session.view.is_over)  # what runs is what one looks for
        self._show()
        for card in self._cards:
            card.follow()
            self._tasks.spawn(card.find_unfinished(), card.failed)

    def show_older(self) -> None:
        """Show the next of those that ended long ago."""
        shown, self._others = self._others[:_MOST_ENDED], self._others[_MOST_ENDED:]
        cards = [self._make_card(session) for session in shown]
        self._cards += cards
        self._show()
        for card in cards:
            card.follow()

    def clear(self) -> None:
        """Let go of all."""
        cards, self._cards, self._others = self._cards, [], []
        self._usual = {}
        self._show()
        for card in cards:
            card.leave()

    def needing_us(self) -> list[str]:
        """Return the names of sessions that are given files or stopped by this page, and not yet done."""
        return [card.session.view.name for card in self._cards if card.needs_us]

    def retranslate(self) -> None:
        """Say everything again: the language is another one."""
        for card in self._cards:
            card.retranslate()

    def views(self) -> list[SessionView]:
        """Return what is known of all sessions, with a card or without."""
        return [*(card.session.view for card in self._cards), *(other.view for other in self._others)]

    def tasks(self) -> list[TaskSnapshot]:
        """Return what the cluster says of all sessions, the newest first."""
        sessions = [*(card.session for card in self._cards), *self._others]
        known = [task for session in sessions for task in session.tasks]
        return sorted(known, key=lambda facts: facts.created.timestamp() if facts.created else 0.0, reverse=True)

    async def start_again(self, session: Session, changes: Mapping[str, str]) -> None:
        """Begin the next run of a session that ended, with its name, files and packages.

        Arguments:
            session: that ended.
            changes: "image", "hours" and "idle", as typed; what is empty or missing is as before.

        Raises:
            RunQarnotError: it cannot; nothing was started. Or somebody else has started it: then it is shown.
        """
        account = self._page.account.current
        if account is None:
            return
        image = self._catalog.get(changes.get("image") or session.view.image)
        wanted: dict[str, Any] = {}
        if image.id != session.view.image:
            wanted["image"] = image
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
        """Show a session above the form, and see its next run through."""
        for card in [card for card in self._cards if card.session is session]:
            self._cards.remove(card)
            self._cards.insert(0, card)
            card.begin_again(self._title(session))
            self._show()
            card.follow()
        self._changed()

    async def extend(self, session: Session, hours: str) -> None:
        """Give a session more hours, in the only way that there is: it is stopped, and runs again.

        Raises:
            RunQarnotError: it cannot; then it still runs.
        """
        account = self._page.account.current
        if account is not None:
            wanted = parse_hours(hours, self._catalog.get(session.view.image))
            await account.extend(session, wanted)
            self._go_on(session)

    def deleted(self, session: Session) -> None:
        """The session is gone."""
        for card in [card for card in self._cards if card.session is session]:
            self._cards.remove(card)
            self._show()
            card.leave()
        self._changed()

    def told(self, before: SessionView | None, view: SessionView) -> None:
        """A card shows a new view of its session."""
        if before is not None and before.state != view.state:
            self._shell.announcement = f"{view.name}: {view.phase}"
            self._show_ready()
            self._changed()
            account = self._page.account.current
            if view.state is State.READY and account is not None:
                found = [card.session for card in self._cards]
                self._tasks.spawn(self._page.entry.look_around(account, found), self._shell.failed)

    async def pause_when_nobody_looks(self) -> None:
        """Stop watching when the browser's pings stop, and go on when they come back.

        A kernel that keeps writing to widgets is never idle, so it would never be culled (§3 of the reference).
        """
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            self.check(time.monotonic())

    def check(self, now: float) -> None:
        """Rest or go on, whichever is right at `now`."""
        alone = now - self._shell.seen > PATIENCE_SECONDS
        if alone != self._resting:
            self._resting = alone
            for card in self._cards:
                if alone:
                    card.rest()
                else:
                    card.follow()

    def _make_card(self, session: Session) -> SessionCard:
        # Imported with the first session: most of the page, and no part of its first paint.
        from run_qarnot.page.components.session import SessionCard

        usual = self._usual.get(session.view.image)
        card = SessionCard(self._page, self._tasks, session, self._title(session), self._downloads, usual)
        card.images = [{"id": image.id, "title": image.name} for image in self._catalog if not image.hidden]
        return card

    def _title(self, session: Session) -> str:
        image = self._catalog.images.get(session.view.image)
        return image.name if image is not None else session.view.image

    def _changed(self) -> None:
        """A session began, became ready or ended: the numbers of the account are others now."""
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
