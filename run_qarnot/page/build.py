"""Puts the page together: `build()` is all that the notebook calls.

One direction: components call `PageActions` for the visitor's actions; a controller changes the form or calls the
engine; then it sets the traits of components. The engine is imported only when there is a token, so that the first
paint loads neither `qarnot` nor `boto3`.
"""

from __future__ import annotations

import html
import os
from functools import partial
from pathlib import Path

from IPython.display import HTML
from ipyvuetify.Themes import theme

from run_qarnot.catalog import Catalog
from run_qarnot.core import language
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.links import is_mybinder, shared_address
from run_qarnot.model.settings import Settings, read_settings
from run_qarnot.page import guard, kernel_output
from run_qarnot.page.background import Background
from run_qarnot.page.components.account import AccountCard
from run_qarnot.page.components.environment import EnvironmentCard
from run_qarnot.page.components.shell import Shell
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.controllers.account import AccountController, Opener, open_account
from run_qarnot.page.controllers.entry import EntryController
from run_qarnot.page.controllers.form import FormController
from run_qarnot.page.controllers.sessions import SessionsController
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.options import LOGOUT_VARIABLE
from run_qarnot.page.uploads import Uploads
from run_qarnot.page.words import section


def build(opener: Opener = open_account) -> Shell | HTML:
    """Build the page from the environment and the current folder; must run in a kernel (on its loop).

    Other servers lack the page's routes, limits and end of kernels; there, it shows how to start our server.
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
    page.form.shared_address = partial(shared_address, environment=os.environ)
    page.account_card.on_binder = is_mybinder(os.environ)
    page.account.show_pace()
    page.shell.logout = os.environ.get(LOGOUT_VARIABLE, "")
    page.begin()
    if os.environ.get("VOILA_PREHEAT") == "True":
        page.shell.preheated = True  # no visitor yet: the browser reports the arrival and the address
    else:
        page.visitor_arrived(os.environ.get("QUERY_STRING", ""))
    return page.shell


def _say_how_to_start() -> HTML:
    """Return a sentence instead of the page; its class tells the template that the page has loaded."""
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
    """One visitor's page: its components, and the controllers that fill them. It is their `PageActions`."""

    def __init__(self, settings: Settings, catalog: Catalog, opener: Opener, downloads: Downloads) -> None:
        self.tasks = Background()
        self.catalog = catalog
        self.uploads = Uploads(downloads.folder)  # which the server deletes if this kernel is killed
        self.account_card = AccountCard(self, self.tasks)
        self.environment_card = EnvironmentCard(self, self.tasks)
        self.start_card = StartCard(self, self.tasks, self.uploads)
        self.shell = Shell(
            self, self.tasks, account=self.account_card, environment=self.environment_card, start=self.start_card
        )
        self.account = AccountController(
            self, self.tasks, self.account_card, self.shell, settings, catalog, opener, downloads.folder
        )
        self.entry = EntryController(self, self.start_card, catalog)
        self.form = FormController(
            self, self.tasks, self.environment_card, self.start_card, self.shell, self.uploads, catalog
        )
        self.sessions = SessionsController(self, self.tasks, self.shell, catalog, downloads)

    def begin(self) -> None:
        """Show the form, and watch the browser's pings."""
        self.form.begin()
        self.tasks.spawn(self.sessions.pause_when_nobody_looks(), self.shell.failed)

    def visitor_arrived(self, query: str) -> None:
        """Open the operator's account, if there is one, and fill in the form values of the address."""
        self.account.visitor_arrived()
        self.form.fill(query)

    def set_language(self, wanted: str) -> None:
        """Switch to another language."""
        if wanted == language.spoken() or wanted not in language.LANGUAGES:
            return
        language.set_language(wanted)
        for component in (self.shell, self.account_card, self.environment_card, self.start_card):
            component.retranslate()
        self.sessions.retranslate()
        self.form.retranslate()
