"""Card 1: the token arrives as an event, never as a trait, and one line names the account.

Visitors without a token may use the local cluster, if the page's server offers it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import traitlets

from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event

_LONGEST_TOKEN = 4096


class AccountCard(Component):
    """`state` is one of: asking, checking, known. `trying`: the account is that of the local cluster."""

    source = Path(__file__).with_suffix(".vue")

    state = traitlets.Unicode("asking").tag(sync=True)
    preset = traitlets.Bool(False).tag(sync=True)
    can_try = traitlets.Bool(False).tag(sync=True)
    trying = traitlets.Bool(False).tag(sync=True)
    on_binder = traitlets.Bool(False).tag(sync=True)  # of mybinder.org
    trimmed = traitlets.Bool(False).tag(sync=True)
    summary: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(self, page: PageActions, tasks: Background) -> None:
        self._page = page
        super().__init__("account", tasks)

    @property
    def is_given(self) -> bool:
        """Whether the account was opened without a typed token."""
        return self.preset or self.trying

    @event
    async def vue_check(self, fields: Fields) -> None:
        await self._page.account.check_token(fields.text("token", _LONGEST_TOKEN))

    @event
    async def vue_try_here(self, _fields: Fields) -> None:
        await self._page.account.try_here()

    @event
    def vue_change(self, _fields: Fields) -> None:
        self._page.account.forget()
