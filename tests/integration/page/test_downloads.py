"""Downloads: the kernel's half and the server's, over a real socket and real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import io
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tornado.httpserver
import tornado.netutil
import tornado.web
from support.waiting import until

from run_qarnot.core.errors import TransferError
from run_qarnot.core.messages import Verbatim
from run_qarnot.model.settings import Settings, packaged_file
from run_qarnot.page import download_route, server
from run_qarnot.page.downloads import Downloads, socket_path
from run_qarnot.page.listening import Listener
from run_qarnot.page.login import Login
from run_qarnot.page.serving import Serving

KIB, MIB = 1 << 10, 1 << 20
PIECE = bytes(range(256)) * 256  # 64 KiB


Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Site:
    """Where the download route is served."""

    port: int
    folder: Path

    def get(self, address: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", address)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The download route on a port, with Voila's own settings."""
    login = Login(None, is_needed=False)
    with server._environment(Settings(), login) as folder:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        listener = Listener(sockets, "127.0.0.1", sockets[0].getsockname()[1], ("127.0.0.1",))
        app = server._make_app(Settings(), Serving(), listener, login, packaged_file("dashboard.ipynb"), folder)
        app.connection_dir = str(tmp_path)
        ready, ended = threading.Event(), threading.Event()

        async def main() -> None:
            application = tornado.web.Application([download_route.route("/base/", folder)], **app.init_settings())
            web = tornado.httpserver.HTTPServer(application)
            web.add_sockets(sockets)
            ready.set()
            await asyncio.to_thread(ended.wait)
            web.stop()
            await web.close_all_connections()

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        assert ready.wait(20)
        yield Site(sockets[0].getsockname()[1], folder)
        ended.set()
        thread.join()


def fetch(site: Site, make: Callable[[], Iterator[bytes]], name: str = "x.zip") -> tuple[Answer, list[BaseException]]:
    """Offer a file and get it."""

    async def both() -> tuple[Answer, list[BaseException]]:
        failures: list[BaseException] = []
        url = await Downloads(site.folder, "/base/").offer(name, make, failures.append)
        try:
            return await asyncio.to_thread(site.get, url), failures
        finally:
            await until(lambda: len(asyncio.all_tasks()) == 1, "the download to end")

    return asyncio.run(both())


def test_a_zip_arrives_whole(site: Site) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("a.txt", "hello")

    (status, headers, body), failures = fetch(site, lambda: iter([content.getvalue()]), "müsli & co.zip")
    assert (status, headers["Content-Type"], failures) == (200, "application/zip", [])
    assert headers["Content-Disposition"].startswith('attachment; filename="m_sli___co.zip"')
    assert zipfile.ZipFile(io.BytesIO(body)).read("a.txt") == b"hello"


@pytest.mark.parametrize("name", ["lab.sh", "lab.command", "lab.bat"])
def test_a_program_is_a_file_to_keep_and_never_a_page(site: Site, name: str) -> None:
    (status, headers, body), failures = fetch(site, lambda: iter([b"#!/bin/sh\n"]), name)
    assert (status, body, failures) == (200, b"#!/bin/sh\n", [])
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith(f'attachment; filename="{name}"')
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["lab.html", "lab.svg", "lab", "lab.zip.html", ".sh"])
def test_nothing_else_is_served(site: Site, name: str) -> None:
    async def scene() -> None:
        url = await Downloads(site.folder, "/base/").offer(name, lambda: iter([b"x"]), lambda _error: None)
        assert (await asyncio.to_thread(site.get, url))[0] == 404

    asyncio.run(scene())


def test_a_large_one_is_never_held_in_memory(site: Site) -> None:
    """32 MiB: the generator is not ahead of the browser by more than the buffers on the way."""
    count = 512
    (status, _, body), _ = fetch(site, lambda: (PIECE for _ in range(count)))
    assert (status, len(body)) == (200, count * len(PIECE))


def test_a_slow_browser_holds_the_kernel_back(tmp_path: Path) -> None:
    made = 0

    def endless() -> Iterator[bytes]:
        nonlocal made
        while True:
            made += len(PIECE)
            yield PIECE

    async def scene() -> None:
        downloads = Downloads(tmp_path)
        url = await downloads.offer("x.zip", endless, lambda _error: None)
        reader, writer = await asyncio.open_unix_connection(socket_path(tmp_path, url.split("/")[-2]))
        for read in range(0, 32 * MIB, 64 * KIB):
            assert made - read < 8 * MIB, "what is made ahead of the reading stays in buffers of a known size"
            await reader.readexactly(64 * KIB)
        writer.close()
        await until(lambda: not downloads._open, "the kernel to give up")

    asyncio.run(scene())


def test_an_error_in_the_middle_breaks_the_download_visibly(site: Site) -> None:
    def broken() -> Iterator[bytes]:
        yield PIECE * 16
        raise TransferError("download", name="x", problem=Verbatim("the storage went away"))

    with pytest.raises(http.client.IncompleteRead):
        fetch(site, broken)


def test_an_error_before_the_first_byte_is_no_download(site: Site) -> None:
    def broken() -> Iterator[bytes]:
        raise TransferError("download", name="x", problem=Verbatim("the storage went away"))
        yield b""

    (status, headers, _), failures = fetch(site, broken)
    assert status == 502
    assert "Content-Disposition" not in headers
    assert isinstance(failures[0], TransferError)


def test_a_ticket_works_once(site: Site) -> None:
    async def scene() -> None:
        url = await Downloads(site.folder, "/base/").offer("x.zip", lambda: iter([b"PK"]), lambda _error: None)
        assert (await asyncio.to_thread(site.get, url))[0] == 200
        status, _, body = await asyncio.to_thread(site.get, url)
        assert status == 404
        assert b"works once" in body

    asyncio.run(scene())


@pytest.mark.parametrize("ticket", ["A" * 43, "..%2f..%2fetc", "a" * 500, ""])
def test_an_unknown_ticket_is_not_found(site: Site, ticket: str) -> None:
    assert site.get(f"/base/run-qarnot/download/{ticket}/x.zip")[0] == 404


def test_a_ticket_nobody_shows_expires(tmp_path: Path) -> None:
    async def scene() -> None:
        downloads = Downloads(tmp_path, ticket_seconds=0.01)
        await downloads.offer("x.zip", lambda: iter([b"PK"]), lambda _error: None)
        await until(lambda: not downloads._open, "the ticket to expire")

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_the_socket_is_private_and_does_not_tell_the_ticket(tmp_path: Path) -> None:
    async def scene() -> None:
        url = await Downloads(tmp_path).offer("x.zip", lambda: iter([b"PK"]), lambda _error: None)
        (path,) = tmp_path.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert url.split("/")[-2] not in path.name

    asyncio.run(scene())
