"""How the session will be opened: said in the form before it is started, and asked about where this page cannot."""

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
    """Knows what the way to a session is like, and whether the visitor agreed to another one than a click here.

    Arguments:
        page: the other parts.
        card: the card with the button, where it is said.
        catalog: of the page.
    """

    def __init__(self, page: PageActions, card: StartCard, catalog: Catalog) -> None:
        self.around = Surroundings(visitors_are_elsewhere(os.environ))
        self._page, self._card, self._catalog = page, card, catalog
        self._agreed: frozenset[Expected] = frozenset()

    async def look_around(self, account: Account, found: Iterable[Session], ssh_out: SshOut | None = None) -> None:
        """Find out what the way to a session is like, and say so.

        Arguments:
            account: of the visitor.
            found: its sessions; one that runs tells the most.
            ssh_out: whether SSH goes out, where that is known without trying.
        """
        from run_qarnot.engine.surroundings import look_around

        runs = [session.facts for session in found if session.facts is not None]
        url, elsewhere = account.settings.cluster_url, self.around.is_elsewhere
        around = await look_around(runs, self._catalog, url, is_elsewhere=elsewhere, ssh_out=ssh_out)
        if account is self._page.account.current:
            self.around = around
            self._page.form.show_blockers()

    def forget(self) -> None:
        """The account is another one, and perhaps the cluster."""
        self.around, self._agreed = Surroundings(self.around.is_elsewhere), frozenset()

    def agree(self, *, agreed: bool) -> None:
        """The visitor agrees to open the session of the form in another way, or does not any more."""
        entry = {self._expected(self._page.form.current)}
        self._agreed = self._agreed | entry if agreed else self._agreed - entry
        self._page.form.show_blockers()

    def blockers(self, form: Form) -> list[Blocker]:
        """Say on the card how a session of this form will be opened; return why it cannot be started yet."""
        entry = self._expected(form)
        kind = "" if entry in {Expected.NO_PAGE, Expected.HERE} else entry.value
        self._card.entry = {"kind": kind, "asks": entry.needs_consent, "agreed": entry in self._agreed}
        return [Blocker(words.blocker("entry"), "entry")] if self._is_open_question(entry, form) else []

    def check(self, form: Form, name: str) -> None:
        """Refuse to start again, without a look at the form, what cannot be opened here.

        Arguments:
            form: what is started.
            name: of the session of which it is a repetition.

        Raises:
            SessionError: the visitor was not asked.
        """
        if self._is_open_question(self._expected(form), form):
            raise SessionError("not-from-here", name=name)

    def _is_open_question(self, entry: Expected, form: Form) -> bool:
        """Whether the visitor must say how it will be opened; who gives a key of their own has said it."""
        return entry.needs_consent and entry not in self._agreed and not form.key.strip()

    def _expected(self, form: Form) -> Expected:
        image = self._catalog.images.get(form.image)
        if image is None or self._page.account.current is None:
            return Expected.NO_PAGE  # nothing can be started yet
        app = image.effective_app
        return expected_connection(image.id, None if app.ends_by_itself else app.port, app.mount, self.around)
