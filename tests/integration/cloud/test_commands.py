"""The same from the command line."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine, clean_environment
from support.hostile import HostileProxy, How
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.cloud.s3 import transfer
from run_qarnot.commands import entry, show

pytestmark = pytest.mark.slow

PART = 8 << 20


@pytest.fixture(scope="module")
def proxied(cluster: LocalCluster) -> Iterator[HostileProxy]:
    with HostileProxy(cluster.storage_url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _healed(proxied: HostileProxy) -> Iterator[None]:
    """Start each test without the trouble of another one, and without its calls, which a test may wait for."""
    proxied.heal()
    yield
    proxied.heal()


@pytest.fixture(scope="module")
def cli(cluster: LocalCluster, proxied: HostileProxy, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    folder = tmp_path_factory.mktemp("work")
    environment = clean_environment(
        QARNOT_CLUSTER_URL=cluster.cluster_url,
        QARNOT_STORAGE_URL=proxied.url,
        QARNOT_CLIENT_TOKEN=cluster.token,
        HOME=str(folder),
    )
    return CommandLine(folder, environment)


@pytest.fixture(scope="module")
def session(cli: CommandLine) -> str:
    """A session that runs as long as these tests."""
    (cli.folder / "data.csv").write_text("old")
    cli("launch", "base", "--name", "moving", "--input", "data.csv", "--detach")
    return "moving"


def test_add_replaces_only_when_asked(cli: CommandLine, session: str, direct: Any) -> None:
    (cli.folder / "data.csv").write_text("new")
    refused = cli("add", session, "data.csv", expect=1)
    assert "There is already another file “data.csv”" in refused.err
    assert "--replace" in refused.err
    assert direct.get_object(Bucket="moving-in", Key="data.csv")["Body"].read() == b"old"
    cli("add", session, "data.csv", "--replace")
    assert direct.get_object(Bucket="moving-in", Key="data.csv")["Body"].read() == b"new"
    cli("add", session, "data.csv")  # the same once more is no replacing


def test_a_file_that_would_be_a_folder_of_the_session_is_refused(cli: CommandLine, session: str) -> None:
    (cli.folder / "folder/data.csv").mkdir(parents=True)
    (cli.folder / "folder/data.csv/inside").touch()
    refused = cli("add", session, "folder", "--replace", expect=1)
    assert "“data.csv” cannot be both a file and the folder of “data.csv/inside”." in refused.err


def test_an_add_that_is_interrupted_by_ctrl_c_ends_at_once_and_goes_on_later(
    cli: CommandLine, session: str, proxied: HostileProxy, direct: Any, make_file: Callable[..., Path]
) -> None:
    path = make_file(7 * PART, "large.bin")
    proxied.trouble("PUT", "partNumber", how=How(hang=True), times=99, skip=3)
    adding = cli.start("add", session, path)
    wait_until(lambda: proxied.count("PUT", "partNumber") >= 7, "parts", 30)
    adding.send_signal(signal.SIGINT)
    _, said = adding.communicate(timeout=10)
    assert "Traceback" not in said
    proxied.heal()
    cli("add", session, path)
    assert proxied.received("PUT", "partNumber") == 4 * PART
    assert direct.get_object(Bucket="moving-in", Key="large.bin")["Body"].read() == path.read_bytes()


@pytest.mark.parametrize("how", [("--output", "out"), ("--zip", "out.zip")], ids=lambda how: how[0])
def test_results_that_are_interrupted_by_ctrl_c_end_at_once_and_leave_no_name(
    cli: CommandLine,
    session: str,
    proxied: HostileProxy,
    direct: Any,
    how: tuple[str, str],
    make_file: Callable[..., Path],
) -> None:
    direct.upload_file(str(make_file(3 * PART)), "moving-out", "large.bin")
    proxied.trouble("GET", "large.bin", how=How(hang=True), times=99)
    fetching = cli.start("results", session, *how, "large.bin")
    wait_until(lambda: proxied.count("GET", "large.bin"), "the transfer", 30)
    fetching.send_signal(signal.SIGINT)
    _, said = fetching.communicate(timeout=10)
    assert "Traceback" not in said
    proxied.heal()
    assert not (cli.folder / how[1]).is_file()
    assert not (cli.folder / how[1] / "large.bin").exists()
    assert not list(cli.folder.glob(".partial-*"))
    direct.put_object(Bucket="moving-out", Key="empty/", Body=b"")
    assert "1 file, " in cli("results", session, *how, "large.bin", "empty/").err, "no file marks a folder"
    umask = os.umask(0o022)
    os.umask(umask)
    written = cli.folder / how[1]
    assert written.is_dir() or written.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("how", ["--output", "--zip"])
def test_results_tell_now_and_then_how_far_they_are(
    cli: CommandLine,
    session: str,
    direct: Any,
    how: str,
    make_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    direct.upload_file(str(make_file(3 * PART + 330_000)), "moving-out", "told/large.bin")  # nearly 25.5 MB
    for number in range(20):  # of so small files, a zip has more names than content
        direct.put_object(Bucket="moving-out", Key=f"told/{number}-{'x' * 900}", Body=b"x")
    monkeypatch.setattr(show, "_BYTES_SECONDS", 0)
    monkeypatch.setattr(transfer, "_TELL_SECONDS", 0)  # else a fast machine has it all before it is told a fourth time
    monkeypatch.chdir(cli.folder)
    for name, value in cli.environment.items():
        monkeypatch.setenv(name, value)
    assert entry.run(["results", session, how, f"told{how}", "told/*"]) == 0
    said = re.findall(r"^(\d+) of (\d+) MB$", capsys.readouterr().err, re.MULTILINE)
    moved = [int(count) for count, _ in said]
    assert {total for _, total in said} == {"25"}
    assert moved == sorted(moved)
    assert (len(set(moved)) > 3, moved[-1]) == (True, 25)


def test_a_zip_does_not_overwrite_what_appeared_while_it_was_read(
    cli: CommandLine, session: str, proxied: HostileProxy, direct: Any
) -> None:
    direct.put_object(Bucket="moving-out", Key="small.txt", Body=b"theirs")
    target = cli.folder / "mine.zip"
    proxied.trouble("GET", "small.txt", how=How(before=lambda: target.write_text("mine")), times=1)
    assert "already exists" in cli("results", session, "--zip", target.name, "small.txt", expect=1).err
    assert target.read_text() == "mine"
    assert not list(cli.folder.glob(".partial-*"))


def test_results_that_broke_off_go_on(
    cli: CommandLine, session: str, proxied: HostileProxy, direct: Any, make_file: Callable[..., Path]
) -> None:
    path = make_file(5 * PART, seed=3)
    direct.upload_file(str(path), "moving-out", "broken.bin")

    def kept() -> int:
        return sum(each.stat().st_size for each in (cli.folder / "parts").glob(".partial-*"))

    # The refusal waits until a part of the file is kept: it ends the requests that are still under way.
    refused = How(status=403, code="AccessDenied", before=lambda: wait_until(kept, "the first bytes", 30))
    proxied.trouble("GET", "broken.bin", how=refused, times=99, skip=3)
    failed = cli("results", session, "--output", "parts", "broken.bin", expect=1)
    assert "“broken.bin” could not be downloaded: The storage refused GetObject: AccessDenied" in failed.err
    assert "the download continues where it stopped" in failed.err
    have = kept()
    assert have
    proxied.heal()
    cli("results", session, "--output", "parts", "broken.bin")
    assert proxied.answered("GET", "broken.bin") == 5 * PART - have
    assert (cli.folder / "parts/broken.bin").read_bytes() == path.read_bytes()


def test_a_storage_that_accepts_and_says_nothing_is_no_hang(cli: CommandLine, session: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = cli.with_environment(QARNOT_STORAGE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        refused = dead("results", session, expect=3)
    assert "The storage does not answer: no answer in time" in refused.err
    assert "Traceback" not in refused.err
    assert time.monotonic() - started < 35, "the SDK's own client would wait for three minutes"
