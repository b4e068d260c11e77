"""The page in somebody else's Jupyter server: who is let through, and that nothing of it outlives that server."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.jupyter_server import TOKEN, JupyterServer, runs
from support.processes import gone
from support.servers import kernels_below
from support.waiting import wait_until

from run_qarnot.page import extension

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def make_server() -> Iterator[Callable[..., JupyterServer]]:
    made: list[JupyterServer] = []

    def make(*options: str, **variables: str) -> JupyterServer:
        made.append(JupyterServer(Path(tempfile.mkdtemp(prefix="rq-")), *options, **variables))
        return made[-1]

    yield make
    for server in made:
        server.end()
    for server in made:
        shutil.rmtree(server.folder)


@pytest.fixture(scope="module")
def server(make_server: Callable[..., JupyterServer]) -> JupyterServer:
    return make_server()


@pytest.fixture(scope="module")
def visitor(server: JupyterServer) -> requests.Session:
    session = server.visitor()
    server.open(session, "healthz")
    return session


def test_a_page_is_shown_while_it_starts_and_then_the_page(make_server: Callable[..., JupyterServer]) -> None:
    server = make_server()
    assert server.ours() == [], "nothing runs before somebody comes"
    session = server.visitor()
    first = session.get(server.page, headers={"Accept": "text/html"}, timeout=30)
    assert first.status_code == 503
    assert "Starting the page’s server…" in first.text
    assert "Démarrage du serveur" in first.text
    assert first.headers["Cache-Control"] == "no-store"
    assert "<title>Run Qarnot</title>" in server.open(session).text
    assert len(kernels_below(server.page_server())) == 1
    server.open(session)
    assert server.log.count("Traceback") == 0, server.log


def test_the_address_without_its_slash_and_with_the_login_token_leads_to_the_page(server: JupyterServer) -> None:
    session = requests.Session()
    session.trust_env = False
    answer = session.get(
        f"{server.url}run-qarnot?opt-note=a%20%26%20b&token={TOKEN}&opt-x=1", allow_redirects=False, timeout=30
    )
    assert answer.headers["Location"] == f"/user/me/run-qarnot/?opt-note=a%20%26%20b&token={TOKEN}&opt-x=1"
    answer = session.get(
        server.page + f"?opt-note=a%20%26%20b&token={TOKEN}&opt-x=1", allow_redirects=False, timeout=30
    )
    assert answer.headers["Location"] == "/user/me/run-qarnot/?opt-note=a%20%26%20b&opt-x=1"
    assert session.cookies, "who came with the token is logged in"
    assert server.open(session, "healthz").text == "ok\n"


def test_who_is_not_logged_in_starts_nothing(
    make_server: Callable[..., JupyterServer],
) -> None:
    server = make_server()
    answer = requests.get(server.page + "?opt-image=pytorch", allow_redirects=False, timeout=30)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/user/me/login?next=%2Fuser%2Fme%2Frun-qarnot%2F%3Fopt-image")
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        refused = requests.request(method, server.page, allow_redirects=False, timeout=30)
        assert refused.status_code == 403, method
    channels = requests.get(
        f"{server.page}api/kernels/x/channels", headers={"Connection": "Upgrade", "Upgrade": "websocket"}, timeout=30,
        allow_redirects=False,
    )  # fmt: skip
    assert channels.status_code == 403
    assert server.ours() == []


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
        ("POST", {"Origin": "https://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("GET", {"Origin": "https://evil.example", "Upgrade": "websocket", "Connection": "Upgrade"}),
    ],
)
def test_what_another_site_sends_is_refused(
    server: JupyterServer, visitor: requests.Session, method: str, headers: dict[str, str]
) -> None:
    before = kernels_below(server.page_server())
    answer = visitor.request(method, server.page, headers=headers, timeout=30)
    assert (answer.status_code, answer.text) == (403, "403 This came from a page of another site.\n")
    assert kernels_below(server.page_server()) == before


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
def test_a_script_of_the_same_host_cannot_have_the_page(
    server: JupyterServer, visitor: requests.Session, mode: str
) -> None:
    """In a hub without hosts of their own for users, the page of another user has the same host."""
    before = kernels_below(server.page_server())
    headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": mode, "Accept": "text/html"}
    assert visitor.get(server.page, headers=headers, timeout=30).status_code == 403
    assert kernels_below(server.page_server()) == before
    assert visitor.get(f"{server.page}healthz", headers=headers, timeout=30).status_code == 200


def test_a_link_of_another_site_opens_the_page(server: JupyterServer, visitor: requests.Session) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert visitor.get(f"{server.page}healthz", headers=headers, timeout=30).text == "ok\n"


def test_the_login_of_the_server_goes_no_further(server: JupyterServer, visitor: requests.Session) -> None:
    page = server.page_server()
    environments = [each.environ() for each in (page, *page.children(recursive=True))]
    assert environments
    assert not [name for each in environments for name, text in each.items() if text == "secret-of-the-hub"]
    assert {each["QARNOT_CLUSTER_URL"] for each in environments} == {"http://127.0.0.1:1"}
    (listener,) = server.folder.glob("run-qarnot-*/page.sock")
    assert listener.parent.stat().st_mode & 0o077 == 0, "nobody else can enter"


def test_no_cookie_or_token_of_the_login_reaches_the_page(make_server: Callable[..., JupyterServer]) -> None:
    """Its proxy leads on to machines elsewhere. Of two cookies of one name, the first is for the longer path."""
    server = make_server()
    session = server.visitor()
    server.open(session, "healthz")
    (path,) = server.folder.glob("run-qarnot-*/page.sock")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:  # in the place of the page's server
        listener.bind(str(path))
        listener.listen()
        heads: list[str] = []
        thread = threading.Thread(target=lambda: heads.extend(answer_one(listener) for _ in range(2)))
        thread.start()
        login = "; ".join(f"{name}={text}" for name, text in session.cookies.items() if name != "_xsrf")
        assert "username-" in login
        cookies = f"_xsrf=of-the-page; {login}; jupyterhub-session-id=x; _xsrf=of-the-server; kept=yes"
        answer = requests.get(f"{server.page}x?a=b", headers={"Cookie": cookies}, timeout=30)
        assert answer.text == "ok"
        answer = requests.get(f"{server.page}x?a=b", headers={"Authorization": f"token {TOKEN}"}, timeout=30)
        assert answer.text == "ok"
        thread.join()
    assert re.findall("^Cookie: (.*)\r$", heads[0], re.MULTILINE) == ["_xsrf=of-the-page; kept=yes"]
    assert "Authorization" not in heads[1]
    assert TOKEN not in heads[1]


def answer_one(listener: socket.socket) -> str:
    """Answer a request; return its head."""
    visitor, _ = listener.accept()
    with visitor:
        head = visitor.recv(65536).decode()
        visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return head


def test_the_rule_about_frames_of_the_server_holds_for_the_page(make_server: Callable[..., JupyterServer]) -> None:
    headers = {"Content-Security-Policy": "frame-ancestors 'none'; report-uri /x"}
    server = make_server(f"--ServerApp.tornado_settings={json.dumps({'headers': headers})}")
    answer = server.open(server.visitor(), "healthz")
    policies = answer.raw.headers.getlist("Content-Security-Policy")
    assert "frame-ancestors 'none'" in policies
    assert len(policies) == 2, "beside the page's own"


def test_a_server_that_has_died_is_started_again_for_who_looks_at_the_page(
    make_server: Callable[..., JupyterServer],
) -> None:
    server = make_server()
    session = server.visitor()
    server.open(session, "healthz")
    page = server.page_server()
    family = [page, *page.children(recursive=True)]
    page.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(family), "it and its kernels to end")
    wait_until(lambda: session.get(f"{server.page}healthz", timeout=30).status_code == 503, "the route to notice")
    assert not [each for each in server.ours() if runs(each, "run_qarnot.page.server")], "a script restarts nothing"
    assert server.open(session, "healthz").text == "ok\n"
    assert server.page_server().pid != page.pid


def test_why_it_cannot_start_is_said(make_server: Callable[..., JupyterServer]) -> None:
    server = make_server(QARNOT_STORAGE_URL="no address")
    session = server.visitor()
    assert session.get(server.page, headers={"Accept": "text/html"}, timeout=30).status_code == 503
    wait_until(lambda: session.head(server.page, timeout=30).status_code == 500, "the page to hear of it", seconds=60)
    answer = session.get(server.page, headers={"Accept": "text/html"}, timeout=30)
    assert answer.status_code == 500
    assert "could not be started here" in answer.text
    assert "QARNOT_STORAGE_URL" in answer.text, "what to mend"
    assert session.get(server.page, headers={"Accept": "text/html"}, timeout=30).status_code == 503, "it is tried again"
    assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_server(make_server: Callable[..., JupyterServer], number: signal.Signals) -> None:
    server = make_server()
    server.open(server.visitor())
    family = server.ours()
    assert len(family) >= 4
    server.process.send_signal(number)
    server.process.wait(timeout=30)
    wait_until(lambda: gone(family), "all of it to end")
    if number == signal.SIGTERM:
        assert [*server.folder.glob("run-qarnot-*")] == []


def test_a_server_with_an_open_page_is_not_idle(server: JupyterServer, visitor: requests.Session) -> None:
    def last() -> str:
        return str(visitor.get(f"{server.url}api/status", timeout=30).json()["last_activity"])

    before = last()
    visitor.get(f"{server.page}healthz", timeout=30)
    assert last() > before


def test_the_tile_of_the_launcher_leads_to_the_page(server: JupyterServer, visitor: requests.Session) -> None:
    found = visitor.get(f"{server.url}server-proxy/servers-info", timeout=30).json()["server_processes"]
    (tile,) = [each for each in found if each["launcher_entry"]["title"] == "Run Qarnot"]
    assert tile["launcher_entry"]["path_info"] == "run-qarnot/"
    assert tile["new_browser_tab"]
    icon = visitor.get(f"{server.url.removesuffix('/user/me/')}{tile['launcher_entry']['icon_url']}", timeout=30)
    assert icon.headers["Content-Type"].startswith("image/svg+xml")


def test_within_a_session_there_is_no_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extension.launcher_entry()["launcher_entry"]["enabled"]
    monkeypatch.setenv("TASK_PATH", "/job")
    assert not extension.launcher_entry()["launcher_entry"]["enabled"]


def test_nothing_else_of_the_server_changes(server: JupyterServer, visitor: requests.Session) -> None:
    """Files beside the notebooks of other people's Voila pages are served as before, and their options are theirs."""
    (server.folder / "plot.png").write_bytes(b"a picture")
    notebook: dict[str, Any] = {"cells": [], "metadata": {"title": "Theirs"}, "nbformat": 4, "nbformat_minor": 5}
    (server.folder / "theirs.ipynb").write_text(json.dumps(notebook))
    assert visitor.get(f"{server.url}voila/files/plot.png", timeout=30).content == b"a picture"
    answer = visitor.get(f"{server.url}voila/render/theirs.ipynb?template=classic", timeout=60)
    assert answer.status_code == 200
    assert "Opening the page" not in answer.text, "our template is for our page alone"
    assert re.search(r"from (run_qarnot|voila)", server.log) is None
    assert not [path for path in server.folder.rglob("*voila*") if path.is_file()], "nothing is copied into homes"
