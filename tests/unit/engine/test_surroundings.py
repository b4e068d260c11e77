"""Whether SSH goes out: asked of real ports of this computer."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest
from support.ports import free_port

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.engine import surroundings
from run_qarnot.engine.surroundings import find_ssh_out, look_around
from run_qarnot.model.connections import SSH_PORT, Forward
from run_qarnot.model.expected_connection import SshOut, Surroundings
from run_qarnot.model.plan import Label

CATALOG = Catalog({"desk": Image(id="desk", app="web", port=6080, repo="a/b")})
CLOUD = "https://api.example.org"
HERE = "http://127.0.0.1:4242"


@pytest.fixture
def listening() -> Iterator[Forward]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Forward(SSH_PORT, "127.0.0.1", server.getsockname()[1])


@pytest.fixture
def closed() -> Forward:
    return Forward(SSH_PORT, "127.0.0.1", free_port())


@pytest.fixture
def silent() -> Iterator[Forward]:
    """A port whose queue is full: connections to it get no answer, as where a firewall drops them."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield Forward(SSH_PORT, "127.0.0.1", server.getsockname()[1])


def ask(*forwards: Forward, cluster: str = CLOUD) -> SshOut:
    return asyncio.run(find_ssh_out(forwards, cluster))


def test_a_run_that_takes_a_connection_is_reached(listening: Forward, closed: Forward) -> None:
    assert ask(listening) is SshOut.OPEN
    assert ask(closed, listening) is SshOut.OPEN, "one of them is enough: the other may just have ended"


def test_runs_that_take_none_are_behind_a_wall(
    closed: Forward, silent: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "_WAIT_SECONDS", 0.2)
    assert ask(closed, cluster=HERE) is SshOut.BLOCKED
    assert ask(silent, cluster=HERE) is SshOut.BLOCKED


def test_other_ports_than_that_of_ssh_say_nothing(listening: Forward) -> None:
    assert ask(Forward(8888, listening.host, listening.port)) is SshOut.UNKNOWN


def test_a_cluster_on_this_computer_is_reached() -> None:
    assert ask(cluster=HERE) is SshOut.OPEN


def test_where_nothing_runs_and_no_gateway_is_known_nothing_is_known() -> None:
    assert ask() is SshOut.UNKNOWN


def test_a_refusal_of_the_gateway_shows_that_the_way_is_open(closed: Forward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(surroundings._GATEWAYS, "api.example.org", closed)
    assert ask() is SshOut.OPEN


def test_a_gateway_that_is_silent_says_nothing(silent: Forward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_WAIT_SECONDS", 0.2)
    monkeypatch.setitem(surroundings._GATEWAYS, "api.example.org", silent)
    assert ask() is SshOut.UNKNOWN


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EPERM])
def test_no_route_is_a_wall(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_route(*_where: object) -> None:
        raise OSError(number, "no route")

    monkeypatch.setitem(surroundings._GATEWAYS, "api.example.org", Forward(SSH_PORT, "gateway.example.org", 41022))
    monkeypatch.setattr(asyncio, "open_connection", no_route)
    assert ask() is SshOut.BLOCKED


def run_of(image: str, *forwards: Forward) -> TaskSnapshot:
    """A run, as the cluster tells of it."""
    active = [
        {"applicationPort": each.app_port, "forwarderPort": each.port, "forwarderHost": each.host} for each in forwards
    ]
    status = {"runningInstancesInfo": {"perRunningInstanceInfo": [{"activeForwards": active}]}}
    return read_task({"uuid": "1", "labels": {Label.IMAGE.value: image}, "status": status})


def test_what_runs_tells_of_gateways_and_of_ssh(listening: Forward) -> None:
    gateway = Forward(6080, "7c2b-0-6080.gateway.example", 443)
    runs = [run_of("desk", gateway, listening), run_of("base")]
    found = asyncio.run(look_around(runs, CATALOG, CLOUD, is_elsewhere=True))
    assert found == Surroundings(True, SshOut.OPEN, frozenset({"desk"}))


def test_a_gateway_of_another_port_is_not_that_of_the_app() -> None:
    other = run_of("desk", Forward(8080, "7c2b-0-8080.gateway.example", 443))
    assert not asyncio.run(look_around([other], CATALOG, CLOUD, is_elsewhere=True)).gateways
