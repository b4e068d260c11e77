"""The account: opened by a token, by the operator or by the local cluster, and forgotten again."""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from run_qarnot.catalog import Catalog
from run_qarnot.core.errors import RefusedError, RunQarnotError, SessionError
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.expected_connection import SshOut
from run_qarnot.model.settings import Settings, check_token
from run_qarnot.page import local_cluster
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.components.account import AccountCard
from run_qarnot.page.components.shell import Shell

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_PACE_OF_MYBINDER = 125_000  # bytes per second: it limits outgoing traffic to 1 Mbit/s (`reference/binder.md` §6)
Opener = Callable[[Settings, str, Catalog], Awaitable["Account"]]


async def open_account(settings: Settings, token: str, catalog: Catalog) -> Account:
    """Open an account. The engine is imported here, in a thread, because that takes half a second."""
    module = await in_thread(importlib.import_module, "run_qarnot.engine.account")
    return cast("Account", await module.Account.open(settings, token, catalog))


class AccountController:
    """Fills the account card and shows the sessions of the account.

    Arguments:
        page: the other parts.
        tasks: of the page.
        card: the account card.
        shell: shows that the sessions are being loaded.
        settings: of the operator; with their token, if there is one.
        catalog: of the page.
        opener: `open_account`.
        folder: of our server, which runs the local cluster; None without one.
    """

    def __init__(
        self,
        page: PageActions,
        tasks: Background,
        card: AccountCard,
        shell: Shell,
        settings: Settings,
        catalog: Catalog,
        opener: Opener,
        folder: Path | None,
    ) -> None:
        self.settings = self._own_settings = settings
        self.current: Account | None = None
        self._page, self._tasks, self._card, self._shell = page, tasks, card, shell
        self._catalog, self._opener, self._folder = catalog, opener, folder
        card.preset = bool(settings.token)
        card.can_try = not settings.token and local_cluster.is_offered(folder)

    @property
    def state(self) -> str:
        return self._card.state

    @property
    def is_preset(self) -> bool:
        return self._card.preset

    @property
    def credits(self) -> float | None:
        return self._card.summary["credits"] if self._card.summary else None

    @property
    def is_admin(self) -> bool:
        return self.current is not None and self.settings.is_admin(self.current.email)

    def visitor_arrived(self) -> None:
        """Open the operator's account, or that of a local cluster that still runs after a reload of the page."""
        if self.settings.token:
            self._tasks.spawn(self.check_token(""), self._card.failed)
        elif self._card.can_try:
            self._tasks.spawn(self._find_local_cluster(), self._card.failed)

    async def check_token(self, text: str) -> None:
        """Open the account of a token, and show its sessions. An empty text means the operator's token."""
        card = self._card
        if card.state != "asking":
            return
        card.state, card.problem = "checking", None
        self._page.form.show_blockers()
        try:
            given = text or self.settings.token or ""
            token = check_token(given)
            card.trimmed = token != given
            self.current = await self._open(token)
            await self._show(self.current)
            card.state = "known"
        finally:
            if card.state != "known":
                card.state = "asking"
                if self.current is not None:
                    await self.current.close()
                self.current = None
            self._page.form.show_blockers()
            self._page.form.show_problems()
        await self._restore_sessions()

    async def try_here(self) -> None:
        """Start a cluster beside our server, and open its account.

        Raises:
            SessionError: it cannot be started.
        """
        card = self._card
        if card.state != "asking" or not card.can_try:
            return
        card.state, card.trying, card.problem = "checking", True, None
        self._page.form.show_blockers()
        found = await local_cluster.find(self._folder, self._own_settings, start=True)
        card.state = "asking"
        if found is None:
            card.trying = False
            self._page.form.show_blockers()
            raise SessionError("local-cluster")
        await self._enter_local_cluster(*found)

    def forget(self) -> None:
        """Forget the account: its token, sessions, files and typed fields.

        Raises:
            SessionError: this page is still working on a session; nothing is forgotten.
        """
        if names := self._page.sessions.needing_us():
            raise SessionError("still-needed", names=", ".join(names))
        account, self.current = self.current, None
        if account is not None:
            self._tasks.spawn(account.close(), self._shell.failed)
        self._leave_local_cluster()
        self._page.sessions.clear()
        card = self._card
        card.state, card.summary, card.trimmed, card.problem = "asking", None, False, None
        self._page.form.forget()

    def refresh(self) -> None:
        """Request the numbers of the account again, after a session began, became ready or ended."""
        if self.current is not None:
            self._tasks.spawn(self._refresh(self.current), self._card.failed)

    def token_hint(self) -> str:
        """Return the hint for a token that is no longer accepted, as a key of the card's words; empty if it is."""
        if self.current is None or not self.current.is_refused:
            return ""
        return "token_team" if self._card.preset else "token_change"

    def show_pace(self) -> None:
        """Show how long uploads take from our server to the cluster, if it is known to be slow."""
        card = self._card
        self._page.form.show_pace(_PACE_OF_MYBINDER if card.on_binder and not card.trying else 0)

    async def _find_local_cluster(self) -> None:
        found = await local_cluster.find(self._folder, self._own_settings, start=False)
        if found is not None and self._card.state == "asking":
            await self._enter_local_cluster(*found)

    async def _enter_local_cluster(self, settings: Settings, token: str) -> None:
        self.settings, self._card.trying = settings, True
        self.show_pace()
        try:
            await self.check_token(token)
        finally:
            if self.current is None:
                self._leave_local_cluster()

    def _leave_local_cluster(self) -> None:
        self.settings, self._card.trying = self._own_settings, False
        self.show_pace()

    async def _open(self, token: str) -> Account:
        try:
            return await self._opener(self.settings, token, self._catalog)
        except RefusedError as error:
            if error.code == "token-refused" and self._card.preset:  # only the operator can replace it
                raise RefusedError("team-token-refused", cluster=error.facts["cluster"]) from error
            raise

    async def _show(self, account: Account) -> None:
        summary = await account.summary()
        if account is not self.current:
            return  # the account was closed meanwhile
        self._card.summary = {
            "email": summary.email,
            "running": summary.running,
            "most": summary.max_running,
            "credits": summary.credits,
            "cluster": summary.cluster,
            "here": summary.cluster in _THIS_MACHINE,
        }
        self._page.form.show_blockers()  # the credits decide whether a start can be paid

    async def _refresh(self, account: Account) -> None:
        """Request the numbers. On an error they stay unchanged: session cards show that the cluster does not answer."""
        with contextlib.suppress(RunQarnotError):
            await self._show(account)

    async def _restore_sessions(self) -> None:
        """Find the sessions of the account.

        Cards are made only after the browser has loaded the page: before, it does not find widgets that new ones refer
        to, such as a shared template, and would show an error instead.
        """
        account = self.current
        if account is None:
            return
        self._shell.finding = True
        try:
            found = await account.sessions()
            if self._card.is_given:  # otherwise a visitor has entered a token
                await self._shell.shown.wait()
        finally:
            self._shell.finding = False
        if account is self.current:
            usual = account.wait_estimates(found)
            used = Counter(session.view.image for session in found)
            self._page.form.show_history(usual, [image for image, _ in used.most_common()])
            self._page.sessions.restore(found, usual)
            self._page.form.sessions_changed()
            await self._page.form.offer_choices()
            walled = self._card.on_binder and not self._card.trying  # `reference/binder.md` §6
            await self._page.entry.look_around(account, found, SshOut.BLOCKED if walled else None)
        not_here = await account.not_runnable(self._catalog)
        if account is self.current:
            self._page.form.show_not_here(not_here)
        with contextlib.suppress(RunQarnotError):  # what nobody tells is not offered
            absent = await account.without_profile(image for image in self._catalog if image.needs_gpu)
            if account is self.current:
                self._page.form.show_absent(absent)
