"""The contract for plugins: read this first.

A plugin is a Python module with functions that carry the names below and the mark `@run_qarnot.hookimpl`:

    from run_qarnot import Image, hookimpl

    @hookimpl
    def rq_images(settings):
        return [Image(id="ours", title="Ours", repo="example/ours")]

It is found, in this order, built in; as an installed package with an entry point of the group `run_qarnot`; or as a
`*.py` file (or a folder with `__init__.py`) in the folder `plugins/`. Everything that it needs is importable from
`run_qarnot` itself. `run-qarnot new-plugin NAME` writes one to start from, `run-qarnot plugins` says what was found.

A function may omit arguments that it does not need. Plugins are called one at a time. One that raises, is misspelt,
takes more than five seconds, returns a value of another type, ends the program or prints is reported by name and
skipped; all others are called. A plugin never gets the Qarnot token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from run_qarnot.catalog.apps import App
    from run_qarnot.catalog.hooks import Panel
    from run_qarnot.catalog.image import Image, Option
    from run_qarnot.catalog.reader import Reading
    from run_qarnot.hooks.api import SessionEvent, SessionInfo, TaskDraft
    from run_qarnot.model.settings import Settings
    from run_qarnot.model.spec import SessionSpec

PROJECT = "run_qarnot"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rq_images(settings: Settings) -> Iterable[Image] | Mapping[str, Mapping[str, Any]] | Reading:
    """Provide images. Called whenever the catalog is read: when a page opens, and by each command that needs it.

    Arguments:
        settings: where the cluster and the catalog are. The token is not in it.

    Returns:
        Images; or a mapping of id → keys, as in `images.toml`, which is checked in the same way. Of two images with
        one id, that of the plugin that is found first is used, and the other one is reported.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def rq_apps() -> Iterable[App]:
    """Provide app kinds: how to reach the app of an image, and how to know that it is ready. `Image.app` names one.

    Returns:
        Apps. The names of those that are built in, `jupyterlab`, `ssh`, `web` and `batch`, are taken.
    """
    raise NotImplementedError


@hookspec
def rq_options(image: Image) -> Mapping[str, Option | Mapping[str, Any]] | None:
    """Provide further form fields for an image. Called for each image of the catalog, so it must be fast.

    Arguments:
        image: of the catalog, from any plugin.

    Returns:
        Name → option, as an `Option` or as the keys of `options.<name>` in `images.toml`; nothing for most images.
        Options that the image already has are kept.
    """
    raise NotImplementedError


@hookspec
def rq_prepare(plan: TaskDraft, spec: SessionSpec) -> None:
    """Change what is about to be sent to Qarnot, or refuse it. Called when somebody starts a session.

    Raise `Refusal("a sentence for who wants to start it")` to refuse; nothing is created, uploaded or started then. If
    it raises anything else, its changes are discarded.

    Arguments:
        plan: change its constants, buckets, tags, hardware, hours … in place.
        spec: what the user asked for: `image`, `name`, `hours`, `options`.
    """
    raise NotImplementedError


@hookspec
def rq_event(session: SessionInfo, event: SessionEvent) -> None:
    """Receive an event of a session, for example to notify a chat or to write an audit log.

    Called in order and in the background, by each process that follows the session: twice if two pages are open.

    Arguments:
        session: what is known of it. Addresses are not in it: they would let others in.
        event: what happened, and when.
    """
    raise NotImplementedError


@hookspec
def rq_panel(session: SessionInfo) -> Panel | None:
    """Provide a panel for a session's card and for `run-qarnot show`.

    Called in the background when the session is shown, when its state changes and when it was saved. What it returns
    is shown as text: raw HTML as the text that it is, images by their description; links lead to web addresses only.

    Arguments:
        session: what is known of it; `session.text(path)` reads one of its saved files.

    Returns:
        A title with Markdown or a table; nothing when there is nothing to show.
    """
    raise NotImplementedError
