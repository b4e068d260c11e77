"""Bad input gets a sentence, nothing is lost, and nothing is started."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from qarnot.connection import Connection
from support.command import CommandLine
from support.ssh import make_key

from qarnot_local import LocalCluster


def sentence(answer: Any) -> Any:
    """Errors are two lines on standard error, without a traceback."""
    lines = answer.err.strip().splitlines()
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert len(lines) == 2, answer.err
    return lines[0]


def test_a_wrong_token(cli: CommandLine, cluster: LocalCluster) -> None:
    answer = cli.with_environment(QARNOT_CLIENT_TOKEN="not-the-token-at-all")("sessions", expect=1)
    assert "does not accept this token" in sentence(answer)
    assert "not-the-token-at-all" not in answer.err


def test_an_empty_token(cli: CommandLine) -> None:
    assert "No Qarnot token" in sentence(cli.with_environment(QARNOT_CLIENT_TOKEN="  ")("sessions", expect=1))


def test_a_token_with_spaces_around_it_is_trimmed_and_that_is_said(cli: CommandLine, cluster: LocalCluster) -> None:
    answer = cli.with_environment(QARNOT_CLIENT_TOKEN=f" {cluster.token}\n")("sessions", "--json")
    assert "Spaces around the token" in answer.err
    assert isinstance(answer.json, list)


def test_a_token_with_a_line_break_inside(cli: CommandLine) -> None:
    answer = cli.with_environment(QARNOT_CLIENT_TOKEN="half\nother-half-of-it")("sessions", expect=1)
    assert "a space or a line break" in sentence(answer)


def test_a_private_key_given_as_public_key(cli: CommandLine, cluster: LocalCluster) -> None:
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    (cli.folder / "id").write_text(private)
    answer = cli("launch", "base", "--ssh-key", "id", expect=1)
    assert "That is a private key" in sentence(answer)
    assert private.splitlines()[1] not in answer.err


def test_a_key_that_no_server_takes_starts_nothing(cli: CommandLine, sdk: Connection, tmp_path: Path) -> None:
    (cli.folder / "cut.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKMNmJvobD5lc7YC someone")
    answer = cli("launch", "base", "--ssh-key", "cut.pub", expect=1)
    assert "cut off or damaged" in sentence(answer)
    assert list(sdk.all_tasks()) == []
    (cli.folder / "windows.pub").write_text(key := make_key(tmp_path).read_text(), encoding="utf-16")
    cli("launch", "base", "--ssh-key", "windows.pub", "--detach")
    (task,) = sdk.all_tasks()
    assert task.constants["DOCKER_SSH"].splitlines()[0] == key.strip()


def test_an_unknown_image_names_the_nearest(cli: CommandLine) -> None:
    answer = cli("launch", "pytroch", expect=1)
    assert "no image called “pytroch”" in sentence(answer)
    assert "Did you mean “pytorch”?" in answer.err
    answer = cli.with_environment(RUN_QARNOT_IMAGES="/nope")("launch", "base", expect=1)
    assert "no such file or folder (found /nope)" in sentence(answer)


@pytest.mark.parametrize("name", ["Has Spaces", "UPPER", "a" * 80, "-x", "ünï"])
def test_a_name_that_is_no_bucket_name(cli: CommandLine, name: str) -> None:
    assert "The name" in sentence(cli("launch", "base", f"--name={name}", expect=1))


def test_files_that_are_not_there_or_cannot_be_read(cli: CommandLine) -> None:
    assert "no file or folder" in sentence(cli("launch", "base", "--input", "missing", expect=1))
    folder = cli.folder / "data"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    assert "not a regular file" in sentence(cli("launch", "base", "--input", "data", expect=1))


def test_what_of_a_folder_cannot_be_sent_is_left_out_and_named(cli: CommandLine, sdk: Connection) -> None:
    folder = cli.folder / "data"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "line\nfeed").touch()
    answer = cli("launch", "base", "--name", "left-out", "--input", "data", "--detach")
    assert "Left out (2): dangling, 'line\\nfeed'. Reason for the first one: it is a broken link." in answer.err
    names = {file.key for file in sdk.retrieve_bucket("left-out-in").list_files()}
    assert "kept.txt" in names
    assert not {name for name in names if "dangling" in name or "feed" in name}
    cli("stop", "left-out", "--no-save")


@pytest.mark.parametrize("words", [("launch", "base", "--input"), ("add", "base"), ("results", "base", "--output")])
def test_an_empty_path_is_not_the_folder_where_one_is(cli: CommandLine, words: str) -> None:
    """Of a variable of the shell that is not set: all that lies here would travel, or be written here."""
    assert "a path cannot be empty" in sentence(cli(*words, "", expect=2))


def test_hours_and_options_that_are_not_possible(cli: CommandLine) -> None:
    assert "99 hours is not possible" in sentence(cli("launch", "base", "--hours", "99", expect=1))
    asked = cli("launch", "base", "--hours", "18.30", expect=2).err
    assert "“18.30” could be a time of the day, or a number of hours. Write 18:30 for the time, or 18.3" in asked
    assert "Write 08:00 for the time, or 8 h" in cli("launch", "base", "--hours", "8h00", expect=2).err
    assert "opt-hours=1.5" in cli("link", "base", "--hours", "90m").out
    assert "or a time of the day, such as 18:30." in cli("launch", "base", "--hours", "25:00", expect=2).err
    assert "no option “colour”" in sentence(cli("launch", "base", "--set", "colour=red", expect=1))


def test_buckets_and_machines_that_the_account_does_not_have(cli: CommandLine) -> None:
    (cli.folder / "data").write_text("data")
    asked = ("launch", "base", "--name", "not-made", "--input", "data")
    answer = cli(*asked, "--bucket", "no-such", expect=1)
    assert "has no bucket “no-such”" in sentence(answer)
    assert "It has none." in answer.err
    answer = cli(*asked, "--machine", "sdd", expect=1)
    assert "has no machine “sdd”" in sentence(answer)
    assert "Did you mean “ssd”?" in answer.err


def test_nothing_was_started_or_made_by_any_of_this(cli: CommandLine, cluster: LocalCluster) -> None:
    before = cli("sessions", "--json").json
    cli("launch", "base", "--name", "not-made", "--hours", "99", expect=1)
    assert cli("sessions", "--json").json == before
    assert "no session" in sentence(cli("show", "not-made", expect=1))


def test_bad_usage_is_2(cli: CommandLine) -> None:
    assert cli("launch", expect=2).err
    assert cli("no-such-command", expect=2).err
    assert cli("show", "x", "--nonsense", expect=2).err


def test_a_cluster_that_is_not_there_is_said_within_five_seconds(cli: CommandLine) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        answer = cli.with_environment(QARNOT_CLUSTER_URL=nobody)("sessions", expect=3)
        assert "does not answer" in sentence(answer)


def test_a_cluster_that_accepts_and_says_nothing_is_no_hang(cli: CommandLine) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        answer = cli.with_environment(QARNOT_CLUSTER_URL=address)("sessions", expect=3)
        assert "no answer in time" in sentence(answer)
        assert time.monotonic() - started < 10, "five seconds, and the start of Python on a busy machine"


def test_something_else_than_qarnot_answers(cli: CommandLine, cluster: LocalCluster) -> None:
    answer = cli.with_environment(QARNOT_CLUSTER_URL=cluster.storage_url)("sessions", expect=3)
    assert "is not a Qarnot API" in sentence(answer)


def test_one_name_twice_is_refused_and_the_first_is_left_alone(cli: CommandLine) -> None:
    cli("launch", "base", "--name", "twice", "--detach")
    answer = cli("launch", "base", "--name", "twice", expect=1)
    assert "already a session called “twice”" in sentence(answer)
    cli("stop", "twice", "--no-save")
    assert cli("show", "twice", "--json").json["state"] == "ended"


def test_a_session_that_fails_says_why_and_shows_its_last_lines(cli: CommandLine) -> None:
    (cli.folder / "images.toml").write_text(
        'schema = 1\n[images.broken]\ntitle = "Broken"\napp = "batch"\nprofile = "docker-batch"\n'
        'repo = "library/ubuntu"\ncommand = "sh -c \\"echo the last words; exit 3\\""\n'
    )
    answer = cli("launch", "broken", "--name", "fails", "--json", expect=1)
    assert "“fails” failed" in answer.err
    assert "the last words" in answer.err
    assert "Traceback" not in answer.err
    session = cli("show", "fails", "--json").json
    assert (session["state"], session["reason"]) == ("failed", "failed")
    assert session["error"]


def test_an_app_that_ends_before_it_answers_has_failed_and_shows_its_last_lines(cli: CommandLine) -> None:
    """Whatever its exit code: nobody could use it. Who looks later is told so, too."""
    (cli.folder / "images.toml").write_text(
        'schema = 1\n[images.short]\ntitle = "Short"\nprofile = "docker-network-ssh"\n'
        'repo = "library/ubuntu"\ncommand = "sh -c \\"echo the last words\\""\n'
    )
    answer = cli("launch", "short", "--name", "ends", expect=1)
    assert "“ends” failed" in answer.err
    assert "It ended before its app answered." in answer.err
    assert "the last words" in answer.err
    session = cli("show", "ends", "--json").json
    assert (session["state"], session["reason"]) == ("failed", "failed")


def test_an_image_that_the_local_cluster_does_not_play_is_refused_in_one_sentence(
    cli: CommandLine, cluster: LocalCluster
) -> None:
    (cli.folder / "images.toml").write_text(
        'schema = 1\n[images.theirs]\nprofile = "docker-network-ssh"\nrepo = "team/lab"\n'
        '[images.bundled]\nprofile = "docker-network-ssh"\nrepo = "library/python"\nstart = "bundled"\n'
        '[images.software]\napp = "batch"\nprofile = "auto-sklearn-cluster"\n'
    )
    for image in ("theirs", "bundled", "software"):
        said = sentence(cli("launch", image, "--name", "nowhere", expect=1))
        assert f"“{image}” cannot be tried on this computer" in said
        assert cluster.control.count("POST", "/tasks") == 0


def test_a_cluster_without_a_storage_is_said(cli: CommandLine, cluster: LocalCluster) -> None:
    cluster.control.fail_next("GET", "/settings", status=200, body={"storage": None})
    without = cli.with_environment(QARNOT_STORAGE_URL="")
    assert "The storage does not answer: the cluster does not state its address" in sentence(
        without("sessions", expect=3)
    )
