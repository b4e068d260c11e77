"""A cluster or a storage that drips, sends without end, nests or redirects ends in an error: in time, and in memory."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.command import CommandLine
from support.hostile import HostileProxy, How, drips, never_ends, says

from qarnot_local import LocalCluster
from run_qarnot.cloud import connection, http, internals, limits
from run_qarnot.cloud.api import Cloud
from run_qarnot.cloud.origin import storage_origin
from run_qarnot.core.errors import RunQarnotError, UnreachableError
from run_qarnot.model.files import StoredFile
from run_qarnot.model.settings import Settings

pytestmark = pytest.mark.slow

SECONDS = 1.0  # for an answer, in these tests
PATIENCE = 6.0  # in which it must be over: the machine may be busy
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SIZED = HEAD + b"Content-Length: 99999999999\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = HEAD + b"\r\n"  # until the connection is closed
BLOCK = b" " * 100_000
BOMB = gzip.compress(b" " * (200 << 20), 9)
SLOW = {
    "silent": How(hang=True),
    "status": drips(b"HTTP/1.1 2", b"0"),
    "head": drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "line": drips(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "body": drips(SIZED + b"{", b" "),
    "chunks": drips(CHUNKED + b"1\r\n{\r\n", b"1\r\n \r\n"),
    "open": drips(OPEN + b"{}", b" "),
}
LARGE = {
    "body": never_ends(SIZED, BLOCK),
    "chunks": never_ends(CHUNKED, b"186A0\r\n" + BLOCK + b"\r\n"),
    "open": never_ends(OPEN, BLOCK),
    "bomb": says(BOMB, head="Content-Encoding: gzip"),
    "error": never_ends(SIZED.replace(b"200 OK", b"403 No"), BLOCK),
}
HOW = {"slow": SLOW, "large": LARGE}
ALL = [pytest.param(how, id=f"{kind} {name}") for kind in HOW for name, how in HOW[kind].items()]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", SECONDS)
    monkeypatch.setattr(http, "MOST_BYTES", 4 << 20)
    monkeypatch.setattr(internals, "MOST_BYTES", 4 << 20)
    monkeypatch.setattr(connection, "STORAGE_SECONDS", SECONDS)
    monkeypatch.setattr(connection, "TRANSFER_SECONDS", SECONDS)


@pytest.fixture
def api(calm: LocalCluster) -> Iterator[HostileProxy]:
    with HostileProxy(calm.cluster_url) as proxy:
        yield proxy


@pytest.fixture
def storage(calm: LocalCluster) -> Iterator[HostileProxy]:
    with HostileProxy(calm.storage_url) as proxy:
        yield proxy


def settings(cluster: LocalCluster, **urls: str) -> Settings:
    own = {"cluster_url": cluster.cluster_url, "storage_url": cluster.storage_url, "token": cluster.token}
    return Settings(**(own | urls))  # type: ignore[arg-type]


def fails(call: Callable[[], object], patience: float = PATIENCE) -> RunQarnotError:
    """Call; it must raise an error of ours, soon."""
    began = time.monotonic()
    with pytest.raises(RunQarnotError) as caught:
        call()
    assert time.monotonic() - began < patience
    assert caught.value.code != "bug", caught.value
    return caught.value


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("how", ALL)
def test_an_answer_of_the_cluster(calm: LocalCluster, api: HostileProxy, how: How) -> None:
    cloud = Cloud(settings(calm, cluster_url=api.url), calm.token)
    api.trouble("POST", "/tasks/paginate", how=how, times=9)
    api.trouble("GET", "/tasks/x/stdout", how=how, times=9)
    for call in (cloud.tasks, lambda: cloud.output("x")):
        assert isinstance(fails(call), UnreachableError)
    api.heal()
    assert isinstance(cloud.tasks(), list), "the next one is asked as usual"


@pytest.mark.parametrize("path", ["/settings", "/info"])
@pytest.mark.parametrize("how", SLOW.values(), ids=SLOW)
def test_connecting_fails_within_five_seconds(calm: LocalCluster, api: HostileProxy, path: str, how: How) -> None:
    api.trouble("GET", path, how=how, times=9)
    error = fails(lambda: Cloud(settings(calm, cluster_url=api.url, storage_url=""), calm.token), patience=5.9)
    assert "no answer in time" in error.what


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("how", ALL)
def test_an_answer_of_the_storage(calm: LocalCluster, storage: HostileProxy, how: How) -> None:
    cloud = Cloud(settings(calm, storage_url=storage.url), calm.token)
    storage.trouble("GET", "^/$", how=how, times=9)
    storage.trouble("GET", "^/bucket", how=how, times=9)
    storage.trouble("PUT", "^/bucket", how=how, times=9)
    create = lambda: cloud.storage.create("bucket", "x")  # noqa: E731
    for call in (cloud.storage.buckets, lambda: cloud.storage.files("bucket"), create):
        fails(call)
    storage.heal()
    cloud.storage.create("bucket", "x")
    assert cloud.storage.files("bucket") == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["head", "body", "chunks", "open"])
def test_a_file_of_the_storage(calm: LocalCluster, storage: HostileProxy, name: str, tmp_path: Path) -> None:
    cloud = Cloud(settings(calm, storage_url=storage.url), calm.token)
    storage.trouble("GET", "/bucket/file", how=SLOW[name], times=99)
    fails(lambda: list(cloud.storage.read("bucket", "file")))
    file = StoredFile("file", 99999999999, datetime.now(UTC), "0" * 32)
    cloud.storage._waits = (0.1,)
    fails(lambda: cloud.storage.download("bucket", [file], tmp_path), patience=3 * PATIENCE)


@pytest.mark.usefixtures("quick")
def test_xml_that_is_nested_deeply(calm: LocalCluster, storage: HostileProxy) -> None:
    deep = b"<ListBucketResult>" + b"<Contents>" * 100_000 + b"</Contents>" * 100_000 + b"</ListBucketResult>"
    cloud = Cloud(settings(calm, storage_url=storage.url), calm.token)
    storage.trouble("GET", "^/", how=says(deep, head="Content-Type: application/xml"), times=9)
    began = time.monotonic()
    assert cloud.storage.buckets() == {}
    fails(lambda: cloud.storage.files("bucket"))
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("how", [*SLOW.values(), says(b"[" * 100_000), says(b'{"storage": 3}'), says(b"")])
def test_the_page_does_without_the_address_of_the_storage(calm: LocalCluster, api: HostileProxy, how: How) -> None:
    api.trouble("GET", "/settings", how=how, times=9)
    began = time.monotonic()
    assert storage_origin(Settings(cluster_url=api.url)) is None
    assert time.monotonic() - began < 8


@pytest.mark.usefixtures("quick")
def test_a_list_without_end(calm: LocalCluster, api: HostileProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run_qarnot.cloud.api._MOST_PAGES", 20)
    cloud = Cloud(settings(calm, cluster_url=api.url), calm.token)
    for number in range(60):
        page = b'{"data": [{"uuid": "1"}], "isTruncated": true, "total": 1e9, "nextToken": "%d"}' % number
        api.trouble("POST", "/tasks/paginate", how=says(page))
        api.trouble("GET", "/hardware-constraints", how=says(page))
    for call in (cloud.tasks, cloud.machines):
        assert "its list does not end" in fails(call).what


def test_a_token_goes_to_no_other_host(
    calm: LocalCluster, api: HostileProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("".join(f"machine {host} login stranger password secret\n" for host in ("127.0.0.1", "localhost")))
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with HostileProxy(calm.cluster_url) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        moved = b'{"uuid": "1", "name": "moved", "storage": "http://127.0.0.1:1"}'
        for path in ("/tasks/moved", "/settings"):
            other.trouble("GET", path, how=says(moved), times=9)
            api.trouble("GET", path, how=says(b"", 302, f"Location: {elsewhere}{path}"), times=9)
        api.trouble("POST", "/tasks/paginate", how=says(b"", 302, f"Location: {elsewhere}/tasks"), times=9)
        cloud = Cloud(settings(calm, cluster_url=api.url), calm.token)
        assert cloud.task("moved").name == "moved"
        assert storage_origin(Settings(cluster_url=api.url)) == "http://127.0.0.1:1"
        fails(cloud.tasks)  # a POST is not made a GET
        assert [call.path for call in other.calls] == ["/tasks/moved", "/settings"]
        assert not any("authorization" in call.head.lower() for call in other.calls)
    sent = {line for call in api.calls for line in call.head.splitlines() if line.startswith("Authorization")}
    assert sent == {f"Authorization: {calm.token}"}


def test_a_redirect_on_the_same_host_keeps_the_token(calm: LocalCluster, api: HostileProxy) -> None:
    api.trouble("GET", "/old", how=says(b"", 301, f"Location: {api.url}/info"))
    cloud = Cloud(settings(calm, cluster_url=api.url), calm.token)
    assert b"email" in cloud._call("GET", "/old").content
    api.trouble("GET", "/loop", how=says(b"", 302, "Location: /loop"), times=99)
    fails(lambda: cloud._call("GET", "/loop"))


def test_the_environment_stays_as_it_is(calm: LocalCluster, api: HostileProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = {
        "AWS_PROFILE": "nobody", "AWS_DEFAULT_REGION": "mars", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "many", "AWS_ACCESS_KEY_ID": "other", "AWS_CONFIG_FILE": "/", "AWS_RETRY_MODE": "x",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "x", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": "true", "AWS_DEFAULTS_MODE": "auto",
        "AWS_SIGV4A_SIGNING_REGION_SET": "*",
        "QARNOT_CLUSTER_TIMEOUT": "soon", "QARNOT_CLUSTER_UNSAFE": "x", "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }  # fmt: skip
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    api.trouble("GET", "/info", how=How(seconds=0.3), times=9)
    before, seen, is_over = dict(os.environ), [], threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen.append(dict(os.environ) == before)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        cloud = Cloud(settings(calm, cluster_url=api.url), calm.token)
        cloud.storage.create("bucket", "x")
        assert cloud.storage.files("bucket") == []
        cloud.tasks()
    finally:
        is_over.set()
        watcher.join()
    assert len(seen) > 10
    assert all(seen)


def test_the_command_says_it_in_two_lines(calm: LocalCluster, api: HostileProxy, tmp_path: Path) -> None:
    api.trouble("GET", "/info", how=SLOW["head"], times=9)
    cli = CommandLine.of_account(calm, tmp_path).with_environment(QARNOT_CLUSTER_URL=api.url)
    answer = cli("sessions", expect=3)
    assert "no answer in time" in answer.err
    assert len(answer.err.splitlines()) == 2


def test_the_watchdog_forgets_what_is_over(calm: LocalCluster) -> None:
    Cloud(settings(calm), calm.token).tasks()
    assert not limits._watchdog._deadlines
