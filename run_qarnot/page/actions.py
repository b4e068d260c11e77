"""What components and controllers may ask of the page: one object, `PageActions`, with a part for each controller.

Protocols alone: a controller knows the components that it fills, components know these, and nobody imports a circle.
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
    """What is shared: text to copy."""

    link: str
    badge: str


class AccountActions(Protocol):
    """The account: opened by a token, forgotten by Change."""

    @property
    def current(self) -> Account | None:
        """The account that is open."""

    @property
    def state(self) -> str:
        """Of the card: "asking", "checking" or "known"."""

    @property
    def is_preset(self) -> bool:
        """Whether it is the operator's, so that there is no field for a token."""

    @property
    def credits(self) -> float | None:
        """Euros that it has left, as last asked; None if the cluster does not say."""

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
        """Ask again for what the card says of it."""

    def token_hint(self) -> str:
        """What to do about a token that is not accepted any more: a word of the cards; empty if it is."""


class FormActions(Protocol):
    """The form: environment, files, options, Start."""

    @property
    def current(self) -> Form:
        """What was entered so far."""

    def choose(self, image_id: str) -> None:
        """Choose an image of the catalog."""

    def set_option(self, name: str, value: OptionValue) -> None:
        """Take over an option of the chosen image."""

    def set_texts(self, values: dict[str, str]) -> None:
        """Take over what is typed: `FORM_FIELDS`."""

    def show_blockers(self) -> None:
        """Show why Start is not possible."""

    def show_problems(self) -> None:
        """Show what is wrong with catalog and plugins, as far as is known now."""

    def show_history(self, usual: Mapping[str, float], most_used: list[str]) -> None:
        """Show what earlier sessions tell of images: seconds until a machine runs, and which are used most."""

    def show_not_here(self, images: list[str]) -> None:
        """Show which images, by id, the cluster cannot run."""

    def show_pace(self, bytes_per_second: int) -> None:
        """Say how fast files go from the server to the cluster; 0 where that is not known to be slow."""

    def sessions_changed(self) -> None:
        """Show what follows from the sessions: those that one can continue from, and prices."""

    async def offer_choices(self) -> None:
        """Show what the account has to choose from, once somebody looks at More options."""

    async def start(self) -> None:
        """Start what the form says, if nothing speaks against it."""

    def preset(self) -> str:
        """Return what a launch link would say of the form as it is now."""

    def apply_preset(self, query: str) -> None:
        """Fill the form with what `preset` has returned."""

    def share(self, address: str) -> Shared:
        """Make a link that fills the form as it is now."""

    def share_session(self, session: Session, address: str) -> Shared:
        """Make a link that fills the form as it was for a session."""

    def take_from(self, session: Session) -> None:
        """Fill the form with what a session was started with; nothing starts."""

    def form_of(self, session: Session) -> Form:
        """Return what a session was started with, with a new name."""

    def forget(self) -> None:
        """Forget what was typed, the files, and what the account told."""


class EntryActions(Protocol):
    """How a session will be opened, said before it is started."""

    async def look_around(self, account: Account, found: Iterable[Session], ssh_out: SshOut | None = None) -> None:
        """Find out what the way to a session is like; `ssh_out` where it is known without trying."""

    def agree(self, *, agreed: bool) -> None:
        """The visitor agrees to open the session in another way than by a click here, or does not any more."""

    def blockers(self, form: Form) -> list[Blocker]:
        """Say how a session of this form will be opened; return why it cannot be started yet."""

    def check(self, form: Form, name: str) -> None:
        """Refuse to repeat the session `name` with this form, if the visitor was not asked."""

    def forget(self) -> None:
        """The account is another one."""


class SessionActions(Protocol):
    """The sessions of the account, and their cards."""

    @property
    def opener(self) -> SessionOpener:
        """Leads a browser to a session."""

    def add(self, session: Session) -> None:
        """Show a session that was just started, and see it through."""

    def restore(self, found: Iterable[Session], usual: Mapping[str, float]) -> None:
        """Show the sessions of an account; `usual` are seconds until a machine runs, by image."""

    def show_older(self) -> None:
        """Show the next of those that ended long ago."""

    def views(self) -> list[SessionView]:
        """Return what is known of all of them."""

    def tasks(self) -> list[TaskSnapshot]:
        """Return what the cluster says of all of them, the newest first."""

    def needing_us(self) -> list[str]:
        """Return the names of those that are given files or stopped by this page, and not yet done."""

    def told(self, before: SessionView | None, view: SessionView) -> None:
        """A card shows a new view."""

    async def start_again(self, session: Session, changes: Mapping[str, str]) -> None:
        """Begin the next run of a session; `changes` are "image", "hours" and "idle", as typed, empty for as before."""

    async def extend(self, session: Session, hours: str) -> None:
        """Give a session more hours."""

    def deleted(self, session: Session) -> None:
        """A session is gone."""

    def clear(self) -> None:
        """Let go of all."""


class PageActions(Protocol):
    """The page, as its parts see it."""

    @property
    def account(self) -> AccountActions:
        """The account."""

    @property
    def form(self) -> FormActions:
        """The form."""

    @property
    def entry(self) -> EntryActions:
        """The way to a session."""

    @property
    def sessions(self) -> SessionActions:
        """The sessions."""

    def set_language(self, wanted: str) -> None:
        """Go on in another language."""

    def visitor_arrived(self, query: str) -> None:
        """The visitor of a page that was made ahead is there; `query` is of the address."""
