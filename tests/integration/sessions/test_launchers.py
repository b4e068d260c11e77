"""Launchers, run on this machine as a visitor runs them: real shells, real OpenSSH, a session of the local cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from support.browser import FakeBrowser
from support.desk import Desk, at_a_desk, page_on
from support.ports import free_port
from support.servers import get
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.engine.ports import is_free
from run_qarnot.model.connections import TunnelSpec
from run_qarnot.page.launchers import System, make_launcher

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2VmYWtlZmFrZWZha2VmYWtlZmFrZWZha2VmYWtl"
OTHER_FINGERPRINT = "SHA256:" + "A" * 43


@dataclass
class Home:
    """A visitor's computer: a home without keys, a temporary folder, and a browser that notes what it opens."""

    folder: Path
    browser: FakeBrowser

    @classmethod
    def make(cls, folder: Path, system: System) -> Home:
        for name in ("bin", "temporary", "my downloads"):
            (folder / name).mkdir(parents=True)
        return cls(folder, FakeBrowser(folder / "bin", "open" if system is System.MACOS else "xdg-open"))

    @property
    def left(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if "run-qarnot" in path.name]

    @contextmanager
    def running(self, system: System, spec: TunnelSpec) -> Iterator[subprocess.Popen[str]]:
        launcher = make_launcher(system, spec)
        assert launcher is not None
        file = self.folder / "my downloads" / launcher.name
        file.write_text(launcher.text)
        environment = {
            "HOME": str(self.folder), "TMPDIR": str(self.folder / "temporary"), "SHELL": "/bin/false",
            "PATH": f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        shell = "bash" if system is System.MACOS else "sh"
        process = subprocess.Popen(
            [shell, file], env=environment, cwd="/", text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                for each in psutil.Process(process.pid).children(recursive=True):
                    each.kill()
                process.kill()
            process.communicate(timeout=10)


def with_spec(cluster: LocalCluster, scenario: Callable[[TunnelSpec], None]) -> None:
    """Run a blocking scenario with what a launcher of a session that is ready needs; its app wants a token."""

    async def at_desk(desk: Desk) -> None:
        async with desk.ready(page_on(free_port()).model_copy(update={"token_env": "TOKEN"})) as session:
            spec = session.tunnel_spec()
            assert spec is not None
            assert len(spec.url.partition("?token=")[2]) > 20
            await asyncio.to_thread(scenario, spec)

    at_a_desk(cluster, at_desk)


def to_the_window(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """What a terminal sends: to all that run in it."""
    os.killpg(process.pid, number)


def to_the_shell(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)


@pytest.mark.parametrize("system", [System.LINUX, System.MACOS])
@pytest.mark.parametrize(
    ("number", "send"),
    [(signal.SIGINT, to_the_window), (signal.SIGHUP, to_the_window), (signal.SIGTERM, to_the_shell)],
    ids=["Ctrl-C", "window closed", "ended"],
)
def test_it_opens_the_session_with_its_own_key_and_leaves_nothing(
    calm: LocalCluster, tmp_path: Path, system: System, number: signal.Signals, send: Callable[..., None]
) -> None:
    def scenario(spec: TunnelSpec) -> None:
        home = Home.make(tmp_path, system)
        token = spec.url.partition("?token=")[2]
        with home.running(system, spec) as process:
            seen = home.browser.seen()
            assert seen.target == spec.url
            assert get(spec.url), "the session's page answers"
            assert not any(token in command or "PRIVATE KEY" in command for command in seen.commands)
            assert seen.modes == ["0o600", "0o700"]
            folder = seen.file.parent
            assert not (folder / "key").exists(), "ssh has read it, and nobody else needs it"
            (file,) = (home.folder / "my downloads").iterdir()  # the launcher, which holds the key, too
            assert file.stat().st_mode & 0o077 == 0
            send(process, number)
            wait_until(lambda: process.poll() is not None, "the launcher to end")
            assert home.left == []
        wait_until(lambda: is_free(spec.local_port), "the tunnel to be closed")

    with_spec(calm, scenario)


def refused(home: Home, system: System, spec: TunnelSpec) -> str:
    """Run a launcher that must not open anything; return what it prints."""
    with home.running(system, spec) as process:
        printed, _ = process.communicate("\n", timeout=30)
    assert home.left == []
    assert not (home.folder / "bin" / f"{home.browser.program.name}.json").exists(), "no browser was started"
    return printed


def test_it_speaks_to_the_machine_that_the_page_has_seen_and_to_no_other(calm: LocalCluster, tmp_path: Path) -> None:
    def scenario(spec: TunnelSpec) -> None:
        assert spec.host_key is not None
        assert len(spec.fingerprints) == 1
        home = Home.make(tmp_path / "a", System.LINUX)
        assert "verification failed" in refused(home, System.LINUX, replace(spec, host_key=OTHER_KEY))
        unseen = replace(spec, host_key=None)  # the page cannot reach it, but knows what it printed
        printed = refused(home, System.LINUX, replace(unseen, fingerprints=(OTHER_FINGERPRINT,)))
        assert "verification failed" in printed
        for number, fingerprints in enumerate([(OTHER_FINGERPRINT, *spec.fingerprints), ()]):
            home = Home.make(tmp_path / str(number), System.MACOS)
            with home.running(System.MACOS, replace(unseen, fingerprints=fingerprints)) as process:
                assert home.browser.seen().target == spec.url
                process.terminate()
                process.wait(10)

    with_spec(calm, scenario)


def test_whoever_holds_the_port_gets_no_visitor(calm: LocalCluster, tmp_path: Path) -> None:
    def scenario(spec: TunnelSpec) -> None:
        with socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind(("127.0.0.1", spec.local_port))
            stranger.listen()
            printed = refused(Home.make(tmp_path, System.LINUX), System.LINUX, spec)
        assert "already in use" in printed
        assert printed.endswith("The way to the session is closed. Press Enter.\n")

    with_spec(calm, scenario)
