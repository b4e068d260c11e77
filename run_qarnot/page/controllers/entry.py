"""Predicts in the form how a session will be opened, and asks for consent if this page cannot open it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from run_qarnot.catalog import Catalog
from run_qarnot.core.errors import SessionError
from run_qarnot.model.expected_connection import ExpectedConnection as Expected
from run_qarnot.model.expected_connection import SshOut, Surroundings, expected_connection
from run_qarnot.page import words
from run_qarnot.page.actions import PageActions
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.proxied import visitors_are_elsewhere
from run_qarnot.page.viewmodel import Blocker, Form

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account
    from run_qarnot.engine.session import Session


class EntryController:
    """Holds the surroundings, and whether the visitor agreed to open the session in another way than by a click here.

    Arguments:
        page: the other parts.
        card: the card with the button, which shows the prediction.
        catalog: of the page.
    """

    def __init__(self, page: PageActions, card: StartCard, catalog: Catalog) -> None:
        self.around = Surroundings(visitors_are_elsewhere(os.environ))
        self._page, self._card, self._catalog = page, card, catalog
        self._agreed: frozenset[Expected] = frozenset()

    async def look_around(self, account: Account, found: Iterable[Session], ssh_out: SshOut | None = None) -> None:
        """Find out how sessions can be reached, and show it.

        Arguments:
            account: of the visitor.
            found: its sessions; a running one gives the most reliable result.
            ssh_out: whether outgoing SSH works, if that is known without trying.
        """
        from run_qarnot.engine.surroundings import look_around

        runs = [session.facts for session in found if session.facts is not None]
        url, elsewhere = account.settings.cluster_url, self.around.is_elsewhere
        around = await look_around(runs, self._catalog, url, is_elsewhere=elsewhere, ssh_out=ssh_out)
        if account is self._page.account.current:
            self.around = around
            self._page.form.show_blockers()

    def forget(self) -> None:
        """Reset for another account, perhaps on another cluster."""
        self.around, self._agreed = Surroundings(self.around.is_elsewhere), frozenset()

    def agree(self, *, agreed: bool) -> None:
        """Set whether the visitor agrees to open the session of the form in another way."""
        entry = {self._expected(self._page.form.current)}
        self._agreed = self._agreed | entry if agreed else self._agreed - entry
        self._page.form.show_blockers()

    def blockers(self, form: Form) -> list[Blocker]:
        """Show on the card how a session of this form will be opened; return why it cannot be started yet."""
        entry = self._expected(form)
        kind = "" if entry in {Expected.NO_PAGE, Expected.HERE} else entry.value
        self._card.entry = {"kind": kind, "asks": entry.needs_consent, "agreed": entry in self._agreed}
        return [Blocker(words.blocker("entry"), "entry")] if self._is_open_question(entry, form) else []

    def check(self, form: Form, name: str) -> None:
        """Refuse to restart a session, without showing the form, if this page cannot open it.

        Arguments:
            form: of the session.
            name: of the session.

        Raises:
            SessionError: the visitor must be asked first.
        """
        if self._is_open_question(self._expected(form), form):
            raise SessionError("not-from-here", name=name)

    def _is_open_question(self, entry: Expected, form: Form) -> bool:
        """Whether the visitor must say how it will be opened. Entering an own key says it."""
        return entry.needs_consent and entry not in self._agreed and not form.key.strip()

    def _expected(self, form: Form) -> Expected:
        image = self._catalog.images.get(form.image)
        if image is None or self._page.account.current is None:
            return Expected.NO_PAGE  # nothing can be started yet
        app = image.effective_app
        return expected_connection(image.id, None if app.ends_by_itself else app.port, app.mount, self.around)
