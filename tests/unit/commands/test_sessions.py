"""Commands about sessions: their files, connections and questions, without an account."""

from __future__ import annotations

import asyncio
import io
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.commands import sessions
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.state import State
from run_qarnot.model.connections import Connection, ConnectionKind
from run_qarnot.model.view import SessionView

VIEW = SessionView("id-1", "calm", "base", "jupyterlab", "JupyterLab", State.READY, 1)


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


class Account:
    """Has one session."""

    def __init__(self) -> None:
        self.session: Any = SimpleNamespace(view=VIEW, deletable_buckets=self._buckets)

    async def find(self, _name: str, **_: object) -> Any:
        return self.session

    async def _buckets(self) -> list[str]:
        return ["calm-in"]


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
