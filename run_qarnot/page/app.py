"""Puts the page together: `build()` is all that the notebook calls.

One direction: components call in with what the visitor wants; `Page` changes the form or asks the engine; components
show what they are told. The engine is imported only when there is a token, so that the first paint loads neither
`qarnot` nor `boto3`.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from IPython.display import HTML
from ipyvuetify.Themes import theme

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.core import language
from run_qarnot.core.errors import RefusedError, RunQarnotError, SessionError
from run_qarnot.core.names import make_name
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.files import Upload
from run_qarnot.model.keys import KeyPolicy
from run_qarnot.model.links import Filling, is_mybinder, make_badge, make_link, read_link, shared_address
from run_qarnot.model.settings import Settings, check_token, read_settings
from run_qarnot.model.spec import parse_hours
from run_qarnot.page import guard, kernel_output, local_cluster
from run_qarnot.page.account_choices import AccountChoices
from run_qarnot.page.background import Background
from run_qarnot.page.components.account import AccountCard
from run_qarnot.page.components.environment import EnvironmentCard
from run_qarnot.page.components.share import Shared
from run_qarnot.page.components.shell import Shell
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.options import LOGOUT_VARIABLE
from run_qarnot.page.props import link_row, option_row, planned_hours, problem_rows, shared_hours, shared_options
from run_qarnot.page.sessions import Sessions
from run_qarnot.page.uploads import Incoming, Uploads
from run_qarnot.page.viewmodel import FORM_FIELDS, Form, OptionValue
from run_qarnot.page.words import section

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account
    from run_qarnot.page.components.session import SessionCard

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_PACE_OF_MYBINDER = 125_000  # bytes per second: it lets out 1 Mbit/s (`reference/binder.md` §6)
Opener = Callable[[Settings, str, Catalog], Awaitable["Account"]]


async def open_account(settings: Settings, token: str, catalog: Catalog) -> Account:
    """Open an account with the engine, which is imported here and in a thread: it takes half a second."""
    module = await in_thread(importlib.import_module, "run_qarnot.engine.account")
    return cast("Account", await module.Account.open(settings, token, catalog))


def build(opener: Opener = open_account) -> Shell | HTML:
    """Build the page from the environment and the current folder; must run in a kernel (on its loop).

    Other servers lack the page's routes, limits and farewells; there, it says how to start it.
    """
    downloads = Downloads.from_environment()
    if downloads.folder is None:
        return _say_how_to_start()
    kernel_output.divert()
    guard.install()  # before the first component exists
    _paint()
    settings = read_settings(os.environ, Path.cwd())
    language.set_language(language.preferred(os.environ.get("HTTP_ACCEPT_LANGUAGE", "")))
    page = Page(settings, find_plugins(settings).catalog(), opener, downloads)
    page.shared_address = partial(shared_address, environment=os.environ)
    page.account_card.on_binder = is_mybinder(os.environ)
    page.show_onward_pace()
    page.shell.logout = os.environ.get(LOGOUT_VARIABLE, "")
    page.begin()
    if os.environ.get("VOILA_PREHEAT") == "True":
        page.shell.preheated = True  # nobody is there yet: the browser says when, and with which address
    else:
        page.visitor_arrived(os.environ.get("QUERY_STRING", ""))
    return page.shell


def _say_how_to_start() -> HTML:
    """Return a sentence in the page's place; the class tells the template that something is there."""
    language.set_language(language.preferred(os.environ.get("HTTP_ACCEPT_LANGUAGE", "")))
    style = "max-width: 960px; margin: 0 auto; padding: 24px 16px; font-size: 15px; line-height: 1.5"
    text = html.escape(section("extension")["elsewhere"])
    return HTML(f'<p class="rq-app" style="{style}">{text}</p>')  # type: ignore[no-untyped-call]


def _paint() -> None:
    light, dark = theme.themes.light, theme.themes.dark
    light.primary, light.secondary, light.background, light.surface = "#0E5A64", "#4A6670", "#F5F7F8", "#FFFFFF"
    light.error, light.success, light.warning, light.info = "#B3261E", "#1B6E3C", "#8A5300", "#175CA8"
    dark.primary, dark.secondary, dark.background, dark.surface = "#7CCFD8", "#A9C3CA", "#11171A", "#1A2226"
    dark.error, dark.success, dark.warning, dark.info = "#FFB4AB", "#7FD8A0", "#F3BE6B", "#9CC7FF"


class Page:
    """The state of one visitor's page."""

    def __init__(self, settings: Settings, catalog: Catalog, opener: Opener, downloads: Downloads) -> None:
        self.settings = self._own_settings = settings
        self.catalog = catalog
        self._opener = opener
        self.account: Account | None = None
        self.tasks = Background()
        self.uploads = Uploads(downloads.folder)  # which the server erases, should this kernel be killed
        self.form = Form()
        self.shared_address: Callable[[str], str] = str  # what others open, made of what the address bar shows
        self._link = Filling()
        self._starts: dict[str, tuple[Form, tuple[Incoming, ...]]] = {}  # by name, for "start again"
        self.account_card = AccountCard(self.tasks, self.check_token, self.try_here, self.forget)
        self._folder = downloads.folder  # of our server
        self.environment_card = EnvironmentCard(self.tasks, self.choose, self.set_option)
        self.start_card = StartCard(
            self.tasks, self.uploads, self.set_form, self.start, self.show_blockers, self.share_form, self.offer
        )
        self.shell = Shell(
            self.tasks, self.set_language, self.visitor_arrived, lambda: self.sessions.show_older(),
            account=self.account_card, environment=self.environment_card, start=self.start_card,
        )  # fmt: skip
        self.sessions = Sessions(
            self.shell, self.tasks, catalog, downloads, self._session_changed, self.again, self.restart, self.share,
            self.extend, self.token_hint, self.show_problems,
        )  # fmt: skip
        self.choices = AccountChoices(self.start_card, self.sessions)

    def begin(self) -> None:
        """Show the catalog, and choose its first image."""
        self.environment_card.show(self.catalog)
        self.show_problems()
        if first := next((image for image in self.catalog if not image.hidden), None):
            self.choose(first.id)
        self._show_draft()
        self.account_card.preset = bool(self.settings.token)
        self.account_card.can_try = not self.settings.token and local_cluster.is_offered(self._folder)
        self.tasks.spawn(self.sessions.pause_when_nobody_looks(), self.shell.failed)

    def visitor_arrived(self, query: str) -> None:
        """A visitor is there: open the operator's account if there is one, and fill in what the address says."""
        if self.settings.token:
            self.tasks.spawn(self.check_token(""), self.account_card.failed)
        elif self.account_card.can_try:
            self.tasks.spawn(self._find_local_cluster(), self.account_card.failed)
        self.fill(query)

    def show_problems(self) -> None:
        """Show what is wrong with catalog and plugins, as far as is known now."""
        is_admin = self.account is not None and self.settings.is_admin(self.account.email)
        self.environment_card.show_problems(problem_rows(self.catalog, for_admin=is_admin))

    def set_language(self, wanted: str) -> None:
        """Go on in another language."""
        if wanted == language.spoken() or wanted not in language.LANGUAGES:
            return
        language.set_language(wanted)
        for component in (self.shell, self.account_card, self.environment_card, self.start_card):
            component.retranslate()
        self.sessions.retranslate()
        self.show_problems()
        self._show_link()
        self.show_blockers()

    # launch links

    def fill(self, query: str) -> None:
        """Fill the form with what a launch link says. It never starts anything."""
        self._link = read_link(query, self.catalog, self.form.image)
        image = self.catalog.images.get(self._link.image)
        if image is not None:
            self.form = self.form.with_link(self._link, image)
            self._show_image()
            self._show_draft(("hours",))
        self._show_link()

    def share_form(self, address: str) -> Shared:
        """Make a link that fills the form as it is now; without secrets."""
        image = self.catalog.get(self.form.image)
        return self._shared(address, image, self.form, parse_hours(self.form.hours, image))

    def share(self, card: SessionCard, address: str) -> Shared:
        """Make a link that fills the form as it was for a session; of an older one, as its task tells."""
        from run_qarnot.engine.restart_spec import entered_options

        view, facts = card.session.view, card.session.facts
        image = self.catalog.get(view.image)
        if view.name in self._starts:
            form = self._starts[view.name][0]
            return self._shared(address, image, form, parse_hours(form.hours, image))
        entered = {} if facts is None else entered_options(facts, image)
        return self._shared(address, image, Form(options=shared_options(entered, image)), planned_hours(view))

    def _shared(self, address: str, image: Image, form: Form, hours: float | None) -> Shared:
        options = {name: value for name, value in form.given_options().items() if image.options[name].type != "secret"}
        link = make_link(self.shared_address(address), image, hours=hours and shared_hours(hours), options=options)
        return Shared(link, make_badge(link, image))

    def _show_link(self) -> None:
        self.shell.link = link_row(self._link, self.catalog.images.get(self._link.image))

    # the account

    async def check_token(self, text: str) -> None:
        """Open the account of a token, and show its sessions. An empty text means the operator's token."""
        card = self.account_card
        if card.state != "asking":
            return
        card.state, card.problem = "checking", None
        self.show_blockers()
        try:
            given = text or self.settings.token or ""
            token = check_token(given)
            card.trimmed = token != given
            self.account = await self._open(token)
            await self._show_account(self.account)
            card.state = "known"
        finally:
            if card.state != "known":
                card.state = "asking"
                if self.account is not None:
                    await self.account.close()
                self.account = None
            self.show_blockers()
            self.show_problems()
        await self._restore_sessions()

    async def try_here(self) -> None:
        """Start a cluster beside our server, and open its account.

        Raises:
            SessionError: it cannot be started.
        """
        card = self.account_card
        if card.state != "asking" or not card.can_try:
            return
        card.state, card.trying, card.problem = "checking", True, None
        self.show_blockers()
        found = await local_cluster.find(self._folder, self._own_settings, start=True)
        card.state = "asking"
        if found is None:
            card.trying = False
            self.show_blockers()
            raise SessionError("local-cluster")
        await self._enter_local_cluster(*found)

    async def _find_local_cluster(self) -> None:
        """Go on with the cluster beside our server, if that runs: the page was reloaded."""
        found = await local_cluster.find(self._folder, self._own_settings, start=False)
        if found is not None and self.account_card.state == "asking":
            await self._enter_local_cluster(*found)

    async def _enter_local_cluster(self, settings: Settings, token: str) -> None:
        self.settings, self.account_card.trying = settings, True
        self.show_onward_pace()
        try:
            await self.check_token(token)
        finally:
            if self.account is None:
                self._leave_local_cluster()

    def _leave_local_cluster(self) -> None:
        self.settings, self.account_card.trying = self._own_settings, False
        self.show_onward_pace()

    def show_onward_pace(self) -> None:
        """Say how long files take from our server to the cluster, where that is known to be slow."""
        card = self.account_card
        self.start_card.files.onward_pace = _PACE_OF_MYBINDER if card.on_binder and not card.trying else 0

    async def _open(self, token: str) -> Account:
        try:
            return await self._opener(self.settings, token, self.catalog)
        except RefusedError as error:
            if error.code == "token-refused" and self.account_card.preset:  # visitors cannot mend it
                raise RefusedError("team-token-refused", cluster=error.facts["cluster"]) from error
            raise

    def token_hint(self) -> str:
        """What to do about a token that was accepted and is not any more: a word of the cards; empty if it is."""
        if self.account is None or not self.account.is_refused:
            return ""
        return "token_team" if self.account_card.preset else "token_change"

    def forget(self) -> None:
        """Forget everything of this account: token, sessions, files, what was typed.

        Raises:
            SessionError: a session would stay half done; nothing is forgotten.
        """
        if names := self.sessions.needing_us():
            raise SessionError("still-needed", names=", ".join(names))
        account, self.account = self.account, None
        if account is not None:
            self.tasks.spawn(account.close(), self.shell.failed)
        self._leave_local_cluster()
        self.sessions.clear()
        self.environment_card.usual = self.sessions.usual = {}
        self.environment_card.not_here = []
        self._starts.clear()
        self.uploads.clear()
        card = self.account_card
        card.state, card.summary, card.trimmed, card.problem = "asking", None, False, None
        image = self.catalog.images.get(self.form.image)
        self.form = Form() if image is None else Form().with_image(image)
        self.choices.forget()
        self.show_problems()
        if image is not None:
            self._show_image()
        self.environment_card.call("forget")
        self._show_draft()
        self.start_card.files.show()
        self.start_card.files.call("forget_remembered")

    async def _show_account(self, account: Account) -> None:
        summary = await account.summary()
        if account is not self.account:
            return  # it was forgotten meanwhile: nothing of it is shown any more
        self.account_card.summary = {
            "email": summary.email,
            "running": summary.running,
            "most": summary.max_running,
            "credits": summary.credits,
            "cluster": summary.cluster,
            "here": summary.cluster in _THIS_MACHINE,
        }

    async def _restore_sessions(self) -> None:
        """Find every session of the account again, with nothing but the token.

        No card is made before the browser shows the page: while it loads, it does not find widgets that new ones refer
        to, such as a template that several share, and shows an error in their place.
        """
        account = self.account
        if account is None:
            return
        self.shell.finding = True
        try:
            found = await account.sessions()
            if self.account_card.is_given:  # else somebody has given a token
                await self.shell.shown.wait()
        finally:
            self.shell.finding = False
        if account is self.account:
            usual = account.wait_estimates(found)
            self.environment_card.usual = self.sessions.usual = usual
            self.sessions.restore(found)
            self.choices.show_sessions()
            await self.offer()
        from run_qarnot.engine.played_images import not_runnable

        not_here = await not_runnable(account, self.catalog)
        if account is self.account:
            self.environment_card.not_here = not_here

    async def offer(self) -> None:
        """Show what the account has to choose from, once somebody looks at More options."""
        if self.account is not None and self.start_card.looked:
            await self.choices.offer(self.account)

    # the form

    def choose(self, image_id: str) -> None:
        """Choose an image of the catalog; one that is not there changes nothing."""
        image = self.catalog.images.get(image_id)
        if image is None or image.id == self.form.image:
            return
        self.form = self.form.with_image(image)
        self._show_image()
        self._show_draft(("hours",))

    def set_option(self, name: str, value: OptionValue) -> None:
        image = self.catalog.images.get(self.form.image)
        if image is not None and name in image.options:
            self.form = self.form.with_option(name, value)
            self.show_blockers()

    def set_form(self, values: dict[str, str]) -> None:
        form = self.form.with_texts(values)
        if form != self.form:
            self.start_card.problem = None  # it may be just what was put right
        self.form = form
        self.show_blockers()

    def show_blockers(self) -> None:
        """Work out why Start is not possible, and show it: the form has changed."""
        self.start_card.share.put_away()
        card = self.account_card
        blockers = self.form.blockers(self.catalog, account=card.state, preset=card.preset, uploads=self.uploads)
        self.start_card.blockers = [{"text": blocker.text, "field": blocker.field} for blocker in blockers]
        self.environment_card.reasons = {blocker.field: blocker.text for blocker in blockers}

    def _show_image(self) -> None:
        image, card = self.catalog.images[self.form.image], self.environment_card
        card.choose(image)
        card.options = [option_row(name, option, self.form.options.get(name)) for name, option in image.options.items()]
        self.start_card.image_title, self.start_card.most_hours = image.name, image.max_hours
        self.start_card.one_key = image.ssh_keys is KeyPolicy.ONE

    def _show_draft(self, only: Sequence[str] = FORM_FIELDS) -> None:
        self.start_card.show_draft(self.form.texts(), only)
        self.show_blockers()

    # sessions

    async def start(self) -> None:
        """Start what the form says, if nothing speaks against it."""
        self.show_blockers()
        if self.account is None or self.start_card.blockers or self.start_card.starting:
            return
        self.start_card.starting, self.start_card.problem = True, None
        try:
            await self._start(self.account)
        finally:
            self.start_card.starting = False
            self.show_problems()  # plugins were asked

    async def _start(self, account: Account) -> None:
        form, files = self.form, tuple(self.uploads)
        await self._begin(account, form, files)
        for incoming in files:  # and no others, which came meanwhile
            self.uploads.remove(incoming.id)
        if self.form.name == form.name:  # nor is a name lost that was typed meanwhile
            self.form = replace(self.form, name=make_name(), resume="")
        self._show_draft(("name", "resume"))
        self.start_card.files.show()

    async def _begin(self, account: Account, form: Form, files: tuple[Incoming, ...]) -> None:
        """Start a session of a form with files, and remember them for another start."""
        spec = form.spec(self.catalog)
        session = await account.start(spec, [Upload(incoming.path, incoming.key) for incoming in files])
        self._starts[spec.name] = (form, files)
        self.uploads.keep(files)
        self.sessions.add(session)

    def again(self, card: SessionCard) -> None:
        """Fill the form with what the session was started with; nothing starts before Start is pressed.

        Raises:
            InputError: its image is not in the catalog any more.
        """
        self.form, files = self._form_of(card)
        self.uploads.restore(files)
        self._show_image()
        self._show_draft()
        self.start_card.files.show()
        self.start_card.call("come_here")

    async def restart(self, card: SessionCard) -> None:
        """Start the same again, whatever the form says now and whichever files are in its list.

        Raises:
            RunQarnotError: why it cannot be started; nothing is.
        """
        if self.account is not None:
            form = self._form_of(card)
            self._check_all_known(card)
            await self._begin(self.account, *form)
            self.show_problems()  # plugins were asked

    def _check_all_known(self, card: SessionCard) -> None:
        """The same again is possible only if all is known that was entered; else somebody must look at it.

        Raises:
            SessionError: of an option it is not.
        """
        from run_qarnot.engine.restart_spec import unknown_options

        view, facts = card.session.view, card.session.facts
        if view.name in self._starts or facts is None:
            return
        options = self.catalog.get(view.image).options
        if unknown := unknown_options(facts, self.catalog.get(view.image)):
            names = ", ".join(options[name].label or name for name in unknown)
            raise SessionError("options-lost", name=view.name, options=names)

    def _form_of(self, card: SessionCard) -> tuple[Form, tuple[Incoming, ...]]:
        """What a session was started with, but with a new name: the form, and the files that it was given.

        Of one that an earlier page started it is what its task tells, and its files come with `resume`.

        Raises:
            InputError: its image is not in the catalog any more.
        """
        from run_qarnot.engine.restart_spec import entered_options, user_key  # where sessions are, the engine is

        view, facts = card.session.view, card.session.facts
        image = self.catalog.get(view.image)
        if view.name in self._starts:
            form, files = self._starts[view.name]
            return replace(form, name=make_name()), files
        form = replace(Form().with_image(image), resume=view.id or view.name)
        if hours := planned_hours(view):
            form = replace(form, hours=f"{hours:g}")
        if facts is not None:
            form = replace(form, key=user_key(facts) or "", options=entered_options(facts, image))
            form = form.with_machine(facts.hardware, facts.scheduling, image)
        return form, ()

    async def extend(self, card: SessionCard, hours: str) -> None:
        """Give a session more hours, in the only way that there is: it is stopped, and goes on in a new one.

        Raises:
            RunQarnotError: it cannot; then it still runs.
        """
        if self.account is None:
            return
        wanted = parse_hours(hours, self.catalog.get(card.session.view.image))
        self.sessions.add(await self.account.continue_with(card.session, wanted))

    def _session_changed(self) -> None:
        """A session began, became ready or ended: the numbers of the account are others now."""
        self.choices.show_sessions()
        if self.account is not None:
            self.tasks.spawn(self.offer(), self.start_card.failed)
            self.tasks.spawn(self._refresh_account(self.account), self.account_card.failed)

    async def _refresh_account(self, account: Account) -> None:
        """What cannot be asked now stays as it was: the session's card says that the cluster does not answer."""
        with contextlib.suppress(RunQarnotError):
            await self._show_account(account)
