"""The kernel's side of the proxy: registers sessions with the page's server and gets tickets for visitors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from run_qarnot.core.errors import SessionError
from run_qarnot.page import registry_socket
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.registry_socket import RegistryError

if TYPE_CHECKING:
    from run_qarnot.engine.proxied import ProxiedSession
    from run_qarnot.engine.session import Session

VISITORS_VARIABLE = "RUN_QARNOT_VISITORS"  # set by the server; "elsewhere" if browsers are on other computers
TICKET = "rq-ticket"


def visitors_are_elsewhere(environment: Mapping[str, str]) -> bool:
    """Whether the visitors' browsers are on other computers than this kernel."""
    return environment.get(VISITORS_VARIABLE) == "elsewhere"


class SessionOpener:
    """Opens sessions for the browsers of one page."""

    def __init__(self, folder: Path | None, base_url: str) -> None:
        """Arguments:
        folder: the private one of our server; None with another server.
        base_url: of the page.
        """
        self._folder = folder
        self._base_url = base_url
        self._registered: dict[str, ProxiedSession] = {}

    @classmethod
    def of(cls, downloads: Downloads) -> SessionOpener:
        return cls(downloads.folder, downloads.base_url)

    @property
    def is_needed(self) -> bool:
        """Whether visitors reach sessions through our server."""
        return visitors_are_elsewhere(os.environ) and registry_socket.is_available(self._folder)

    async def keep(self, session: Session) -> None:
        """Send the server a session's address, or its end, if it has changed.

        A failure is not reported here, but by `address` when a visitor opens the session.
        """
        place, known = session.proxied(), self._registered.get(session.view.name)
        if self._folder is None or not (place or known):
            return
        try:
            if place is not None and place != known:
                await registry_socket.register(self._folder, place)
                self._registered[session.view.name] = place
            elif known is not None and session.view.is_over:
                del self._registered[session.view.name]
                await registry_socket.end(self._folder, known.id, known.key)
        except RegistryError:
            self._registered.pop(session.view.name, None)

    async def address(self, session: Session, origin: str, link: int | None = None) -> str:
        """Return an address that opens a session's app, once and within a minute.

        Arguments:
            session: a ready one.
            origin: of the page that the visitor sees.
            link: the number of one of its further pages, from 0; None for the app's own page.

        Raises:
            SessionError: it is no longer ready, or the server does not answer.
        """
        place = session.proxied()
        if place is None or self._folder is None:
            raise SessionError("too-late", name=session.view.name, reference=session.view.reference)
        try:
            ticket = await registry_socket.get_ticket(self._folder, place, session.page_path(link), origin)
        except RegistryError as error:
            raise SessionError("tunnel", name=session.view.name, problem=error.problem) from error
        return f"{self._base_url.rstrip('/')}/{place.id}/?{TICKET}={ticket}"
