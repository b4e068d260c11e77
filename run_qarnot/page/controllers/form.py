"""The form: the entered values, the reasons why Start is not possible, and the start."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from run_qarnot import bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.names import make_name
from run_qarnot.model.files import Upload
from run_qarnot.model.keys import KeyPolicy
from run_qarnot.model.links import Filling, make_badge, make_link, read_link
from run_qarnot.model.price import Price
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.spec import parse_hours, parse_idle, parse_machines
from run_qarnot.page.account_choices import AccountChoices
from run_qarnot.page.actions import PageActions, Shared
from run_qarnot.page.background import Background
from run_qarnot.page.components.environment import EnvironmentCard
from run_qarnot.page.components.shell import Shell
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.props import (
    link_row,
    option_row,
    planned_hours,
    price_row,
    problem_rows,
    shared_hours,
    shared_options,
)
from run_qarnot.page.proxied import visitors_are_elsewhere
from run_qarnot.page.uploads import Incoming, Uploads
from run_qarnot.page.viewmodel import FORM_FIELDS, Form, OptionValue

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account
    from run_qarnot.engine.price_estimate import TaskSnapshot
    from run_qarnot.engine.session import Session

_ANYWHERE = "http://localhost/"  # a link needs an address; only the query of this one is used, nothing connects to it
_OF_LINK = ("hours", "idle", "machines", "git", "open")  # fields that a link fills in
PriceKey = tuple[str, tuple[tuple[str, object], ...], str]


class FormController:
    """Fills the cards Environment and Start, and starts sessions.

    Arguments:
        page: the other parts.
        tasks: of the page.
        environment: the card with the images.
        card: the card with the button.
        shell: shows which values came from a link.
        uploads: the files of the form.
        catalog: of the page.
    """

    def __init__(
        self,
        page: PageActions,
        tasks: Background,
        environment: EnvironmentCard,
        card: StartCard,
        shell: Shell,
        uploads: Uploads,
        catalog: Catalog,
    ) -> None:
        self.current = Form()
        self.shared_address: Callable[[str], str] = str  # from the browser's address to the one that other people open
        self.uploads = uploads
        self._page, self._environment, self._card, self._shell = page, environment, card, shell
        self._catalog, self._tasks = catalog, tasks
        self._choices = AccountChoices(page, card, catalog)
        self._link = Filling()
        self._not_here: list[str] = []
        self._prices: dict[PriceKey, float | None] = {}  # of an hour, once requested; None: unknown
        self._starts: dict[
            str, tuple[Form, tuple[Incoming, ...]]
        ] = {}  # by name: the entered values, including secrets

    def begin(self) -> None:
        """Show the catalog, and choose its first image."""
        self._environment.show(self._catalog)
        self._environment.hide(_with_gpu(self._catalog))
        self.show_problems()
        if first := next((image for image in self._catalog if not image.hidden), None):
            self.choose(first.id)
        self._show_draft(source="usual")

    def retranslate(self) -> None:
        """Re-render all texts in the current language."""
        self.show_problems()
        self._show_link()
        self.show_blockers()

    # entering

    def choose(self, image_id: str) -> None:
        """Choose an image of the catalog; an unknown id changes nothing."""
        image = self._catalog.images.get(image_id)
        if image is None or image.id == self.current.image:
            return
        self.current = self.current.with_image(image)
        self._show_image()
        self._show_draft(("hours", "idle", "machines"), source="usual")

    def set_option(self, name: str, value: OptionValue) -> None:
        image = self._catalog.images.get(self.current.image)
        if image is not None and name in image.options:
            self.current = self.current.with_option(name, value)
            self.show_blockers()

    def set_texts(self, values: dict[str, str]) -> None:
        form = self.current.with_texts(values)
        if form != self.current:
            self._card.problem = None  # the choice may have solved it
        self.current = form
        self.show_blockers()

    def forget(self) -> None:
        """Clear the typed fields, the files and the values of the account, for another account."""
        self.show_history({}, [])
        self._not_here = self._environment.not_here = []
        self._prices.clear()
        self._starts.clear()
        self.uploads.clear()
        image = self._catalog.images.get(self.current.image)
        self.current = Form() if image is None else Form().with_image(image)
        self._choices.forget()
        self._page.entry.forget()
        self.show_problems()
        if image is not None:
            self._show_image()
        self._environment.hide(_with_gpu(self._catalog))
        self._environment.call("forget")
        self._card.call("forget_choices")
        self._show_draft()
        self._card.files.show()
        self._card.files.call("forget_remembered")

    # showing

    def show_blockers(self) -> None:
        """Show why Start is not possible, after a change of the form."""
        self._card.share.put_away()
        account = self._page.account
        price = self._price()
        self._show_price(price)
        blockers = [
            *self.current.blockers(
                self._catalog,
                account=account.state,
                preset=account.is_preset,
                uploads=self.uploads,
                not_here=self._not_here,
                price=price,
            ),
            *self._page.entry.blockers(self.current),
        ]
        self._card.blockers = [{"text": blocker.text, "field": blocker.field} for blocker in blockers]
        self._environment.reasons = {blocker.field: blocker.text for blocker in blockers}

    def show_problems(self) -> None:
        """Show the problems of catalog and plugins that are known now."""
        rows = problem_rows(self._catalog, for_admin=self._page.account.is_admin)
        self._environment.show_problems(rows)

    def show_history(self, usual: Mapping[str, float], most_used: list[str]) -> None:
        """Show statistics of earlier sessions.

        Arguments:
            usual: seconds until a machine runs, by image.
            most_used: images, by id, the most used first.
        """
        self._environment.usual, self._environment.most_used = dict(usual), most_used

    def show_not_here(self, images: list[str]) -> None:
        """Show which images, by id, the cluster cannot run."""
        self._environment.not_here = self._not_here = images
        self.show_blockers()

    def show_absent(self, images: list[str]) -> None:
        """Hide images, by id, that this account cannot start; all others are offered."""
        self._environment.hide(images)

    def show_pace(self, bytes_per_second: int) -> None:
        """Show the speed of uploads from the server to the cluster; 0 unless it is known to be slow."""
        self._card.files.onward_pace = bytes_per_second

    def sessions_changed(self) -> None:
        """Show what depends on the sessions: those to continue from, and prices."""
        self._choices.show_sessions()
        self._prices = {
            key: price for key, price in self._prices.items() if price is not None
        }  # request the others again
        self.show_blockers()

    async def offer_choices(self) -> None:
        """Load the choices of the account, once More options is open."""
        account = self._page.account.current
        if account is not None and self._card.looked:
            await self._choices.offer(account)

    def _show_image(self) -> None:
        image, card = self._catalog.images[self.current.image], self._environment
        options = self.current.options
        card.choose(image)
        card.options = [option_row(name, option, options.get(name)) for name, option in image.options.items()]
        self._card.image_title, self._card.most_hours = image.name, image.max_hours
        self._card.usual_machines, self._card.most_machines = image.machines, image.most_machines
        self._card.usual_idle = image.idle_minutes if image.judges_idle else None
        self._card.never_idle = not (image.judges_idle or image.effective_app.ends_by_itself)
        self._card.one_key = image.ssh_keys is KeyPolicy.ONE

    def _show_draft(self, only: Sequence[str] = FORM_FIELDS, *, source: str = "") -> None:
        self._card.show_draft(self.current.texts(), only, source=source)
        self.show_blockers()

    # prices

    def _price(self) -> Price:
        """Return what is known of the price. An unknown price is requested, and shown when it arrives."""
        account = self._page.account
        key = self._price_key()
        if key is None or account.current is None:
            return Price()
        if key not in self._prices:
            self._prices[key] = None
            if runs := self._runs_like(key):
                self._tasks.spawn(self._ask_price(account.current, key, runs), self._card.failed)
        return Price(self._prices[key], account.credits)

    def _price_key(self) -> PriceKey | None:
        """Return what determines the price: image, hardware, scheduling; None while they are invalid."""
        image = self._catalog.images.get(self.current.image)
        kinds = {each["name"]: each["kind"] for each in self._card.machine_kinds}
        try:
            hardware = {} if image is None else self.current.hardware(image, kinds)
        except InputError:
            return None
        if image is None:
            return None
        return image.id, tuple(sorted(hardware.items())), self.current.scheduling or image.scheduling

    def _runs_like(self, key: PriceKey) -> list[TaskSnapshot]:
        tasks = self._page.sessions.tasks()
        if not tasks:
            return []
        from run_qarnot.engine.price_estimate import similar_runs  # with sessions, the engine is loaded

        image, hardware, scheduling = key
        return similar_runs(tasks, image, dict(hardware), scheduling)

    async def _ask_price(self, account: Account, key: PriceKey, runs: list[TaskSnapshot]) -> None:
        """Request a price. An unknown price is not an error: none is shown."""
        from run_qarnot.engine.price_estimate import price_per_hour

        with contextlib.suppress(RunQarnotError):
            price = await price_per_hour(account.client, runs)
            if account is self._page.account.current:
                self._prices[key] = price
                self.show_blockers()

    def _show_price(self, price: Price) -> None:
        image = self._catalog.images.get(self.current.image)
        self._card.price = (
            {}
            if image is None
            else price_row(price, self.current.asked_hours(image), self.current.asked_machines(image))
        )

    # launch links

    def fill(self, query: str) -> None:
        """Fill the form with the values of a launch link. This never starts anything."""
        self._link = read_link(query, self._catalog, self.current.image)
        image = self._catalog.images.get(self._link.image)
        if image is not None:
            self.current = self.current.with_link(self._link, image)
            self._show_image()
            self._show_draft(_OF_LINK, source="" if self._link.hours else "usual")
        self._show_link()

    def preset(self) -> str:
        """Return the query of a launch link for the current form, without secrets."""
        return urlsplit(self._link_of(_ANYWHERE, self.current)).query

    def apply_preset(self, query: str) -> None:
        """Fill the form from the result of `preset`.

        Raises:
            RunQarnotError: a value is no longer possible; the others are filled in.
        """
        link = read_link(query, self._catalog, self.current.image)
        if (image := self._catalog.images.get(link.image)) is not None:
            self.current = replace(self.current, options={}).with_link(link, image)
            self._show_image()
            self._show_draft(_OF_LINK, source="preset")
        for problem in link.ignored:
            raise problem

    def share(self, address: str) -> Shared:
        """Return a link to the current form, without secrets."""
        link = self._link_of(self.shared_address(address), self.current)
        return Shared(link, make_badge(link, self._catalog.get(self.current.image), parse_repository(self.current.git)))

    def share_session(self, session: Session, address: str) -> Shared:
        """Return a link to the form of a session; if an earlier page started it, from the values of its task."""
        from run_qarnot.engine.restart_spec import entered_options

        view, facts = session.view, session.facts
        image = self._catalog.get(view.image)
        repository = None
        if view.name in self._starts:
            begun = self._starts[view.name][0]
            link, repository = self._link_of(self.shared_address(address), begun), parse_repository(begun.git)
        else:
            entered = {} if facts is None else entered_options(facts, image)
            hours = planned_hours(view)
            options = _without_secrets(shared_options(entered, image), image)
            hours = hours and shared_hours(hours)
            link = make_link(self.shared_address(address), image, hours=hours, options=options)
        return Shared(link, make_badge(link, image, repository))

    def _link_of(self, address: str, form: Form) -> str:
        """Return a link to a form, without secrets."""
        image = self._catalog.get(form.image)
        options = _without_secrets(form.given_options(), image)
        hours, idle = shared_hours(parse_hours(form.hours, image)), parse_idle(form.idle)
        return make_link(
            address,
            image,
            hours=hours,
            idle=idle,
            machines=parse_machines(form.machines),
            repository=parse_repository(form.git),
            opened=form.open,
            options=options,
        )

    def _show_link(self) -> None:
        self._shell.link = link_row(self._link, self._catalog.images.get(self._link.image))

    # starting

    async def start(self) -> None:
        """Start a session of the form, unless there are blockers."""
        self.show_blockers()
        account, card = self._page.account.current, self._card
        if account is None or card.blockers or card.starting:
            return
        card.starting, card.problem = True, None
        try:
            await self._start(account)
        finally:
            card.starting = False
            self.show_problems()  # calling plugins may have shown problems

    def take_from(self, session: Session) -> None:
        """Fill the form for a copy of a session; nothing starts before Start is pressed.

        Raises:
            InputError: its image is not in the catalog any more.
        """
        self.current = self.form_of(session)
        if not session.is_submitted and (begun := self._starts.get(session.view.name)):
            self.uploads.restore(begun[1])  # it has no files on the cluster that could be copied
        self._show_image()
        self._show_draft()
        self._card.files.show()
        self._card.call("come_here")

    async def _start(self, account: Account) -> None:
        form, files = self.current, tuple(self.uploads)
        await self._begin(account, form, files)
        for incoming in files:  # but not files that were added meanwhile
            self.uploads.remove(incoming.id)
        self.current = replace(self.current, git_token="")  # the repository was fetched
        self._card.call("forget_secrets")
        if self.current.name == form.name:  # keep a name that was typed meanwhile
            self.current = replace(self.current, name=make_name(), resume="")
        self._show_draft(("name", "resume"))
        self._card.files.show()

    async def _begin(self, account: Account, form: Form, files: tuple[Incoming, ...]) -> None:
        """Start a session of a form with files, and keep both for another start."""
        spec = form.spec(self._catalog)
        if spec.repository is not None and visitors_are_elsewhere(os.environ):
            spec = replace(spec, repository=replace(spec.repository, public_only=True))
        uploads = [Upload(incoming.path, incoming.key) for incoming in files if incoming.web is None]
        session = await account.start(spec, uploads, [each.web for each in files if each.web is not None])
        self._starts[spec.name] = (replace(form, git_token=""), files)
        self.uploads.keep(files)
        self._page.sessions.add(session)

    def form_of(self, session: Session) -> Form:
        """Return the form of a session with a new name; `resume` copies its files.

        If an earlier page started the session, the values are those of its task.

        Raises:
            InputError: its image is no longer in the catalog.
        """
        from run_qarnot.engine.restart_spec import entered_options, user_key  # with sessions, the engine is loaded

        view, facts = session.view, session.facts
        image = self._catalog.get(view.image)
        if view.name in self._starts:
            form, _files = self._starts[view.name]
            return (
                replace(_with_copy(form), name=make_name(), resume=view.id)
                if session.is_submitted
                else replace(form, name=make_name())
            )
        form = replace(Form().with_image(image), resume=view.id or view.name)
        if hours := planned_hours(view):
            form = replace(form, hours=f"{hours:g}")
        if facts is not None:
            form = replace(form, open=facts.constants.get(bootstrap.OPEN, ""))
            machines = "" if facts.machine_count == image.machines else str(facts.machine_count)
            form = replace(form, machines=machines, key=user_key(facts) or "", options=entered_options(facts, image))
            form = form.with_machine(facts.hardware, facts.scheduling, image)
        return form


def _with_gpu(catalog: Catalog) -> list[str]:
    """Return the ids of the images that are for accounts with a GPU alone."""
    return [image.id for image in catalog if image.needs_gpu]


def _with_copy(form: Form) -> Form:
    """Return a form for a copy of what it has started: its repository is among the files, as it was changed there."""
    repository = parse_repository(form.git)
    if repository is None:
        return form
    return replace(form, git="", open="/".join(filter(None, (repository.folder, form.open))))


def _without_secrets(options: Mapping[str, OptionValue], image: Image) -> dict[str, OptionValue]:
    return {name: value for name, value in options.items() if image.options[name].type != "secret"}
