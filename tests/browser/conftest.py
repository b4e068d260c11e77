"""One demo for the whole folder, one Chromium a file; every test has a page of its own."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from support.chromium import ARGUMENTS, chromium
from support.command import REPOSITORY, CommandLine, clean_environment
from support.ports import free_port
from support.servers import Server, running
from support.traffic import Traffic

from qarnot_local import LocalCluster

expect.set_options(timeout=20_000)  # a page that opens on a busy machine takes more than the five seconds of before


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """The working folder of the demo, which is also its home and holds its temporary files.

    Not pytest's own: the path of a unix socket may have a hundred characters only.
    """
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    (folder / "tmp").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def demo(home: Path) -> Iterator[Server]:
    environment = clean_environment(
        HOME=str(home), TMPDIR=str(home / "tmp"), RUN_QARNOT_PLUGINS=str(REPOSITORY / "plugins")
    )
    more = ("--no-browser", "--port", free_port(), "--log-file", home / "demo.log")
    with running(CommandLine(home, environment), "demo", *more) as server:
        server.address()
        yield server
    assert list((home / "tmp").iterdir()) == [], "what pages, sessions and their cluster made is gone"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """For the dashboards that files have of their own: one a file, so that they find only their own sessions."""
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: Playwright keeps an event loop running, and other tests want one of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def motion() -> str:
    """What moves costs a third of a processor where there is no graphics card; tests about it say so."""
    return "reduce"


@pytest.fixture
def page(browser: Browser, motion: Any) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", accept_downloads=True, reduced_motion=motion)
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    for tab in context.pages:
        with contextlib.suppress(Error):  # it is closing already
            tab.goto("about:blank")  # the farewell by which a kernel ends; closing a context says none
    context.close()


@pytest.fixture
def traffic(page: Page) -> Traffic:
    """All that the browser gets from any server."""
    return Traffic(page.context)
