"""Where our server listens: both families of `localhost`, a Unix socket, and what is said when it cannot."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.ports import free_port
from support.site import Site

from run_qarnot.core.errors import InputError
from run_qarnot.page.listening import listen, listening_on_unix_socket

BOTH = ("127.0.0.1", "::1")


def connects(ip: str, port: int | None) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
        return probe.connect_ex((ip, port or 0)) == 0


@pytest.fixture
def close() -> Iterator[Callable[..., None]]:
    made: list[socket.socket] = []
    yield made.extend
    for each in made:
        each.close()


def test_localhost_is_held_in_both_families(close: Callable[..., None]) -> None:
    listener = listen("localhost", None)
    close(listener.sockets)
    assert listener.host == "localhost"
    assert all(connects(ip, listener.port) for ip in BOTH)
    assert {each.getsockname()[0] for each in listener.sockets} == set(BOTH)


@pytest.mark.parametrize("ip", BOTH)
def test_a_port_that_somebody_has_in_one_family_is_not_taken(ip: str, close: Callable[..., None]) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family) as other:
        other.bind((ip, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError) as caught:
            listen("localhost", port)
        assert caught.value.code == "port-taken"
        assert not connects(next(each for each in BOTH if each != ip), port), "not half of it either"


@pytest.mark.parametrize("ip", BOTH)
def test_of_several_ports_the_first_that_is_free_in_both_families(
    ip: str, close: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setattr("run_qarnot.page.listening.FIRST_PORT", port)
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as other:
        other.bind((ip, port))
        other.listen()
        listener = listen("localhost", None)
        close(listener.sockets)
        assert listener.port is not None
        assert listener.port > port
        assert all(connects(each, listener.port) for each in BOTH)


def test_a_machine_without_ipv6_says_what_it_holds(close: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_ipv6", False)
    listener = listen("localhost", None)
    close(listener.sockets)
    assert listener.address == f"http://127.0.0.1:{listener.port}"
    assert listener.ips == ("127.0.0.1",)


@pytest.mark.parametrize(
    ("ip", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", socket.gethostname())]
)
def test_the_address_says_what_was_asked_for(ip: str, host: str, close: Callable[..., None]) -> None:
    port = free_port()
    listener = listen(ip, port)
    close(listener.sockets)
    assert listener.address == f"http://{host}:{port}"


@pytest.mark.parametrize("ip", ["no-such-name.invalid", "192.0.2.1", "::ffff:999", "a" * 70])
def test_an_address_of_somebody_else_is_said(ip: str) -> None:
    with pytest.raises(InputError) as caught:
        listen(ip, free_port())
    assert caught.value.code == "listen"


# the Unix socket


def test_a_unix_socket_is_private_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    before = os.umask(0)
    try:
        with listening_on_unix_socket(path) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (listener.address, listener.port) == (f"http://unix:{path}:", None)
        assert os.umask(0) == 0, "the umask is as before"
    finally:
        os.umask(before)
    assert not path.exists()


def test_the_socket_of_a_server_that_was_killed_is_taken_over_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    with listening_on_unix_socket(path), pytest.raises(InputError, match="another server"):
        listening_on_unix_socket(path).__enter__()
    path.write_text("precious")
    with pytest.raises(InputError):
        listening_on_unix_socket(path).__enter__()
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/page.sock", "x" * 200])
def test_a_socket_that_cannot_be_made_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        listening_on_unix_socket(tmp_path / name).__enter__()
    assert caught.value.code == "listen"


# the running server


def test_the_page_answers_in_both_families(site: Site) -> None:
    assert all(connects(ip, site.port) for ip in BOTH)


def test_a_parent_that_has_authenticated_uses_a_socket_without_login(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    path = tmp_path / "s"
    site = make_site(f"--unix-socket={path}", "--no-login", "--trust-proxy", "--base-url=/user/anna%40x.org/run-qarnot")
    base = "/user/anna@x.org/run-qarnot/"
    assert site.line == f"Dashboard: http://unix:{path}:{base}\n"
    hub = {"Host": "hub.example.org", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "hub.example.org"}
    status, _, body = site.without_copies().get(f"{base}?opt-hours=2", **hub)
    assert status == 200
    assert f'data-base-url="{base}voila/"' in body
    (kernel,) = site.kernels()
    assert kernel.environ()["VOILA_REQUEST_URL"] == f"https://hub.example.org{base}?opt-hours=2"
    assert "RUN_QARNOT_LOGOUT" not in kernel.environ()
    assert site.get(f"{base}?token=of-the-hub&opt-hours=2", **hub)[1]["Location"] == f"{base}?opt-hours=2"
    site.end()
    assert not path.exists()


def test_a_socket_asks_for_a_login_unless_told(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(f"--unix-socket={tmp_path / 's'}")
    assert site.get("/")[0] == 302
    assert site.log_in().get("/", "HEAD")[0] == 200
