"""The routes of our server: which there are, and that none of Voila's own comes through unchanged where it matters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from run_qarnot.page import routes
from run_qarnot.page.session_registry import SessionRegistry

BASE = "/a.b/"


def found(path: str) -> list[type]:
    """The handlers of our own routes that a path could reach."""
    own = routes.own_routes(BASE, Path("/nowhere"), SessionRegistry())
    return [kind for pattern, kind, *_ in own if re.fullmatch(pattern.rstrip("$"), path)]


@pytest.mark.parametrize("path", ["healthz", "login", "logout", "rq-0123456789ab/lab", "rq-0123456789ab"])
def test_our_own_are_below_the_base_url_and_public(path: str) -> None:
    (kind,) = found(BASE + path)
    assert kind.is_public  # type: ignore[attr-defined]  # each of them checks for itself who asks
    assert found("/" + path) == []
    assert found(f"/aXb/{path}") == [], "a full stop is one"


def test_a_download_is_for_those_who_are_logged_in() -> None:
    (kind,) = found(f"{BASE}run-qarnot/download/{'x' * 43}/results.zip")
    assert not getattr(kind, "is_public", False)


def test_the_handlers_of_kernels_are_ours() -> None:
    theirs: list[Any] = [
        (BASE + r"voila/render/(.*)", TornadoVoilaHandler, {}),
        (BASE + r"api/kernels/(?P<kernel_id>x)/channels", VoilaKernelWebsocketHandler),
        (BASE + r"voila/api/shutdown/(?P<kernel_id>x)", VoilaShutdownKernelHandler),
        (BASE + r"voila/query/(.*)", RequestInfoSocketHandler),
    ]
    ours = routes.voila_routes(BASE, theirs)
    assert [kind for _, kind, *_ in ours] == [routes.PageHandler, routes.KernelChannels, routes.KernelEnd]
    assert ours[0][0] == re.escape(BASE), "the page stands at the root"
    assert ours[0][2] == {}
