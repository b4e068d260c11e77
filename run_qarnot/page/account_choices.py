"""The choices of an account under “More options”. They are loaded when the visitor opens them.

If the cluster does not answer, there are no choices. This is no error, because all of them are optional.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from run_qarnot.catalog import Catalog
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.names import session_of_bucket
from run_qarnot.page.actions import PageActions
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.props import resume_rows

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

_MOST_SIZES = 30  # each takes one request or several


class AccountChoices:
    """Buckets, machines, and the sizes of sessions to continue from."""

    def __init__(self, page: PageActions, card: StartCard, catalog: Catalog) -> None:
        self._page = page
        self._card = card
        self._titles = {image.id: image.name for image in catalog}
        self._sizes: dict[str, int] = {}  # bytes of the buckets with results of sessions that are over
        self._account: Account | None = None

    async def offer(self, account: Account) -> None:
        """Load all choices, and show them unless the account is forgotten meanwhile."""
        self._account = account
        await asyncio.gather(self._buckets(account), self._machines(account), self._measure(account))

    def show_sessions(self) -> None:
        """Show the sessions to continue from, after one was added or changed."""
        self._card.resumable = resume_rows(self._page.sessions.views(), self._titles, self._sizes)

    def forget(self) -> None:
        """Clear the choices; the account has changed."""
        self._account = None
        self._sizes = {}
        self._card.resumable = self._card.own_buckets = self._card.machine_kinds = []

    async def _buckets(self, account: Account) -> None:
        """Show the buckets that do not belong to a session."""
        with contextlib.suppress(RunQarnotError):
            names = await account.client.storage.buckets()
            if account is self._account:
                self._card.own_buckets = sorted(name for name in names if session_of_bucket(name) is None)

    async def _machines(self, account: Account) -> None:
        with contextlib.suppress(RunQarnotError):
            machines = await account.machines()
            if account is self._account:
                self._card.machine_kinds = [{"name": each.name, "kind": each.constraint} for each in machines]

    async def _measure(self, account: Account) -> None:
        sizes = self._sizes
        with contextlib.suppress(RunQarnotError):
            for bucket in self._unmeasured()[:_MOST_SIZES]:
                files = await account.client.storage.files(bucket)
                sizes[bucket] = sum(file.size for file in files)
        if account is self._account:
            self.show_sessions()

    def _unmeasured(self) -> list[str]:
        over = [view.results for view in self._page.sessions.views() if view.is_over and view.results]
        return [bucket for bucket in over if bucket not in self._sizes]
