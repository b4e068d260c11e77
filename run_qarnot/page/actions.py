"""The interface of the page for components and controllers: one object, `PageActions`, with a part per controller.

These are protocols only, so that components do not import controllers, which import components.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from run_qarnot.model.view import SessionView
from run_qarnot.page.proxied import SessionOpener

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account
    from run_qarnot.engine.price_estimate import TaskSnapshot
    from run_qarnot.engine.session import Session
    from run_qarnot.model.expected_connection import SshOut
    from run_qarnot.page.viewmodel import Blocker, Form, OptionValue


class Shared(NamedTuple):
    """The texts that Share shows, to be copied."""

    link: str
    badge: str


class AccountActions(Protocol):
    """The account, which a token opens and Change closes."""

    @property
    def current(self) -> Account | None:
        """The open account, if there is one."""

    @property
    def state(self) -> str:
        """The state of the card: "asking", "checking" or "known"."""

    @property
    def is_preset(self) -> bool:
        """Whether it is the operator's account, so that there is no field for a token."""

    @property
    def credits(self) -> float | None:
        """The credits in euros at the last request; None if unknown."""

    @property
    def is_admin(self) -> bool:
        """Whether its owner may see tracebacks of plugins."""

    async def check_token(self, text: str) -> None:
        """Open the account of a token and show its sessions; an empty text means the operator's token."""

    async def try_here(self) -> None:
        """Start a local cluster beside the server, and open its account."""

    def forget(self) -> None:
        """Forget the account and all that belongs to it."""

    def refresh(self) -> None:
        """Request the values of the card again."""

    def token_hint(self) -> str:
        """Return the hint for a token that is no longer accepted, as a key of the card's words; empty if it is."""


class FormActions(Protocol):
    """The form: environment, files, options, Start."""

    @property
    def current(self) -> Form:
        """The form as entered so far."""

    def choose(self, image_id: str) -> None:
        """Choose an image of the catalog."""

    def set_option(self, name: str, value: OptionValue) -> None:
        """Set an option of the chosen image."""

    def set_texts(self, values: dict[str, str]) -> None:
        """Set the typed fields: `FORM_FIELDS`."""

    def show_blockers(self) -> None:
        """Show why Start is not possible."""

    def show_problems(self) -> None:
        """Show the problems of catalog and plugins that are known now."""

    def show_history(self, usual: Mapping[str, float], most_used: list[str]) -> None:
        """Show statistics of earlier sessions: seconds until a machine runs, and the most used images."""

    def show_not_here(self, images: list[str]) -> None:
        """Show which images, by id, the cluster cannot run."""

    def show_absent(self, images: list[str]) -> None:
        """Hide images, by id, that this account cannot start."""

    def show_pace(self, bytes_per_second: int) -> None:
        """Show the speed of uploads from the server to the cluster; 0 unless it is known to be slow."""

    def sessions_changed(self) -> None:
        """Show what depends on the sessions: those to continue from, and prices."""

    async def offer_choices(self) -> None:
        """Load the choices of the account, once More options is open."""

    async def start(self) -> None:
        """Start a session of the form, unless there are blockers."""

    def preset(self) -> str:
        """Return the query of a launch link for the current form."""

    def apply_preset(self, query: str) -> None:
        """Fill the form from the result of `preset`."""

    def share(self, address: str) -> Shared:
        """Return a link to the current form."""

    def share_session(self, session: Session, address: str) -> Shared:
        """Return a link to the form of a session."""

    def take_from(self, session: Session) -> None:
        """Fill the form with the values of a session; nothing starts."""

    def form_of(self, session: Session) -> Form:
        """Return the form of a session, with a new name."""

    def forget(self) -> None:
        """Clear the typed fields, the files and the values of the account."""


class EntryActions(Protocol):
    """Predicts how a session will be opened."""

    async def look_around(self, account: Account, found: Iterable[Session], ssh_out: SshOut | None = None) -> None:
        """Find out how sessions can be reached; `ssh_out` is what is known without trying."""

    def agree(self, *, agreed: bool) -> None:
        """Set whether the visitor agrees to open the session in another way than by a click here."""

    def blockers(self, form: Form) -> list[Blocker]:
        """Show how a session of this form will be opened; return why it cannot be started yet."""

    def check(self, form: Form, name: str) -> None:
        """Refuse to restart the session `name` with this form, if the visitor must be asked first."""

    def forget(self) -> None:
        """Reset for another account."""


class SessionActions(Protocol):
    """The sessions of the account, and their cards."""

    @property
    def opener(self) -> SessionOpener:
        """Opens sessions for the browser."""

    def add(self, session: Session) -> None:
        """Show a session that was just started, and follow it."""

    def restore(self, found: Iterable[Session], usual: Mapping[str, float]) -> None:
        """Show the sessions of an account; `usual` are seconds until a machine runs, by image."""

    def show_older(self) -> None:
        """Show more of the sessions that ended long ago."""

    def views(self) -> list[SessionView]:
        """Return the views of all sessions."""

    def tasks(self) -> list[TaskSnapshot]:
        """Return the tasks of all sessions, the newest first."""

    def needing_us(self) -> list[str]:
        """Return the names of sessions to which this page is sending files, or which it is stopping."""

    def told(self, before: SessionView | None, view: SessionView) -> None:
        """React to a new view of a card."""

    async def start_again(self, session: Session, changes: Mapping[str, str], *, update: bool = False) -> None:
        """Begin the next run of a session; `changes` has "image", "hours" and "idle", as typed; empty: unchanged.

        `update`: its repository is brought up to date first.
        """

    async def extend(self, session: Session, hours: str) -> None:
        """Give a session more hours."""

    def deleted(self, session: Session) -> None:
        """Remove the card of a deleted session."""

    def clear(self) -> None:
        """Remove all sessions from the page."""


class PageActions(Protocol):
    """The interface of the page for its parts."""

    @property
    def account(self) -> AccountActions:
        """The account."""

    @property
    def form(self) -> FormActions:
        """The form."""

    @property
    def entry(self) -> EntryActions:
        """The prediction of how a session will be opened."""

    @property
    def sessions(self) -> SessionActions:
        """The sessions."""

    def set_language(self, wanted: str) -> None:
        """Switch to another language."""

    def visitor_arrived(self, query: str) -> None:
        """React to the visitor of a preheated page; `query` is that of the address."""
