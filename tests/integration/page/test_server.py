"""Our own server, as a program: what it says, what it refuses, what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.processes import gone
from support.site import Site
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.model.settings import Settings
from run_qarnot.page import server
from run_qarnot.page.login import Login


def test_it_says_one_line_once_it_answers(site: Site) -> None:
    assert re.fullmatch(r"Dashboard: http://localhost:\d+/\?token=[\w-]{40,}\n", site.line)


def test_the_page_has_what_it_needs_and_leaves_no_kernel(site: Site) -> None:
    """One visit: title, policy, own template, and the farewell that a browser sends when the page closes."""
    status, headers, body = site.get("/?template=classic&theme=dark")
    assert status == 200
    assert "<title>Run Qarnot</title>" in body
    assert 'name="description"' in body
    assert "Opening the page" in body
    assert "cdn" not in body.replace("cdnjs.cloudflare.com/ajax/libs/mathjax", "")  # named, never loaded
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    kernel = re.search(r'kernelId = "([\w-]+)"', body)
    assert kernel is not None
    assert len(site.kernels()) >= 1
    assert site.get(f"/voila/api/shutdown/{kernel[1]}", "POST")[0] == 204
    wait_until(lambda: not site.kernels(), "the kernel to end")


def test_a_monitor_hears_that_the_page_is_there_and_starts_no_kernel(site: Site) -> None:
    status, headers, body = site.get("/", "HEAD")
    assert (status, body) == (200, "")
    assert headers["Content-Type"].startswith("text/html")
    assert site.kernels() == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"QARNOT_STORAGE_URL": "https://storage.example.org/path"}, "'self' blob: https://storage.example.org"),
        ({}, "'self' blob: {storage}"),
    ],
)
def test_pages_may_connect_to_the_storage_and_nowhere_else(
    make_site: Callable[..., Site], variables: dict[str, str], expected: str
) -> None:
    with LocalCluster() as cluster:
        site = make_site(QARNOT_CLUSTER_URL=cluster.cluster_url, **variables).log_in()

        def connect() -> str:
            policy = site.get("/", "HEAD")[1]["Content-Security-Policy"]
            return str(re.search(r"connect-src ([^;]*)", policy)[1])  # type: ignore[index]

        wanted = expected.format(storage=cluster.storage_url)
        wait_until(lambda: connect() == wanted, f"the policy to say {wanted}, not {connect()}")


def test_without_a_storage_pages_may_connect_to_nobody_else(site: Site) -> None:
    assert "connect-src 'self' blob:;" in site.get("/", "HEAD")[1]["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8866", "192.0.2.1"])
def test_a_foreign_name_is_refused(site: Site, host: str) -> None:
    assert site.get("/", Host=host)[0] == 403
    assert site.kernels() == []


@pytest.mark.parametrize(
    "path", ["/voila/files/images.toml", "/voila/files/dashboard.ipynb", "/api/contents", "/voila/tree"]
)
def test_no_file_is_served(site: Site, path: str) -> None:
    status, _, body = site.get(path)
    assert status in {302, 403, 404}
    assert "qarnotlab" not in body


def test_an_unknown_download_is_not_found(site: Site) -> None:
    status, _, body = site.get(f"/run-qarnot/download/{'x' * 43}/results.zip")
    assert status == 404
    assert "Press the button again" in body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_its_kernels_and_leaves_nothing(make_site: Callable[..., Site], number: signal.Signals) -> None:
    variables = {"QARNOT_CLIENT_TOKEN": "secret-qarnot-token", "QARNOT_CLUSTER_URL": "http://127.0.0.1:9"}
    site = make_site(**variables).log_in()
    status, _, body = site.get()
    assert status == 200
    kernels = site.kernels()
    assert kernels
    code, out, err = site.end(number)
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert "secret-qarnot-token" not in body + err
    assert gone(kernels)
    assert site.left == []


def test_kernels_are_copies_that_end_with_a_server_that_is_killed(make_site: Callable[..., Site]) -> None:
    site = make_site().log_in()
    for _ in range(2):
        assert site.get()[0] == 200
    first, second = site.kernels()
    zygote = first.parent()
    assert zygote is not None
    assert zygote == second.parent() != psutil.Process(site.process.pid)
    assert first.environ()["RUN_QARNOT_DOWNLOADS"], "what `ps` says of a kernel leaves its environment legible"
    site.end(signal.SIGKILL)
    wait_until(lambda: gone([zygote, first, second]), "all of its processes to end")


def test_without_the_process_that_is_copied_kernels_are_started_anew(make_site: Callable[..., Site]) -> None:
    site = make_site().log_in()
    assert site.get()[0] == 200
    (kernel,) = site.kernels()
    zygote = kernel.parent()
    assert zygote is not None
    zygote.kill()
    wait_until(lambda: gone([kernel]), "its kernel to end with it")
    for _ in range(2):
        assert "rq-" in site.get()[2]
    assert {kernel.ppid() for kernel in site.kernels()} == {site.process.pid}
    _, _, err = site.end()
    assert err.count("they take longer to start now") == 1
    assert "Traceback" not in err


def test_what_a_kernel_that_was_killed_had_made_goes_with_the_server(make_site: Callable[..., Site]) -> None:
    site = make_site("--no-fork").log_in()
    assert site.get()[0] == 200
    (kernel,) = site.kernels()
    folder = Path(kernel.environ()["TMPDIR"])
    assert folder.parent == site.temporary
    (folder / "made").write_text("by a page")
    kernel.kill()
    assert site.end()[0] == 0
    assert site.left == []


def test_kernels_are_started_anew_when_that_is_wanted(make_site: Callable[..., Site]) -> None:
    site = make_site("--no-fork").log_in()
    assert site.get()[0] == 200
    (kernel,) = site.kernels()
    assert kernel.ppid() == site.process.pid


def test_it_ends_without_a_word_while_a_kernel_is_starting(make_site: Callable[..., Site]) -> None:
    site = make_site().log_in()
    assert site.get()[0] == 200
    (zygote,) = {kernel.parent() for kernel in site.kernels()}
    assert zygote is not None
    zygote.kill()  # a kernel that is no copy takes a second to start
    with socket.create_connection(("localhost", site.port or 0)) as visitor:
        cookie = site.cookie.encode()
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: localhost:%d\r\nCookie: %b\r\n\r\n" % (site.port or 0, cookie))
        wait_until(lambda: [kernel for kernel in site.kernels() if kernel.ppid() == site.process.pid], "a kernel")
        code, _, err = site.end()
    assert code == 0, err
    assert "Traceback" not in err


def test_the_environment_is_as_before_afterwards() -> None:
    before = dict(os.environ)
    login = Login("a-long-login-token")
    with server._environment(Settings(token="qarnot-token", login_token=login.token), login) as folder:
        assert os.environ["QARNOT_CLIENT_TOKEN"] == "qarnot-token"
        assert login.token not in os.environ.values()
        assert folder.is_dir()
    assert dict(os.environ) == before
    assert not folder.exists()
