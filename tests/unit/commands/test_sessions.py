"""Commands about sessions: their keys, files and last words, without an account."""

from __future__ import annotations

import asyncio
import io
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.commands import sessions
from run_qarnot.core.errors import InputError, NotFoundError, SessionError
from run_qarnot.core.state import State
from run_qarnot.model.connections import Connection, ConnectionKind
from run_qarnot.model.files import StoredCopy, StoredFile
from run_qarnot.model.keys import derive_session_key
from run_qarnot.model.view import SessionView

KEY = derive_session_key("token", "launch")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VIEW = SessionView("id-1", "calm", "base", "jupyterlab", "JupyterLab", State.READY, 1)
FILES = [StoredFile(key, 3, NOW) for key in ("a.txt", "sub/b.csv")]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, with the public one beside it."""
    (tmp_path / "id").write_text(KEY.private)
    (tmp_path / "id.pub").write_text(KEY.public)
    return tmp_path / "id"


def test_the_printed_command_names_the_private_key_or_else_the_public_one(key: Path) -> None:
    assert sessions._identity(None) is None
    assert sessions._identity(key) == sessions._identity(key.with_suffix(".pub")) == str(key)
    key.unlink()
    assert sessions._identity(key.with_suffix(".pub")) == f"{key}.pub", "the agent may hold the other half"


def test_a_key_is_read_also_as_powershell_writes_it(key: Path) -> None:
    wide = key.with_name("wide.pub")
    wide.write_bytes(b"\xff\xfe" + KEY.public.encode("utf-16-le"))
    assert sessions._read_key(wide) == sessions._read_key(key.with_suffix(".pub"))
    for wrong, content in (("missing", None), ("binary", b"\xff\x00\xff")):
        if content is not None:
            key.with_name(wrong).write_bytes(content)
        with pytest.raises(InputError) as caught:
            sessions._read_key(key.with_name(wrong))
        assert caught.value.code == "file-unreadable"


def test_a_session_that_takes_our_key_is_opened_with_it_alone(key: Path) -> None:
    used: list[str | None] = []

    def session(*, ours: bool) -> Any:
        return SimpleNamespace(knows_session_key=ours, use_own_keys=used.append)

    sessions._use_own_key(session(ours=True), key)
    assert used == []
    sessions._use_own_key(session(ours=False), key)
    sessions._use_own_key(session(ours=False), None)
    assert used == [KEY.private, None]


def test_of_folders_that_cannot_be_sent_whole_it_is_said_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.txt").touch()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert [upload.key for upload in sessions._collect([tmp_path])] == ["good.txt"]
    assert "broken" in capsys.readouterr().err


def test_a_tunnel_of_a_process_that_ends_is_printed_as_closed() -> None:
    tunnel = Connection(ConnectionKind.TUNNEL, "http://127.0.0.1:8888/", "ssh -N", VIEW.phase)
    ssh = replace(tunnel, kind=ConnectionKind.SSH, url=None)
    closed, kept = sessions._without_tunnel(replace(VIEW, connections=(tunnel, ssh))).connections
    assert (closed.kind, closed.url) == (ConnectionKind.TUNNEL, None)
    assert kept is ssh


@pytest.mark.parametrize(
    ("state", "asked_to_stop", "submitted", "said"),
    [
        (State.READY, False, True, "goes on"),
        (State.READY, True, True, "was asked to stop"),
        (State.PREPARING, False, False, "nothing is running"),
        (State.ENDED, False, True, ""),
    ],
)
def test_who_presses_ctrl_c_is_told_whether_it_goes_on(
    capsys: pytest.CaptureFixture[str], state: State, *, asked_to_stop: bool, submitted: bool, said: str
) -> None:
    session: Any = SimpleNamespace(
        view=replace(VIEW, state=state), is_asked_to_stop=asked_to_stop, is_submitted=submitted
    )
    with pytest.raises(asyncio.CancelledError), sessions._saying_what_runs(session):
        raise asyncio.CancelledError
    printed = capsys.readouterr().err
    assert said in printed
    assert bool(printed) is bool(said)


class Account:
    """Has one session, with two saved files."""

    def __init__(self) -> None:
        self.session: Any = SimpleNamespace(
            view=replace(VIEW, inputs="calm-in"), results=self, deletable_buckets=self._buckets
        )

    async def find(self, _name: str, **_: object) -> Any:
        return self.session

    async def with_inputs(self, inputs: str | None) -> list[StoredCopy]:
        given = [StoredCopy(inputs, StoredFile("given.csv", 1, FILES[0].modified))] if inputs else []
        return [*(StoredCopy("calm-out", file) for file in FILES), *given]

    def zip(self, files: list[StoredCopy], **_: object) -> Iterator[bytes]:
        yield from (each.file.key.encode() for each in files)

    async def _buckets(self) -> list[str]:
        return ["calm-in"]


def results(**given: Any) -> Any:
    arguments = {"session": "calm", "patterns": [], "zip": None, "output": None, "inputs": False} | given
    return asyncio.run(sessions.results(Account(), Namespace(**arguments)))  # type: ignore[arg-type]


def test_a_zip_is_written_whole_or_not_and_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "results.zip"
    assert results(zip=target, patterns=["*.csv"]) == 0
    assert target.read_bytes() == b"sub/b.csv"
    with pytest.raises(InputError) as caught:
        results(zip=target)
    assert caught.value.code == "output-exists"
    assert [path.name for path in target.parent.iterdir()] == ["results.zip"]


def test_the_inputs_come_only_if_they_are_asked_for(tmp_path: Path) -> None:
    for inputs, content in ((False, b"sub/b.csv"), (True, b"sub/b.csvgiven.csv")):
        results(zip=tmp_path / f"{inputs}.zip", patterns=["*.csv"], inputs=inputs)
        assert (tmp_path / f"{inputs}.zip").read_bytes() == content


def test_results_that_match_nothing_are_an_error() -> None:
    with pytest.raises(NotFoundError) as caught:
        results(patterns=["*.png"])
    assert caught.value.code == "no-results-match"


def test_files_are_not_deleted_without_somebody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    arguments = Namespace(session="calm", files=True, yes=False, left_over=False)
    with pytest.raises(InputError) as caught:
        asyncio.run(sessions.delete(Account(), arguments))  # type: ignore[arg-type]
    assert caught.value.code == "delete-unasked"


def test_a_session_without_an_app_cannot_be_opened() -> None:
    account = Account()
    account.session.ends_by_itself = True
    with pytest.raises(SessionError) as caught:
        asyncio.run(sessions.open_session(account, Namespace(session="calm", ssh_key=None)))  # type: ignore[arg-type]
    assert caught.value.code == "no-connection"
