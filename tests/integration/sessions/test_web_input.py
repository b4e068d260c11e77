"""Files of the web as inputs: by the commands, from a real server into the storage of the local cluster."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest
from support.command import CommandLine
from support.waiting import wait_until
from support.web_server import WebServer, web_server

SMALL, LARGE = os.urandom(100_000), os.urandom(20_000_000)
SUM = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(files={"small.csv": SMALL, "large.bin": LARGE}) as server:
        yield server


def state(cli: CommandLine, name: str) -> str:
    return str(cli("show", name, "--json").json["state"])


def test_files_of_the_web_are_inputs_and_go_on_where_they_broke_off(cli: CommandLine, server: WebServer) -> None:
    server.breaks = [9_000_000, 5_000_000]
    inputs = ("--input", server.url("small.csv?key=of-nobody"), "--input", f"{server.url('large.bin')}#sha256={SUM}")
    done = cli("launch", "command", "--name", "web", *inputs, "--set", "command=sha256sum small.csv large.bin")
    assert "large.bin: 20.0 MB, from http://127.0.0.1" in done.err
    assert "small.csv: 100 kB, from http://127.0.0.1" in done.err
    assert "of-nobody" not in done.err
    wait_until(lambda: state(cli, "web") == "ended", "the end", 60)
    log = cli("logs", "web").out
    assert f"{hashlib.sha256(SMALL).hexdigest()}  small.csv" in log
    assert f"{SUM}  large.bin" in log
    assert len([path for path, _ in server.asked if path == "large.bin"]) >= 4, "asked, begun, and gone on with twice"


def test_a_file_that_hides_its_size_comes_along(cli: CommandLine, server: WebServer) -> None:
    server.says_size = server.ranges = False
    done = cli(
        "launch", "command", "--name", "hidden", "--input", server.url("small.csv"), "--set", "command=wc -c *.csv"
    )
    assert "small.csv: its server does not say its size" in done.err
    wait_until(lambda: state(cli, "hidden") == "ended", "the end", 60)
    assert "100000 small.csv" in cli("logs", "hidden").out


@pytest.mark.parametrize("name", ["small.csv", "large.bin"])
def test_another_content_than_the_checksum_says_starts_nothing(cli: CommandLine, server: WebServer, name: str) -> None:
    wrong = f"{server.url(name)}#sha256={64 * '0'}"
    done = cli("launch", "command", "--name", "wrong", "--input", wrong, "--set", "command=true", expect=1)
    assert f"“{name}” is not the file that was meant" in done.err
    assert cli("sessions", "--json").json == []
    again = cli("launch", "command", "--name", "wrong", "--input", server.url(name), "--set", "command=true")
    assert again.code == 0, "nothing of it is in the way"


def test_what_is_not_there_is_said_before_anything_is_made(cli: CommandLine, server: WebServer) -> None:
    for address, said in (
        (server.url("nothing.csv"), "There is no file at http://127.0.0.1"),
        ("ftp://example.org/x.csv", "“ftp://example.org/x.csv” is not the address of a file on the web."),
        ("https://anna:secret@example.org/x", "is not the address of a file on the web."),
    ):
        done = cli("launch", "command", "--name", "none", "--input", address, expect=1)
        assert said in done.err
        assert "secret" not in done.err
        assert done.err.count("\n") == 2, done.err
    assert cli("sessions", "--json").json == []


def test_files_of_the_web_are_added_to_a_session_for_its_next_run(cli: CommandLine, server: WebServer) -> None:
    cli("launch", "command", "--name", "more", "--set", "command=cat *.csv | wc -c")
    wait_until(lambda: state(cli, "more") == "ended", "the end", 60)
    done = cli("add", "more", server.url("small.csv"))
    assert "1 file added to more; its next run begins with it" in done.err or "1 file added to more" in done.err
    server.files["small.csv"] = b"other"
    assert "small.csv" in cli("add", "more", server.url("small.csv"), expect=1).err
    server.files["other.csv"] = b"12345"
    cli("start", "more", "--input", server.url("other.csv"))
    wait_until(lambda: len(cli("show", "more", "--json").json["runs"]) == 2 and state(cli, "more") == "ended", "it", 60)
    assert "100005" in cli("logs", "more").out
