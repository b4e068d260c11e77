"""What the card of a session needs of the page around it. Apart from the card, which is loaded with the first one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from run_qarnot.model.view import SessionView
from run_qarnot.page.components.share import Shared
from run_qarnot.page.proxied import SessionOpener

if TYPE_CHECKING:
    from run_qarnot.page.components.session import SessionCard


@dataclass(frozen=True)
class PageActions:
    """Each is called by a card."""

    changed: Callable[[SessionView | None, SessionView], None]
    again: Callable[[SessionCard], None]  # fills the form
    restart: Callable[[SessionCard], Awaitable[None]]  # starts the same
    share: Callable[[SessionCard, str], Shared]
    extend: Callable[[SessionCard, str], Awaitable[None]]  # for so many more hours
    deleted: Callable[[SessionCard], None]
    token_hint: Callable[[], str]  # a word: what to do about a token that is not accepted any more; empty if it is
    plugins_asked: Callable[[], None]  # one may have failed
    opener: SessionOpener
