"""The Python API, by the examples, on a local cluster."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from support.git_server import make_repository, serving
from support.repository import ROOT
from support.web_server import web_server

import run_qarnot
from qarnot_local import LocalCluster
from run_qarnot.core.errors import InputError, NotFoundError, RefusedError, SessionError

pytestmark = pytest.mark.slow

BATCH = {"command": "sh -c 'echo made > result.txt'"}


@pytest.fixture
def account(cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    """The environment of a user who has an account on the local cluster."""
    monkeypatch.setenv("QARNOT_CLUSTER_URL", cluster.cluster_url)
    monkeypatch.setenv("QARNOT_STORAGE_URL", cluster.storage_url)
    monkeypatch.setenv("QARNOT_CLIENT_TOKEN", cluster.token)
    monkeypatch.chdir(tmp_path)
    return cluster


def example(name: str, *arguments: str) -> None:
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"](*arguments)


def test_a_notebook(account: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.csv").write_text("1\n")
    example("notebook", str(tmp_path / "data"))
    said = capsys.readouterr().out
    assert "Open this: http://127.0.0.1:" in said
    assert "Ready" in said
    assert "Results:" in said


def test_a_command(account: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.py").write_text("print('x', file=open('out.txt', 'w'))\n")
    example("command", "python3 main.py", str(tmp_path / "main.py"))
    (made,) = tmp_path.glob("*-results/out.txt")
    assert made.read_text() == "x\n"
    assert str(made.name) in capsys.readouterr().out


def test_a_sweep(account: LocalCluster, tmp_path: Path) -> None:
    example("sweep", "sh -c 'echo {} > value.txt'", "1", "2")
    assert [(tmp_path / "sweep" / value / "value.txt").read_text() for value in "12"] == ["1\n", "2\n"]


def test_a_session_is_found_again_and_what_is_wrong_is_said(account: LocalCluster) -> None:
    with run_qarnot.Account.open() as opened:
        assert "base" in opened.images
        session = opened.launch("command", name="calm-heron", options=BATCH)
        assert session.follow(seconds=60).is_over
        session.start(hours=1)
        assert session.follow(seconds=60).run == 2
        assert [each.name for each in opened.sessions()] == ["calm-heron"]
        assert repr(opened.session("calm")) == "<Session calm-heron: ended>"
        with pytest.raises(NotFoundError):
            opened.session("nobody")
        with pytest.raises(NotFoundError):
            opened.launch("no-such-image")
        with pytest.raises(InputError):
            opened.launch("base", name="Not A Name")


def test_a_failure_comes_out_of_follow(account: LocalCluster) -> None:
    with run_qarnot.Account.open() as opened:
        session = opened.launch("command", options={"command": "false"})
        with pytest.raises(SessionError) as caught:
            session.follow(seconds=60)
        assert caught.value.code == "session-failed"
        account.control.set_quota("tasks", 0)
        with pytest.raises(RefusedError):
            opened.launch("command", options=BATCH)


def test_a_repository_and_a_file_of_the_web_come_along_to_several_machines(
    account: LocalCluster, tmp_path: Path
) -> None:
    make_repository(tmp_path / "git" / "project.git", {"a.txt": "of the repository"})
    command = 'sh -c "cat project/a.txt data.csv > out-$INSTANCE_ID.txt"'
    with (
        serving(tmp_path / "git") as git,
        web_server(files={"data.csv": b" and of the web"}) as web,
        run_qarnot.Account.open() as opened,
    ):
        inputs, options = [web.url("data.csv")], {"command": command}
        session = opened.launch("command", git=f"{git}project.git@main", inputs=inputs, machines=2, options=options)
        assert session.follow(seconds=60).machine_count == 2
        session.results(tmp_path / "results")
    assert (tmp_path / "results" / "out-1.txt").read_text() == "of the repository and of the web"


def test_a_wrong_token_is_refused(account: LocalCluster) -> None:
    with pytest.raises(RefusedError):
        run_qarnot.Account.open("a-token-of-nobody")
    with pytest.raises(InputError):
        run_qarnot.Account.open("two words")


def test_the_snippet_of_the_page_works(account: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('x', file=open('out.txt', 'w'))\n")
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    exec(snippet.replace("python main.py", "python3 main.py"), {})
    assert (tmp_path / "results" / "out.txt").read_text() == "x\n"
