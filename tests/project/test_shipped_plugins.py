"""The plugins in `plugins/` work, and so does the example in their README."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.repository import ROOT

from run_qarnot.catalog.hooks import Panel
from run_qarnot.core import language
from run_qarnot.core.errors import RefusedError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.state import State
from run_qarnot.hooks.manager import Plugins, find_plugins
from run_qarnot.model.keys import derive_app_token
from run_qarnot.model.plan import TaskPlan, make_plan
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec, option_constants
from run_qarnot.model.view import SessionView

PLUGINS = ROOT / "plugins"


def settings(plugins: Path) -> Settings:
    return Settings(images=ROOT / "images.toml", plugins=plugins)


def test_the_shipped_plugins_bring_their_images_without_a_problem() -> None:
    catalog = find_plugins(settings(PLUGINS)).catalog()
    assert catalog.problems == ()
    image = catalog.get("overnight")
    assert image.source == "overnight.py"
    assert (image.repo, image.effective_app.kind) == ("qarnotlab/jupyterlab-base", "jupyterlab")
    assert image.hours <= image.max_hours


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("*.py")), ids=lambda path: path.name)
def test_each_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def test_a_broken_plugin_costs_one_row(tmp_path: Path) -> None:
    shutil.copy(PLUGINS / "overnight.py", tmp_path)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert {"base", "overnight"} <= set(catalog.images)
    (problem,) = catalog.problems
    assert problem.source == "broken.py"
    assert "nothing_of_that_name" in problem.message


def test_the_example_in_the_readme_works(tmp_path: Path) -> None:
    example = (PLUGINS / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "ours.py").write_text(example)
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert catalog.problems == ()
    assert (catalog.get("climate").title, catalog.get("genome").tag) == ("Climate", "v7")


def test_the_catalog_file_comes_first_and_wins(tmp_path: Path) -> None:
    """Plugins may add to what an admin wrote there, not replace it."""
    (tmp_path / "ours.py").write_text(
        "from run_qarnot import hookimpl\n\n\n"
        "@hookimpl\ndef rq_images(settings):\n"
        "    return {'base': {'title': 'Other', 'repo': 'a/b'}, 'ours': {'repo': 'a/b'}}\n"
    )
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert next(iter(catalog.images)) == "base"
    assert list(catalog.images)[-1] == "ours"
    assert catalog.get("base").title == "JupyterLab"
    (problem,) = catalog.problems
    assert (problem.source, problem.entry) == ("ours.py", "base")


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [(18, 0, 14), (2, 0, 6), (2, 1, 30), (7, 59, 24), (8, 0, 24), (23, 50, 8.25), (23, 55, 8)],
)
def test_the_night_ends_in_the_morning(hour: int, minute: int, expected: float) -> None:
    overnight = runpy.run_path(str(PLUGINS / "overnight.py"))
    now = datetime(2026, 3, 1, hour, minute, tzinfo=UTC)
    hours = overnight["hours_until_morning"](now)
    assert hours == expected
    assert abs((now + timedelta(hours=hours)).replace(second=0).hour - overnight["MORNING"]) <= 1


def test_a_family_of_images_by_code() -> None:
    catalog = find_plugins(settings(PLUGINS)).catalog()
    family = catalog.search(category="Python scripts")
    assert [(image.id, image.tag) for image in family][:2] == [("python-3.11", "3.11"), ("python-3.12", "3.12")]
    assert all(image.effective_app.ends_by_itself for image in family)
    assert option_constants(family[0], {"script": "run/me.py"}) == {"SCRIPT": "run/me.py"}


def test_code_server_is_an_app_of_its_own() -> None:
    image = find_plugins(settings(PLUGINS)).catalog().get("code-server")
    app = image.effective_app
    assert (app.kind, app.title, app.port, app.probe_path) == ("code-server", "VS Code", 8080, "/healthz")
    assert "127.0.0.1:8080" in image.command  # reached by the tunnel alone
    assert " sshd" in image.command.replace("/usr/sbin/sshd", " sshd")  # by which the local cluster knows not to run it


def test_code_server_asks_for_the_password_that_its_address_shows() -> None:
    image = find_plugins(settings(PLUGINS)).catalog().get("code-server")
    spec = SessionSpec(image=image, name="calm-heron-42", hours=4)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    plan = make_plan(spec, launch_id="rq-1", token="a-token-of-the-test", profiles=["x"], version="1", now=now)
    assert "--auth password" in image.command
    assert plan.constants["PASSWORD"] == derive_app_token("a-token-of-the-test", "rq-1")


@pytest.mark.parametrize("genuine", [True, False])
def test_code_server_runs_only_if_the_archive_is_the_one_that_was_published(tmp_path: Path, genuine: bool) -> None:
    """The real command from the download on, with an archive of the test's own in the place of the release."""
    plugin = runpy.run_path(str(PLUGINS / "code_server.py"))
    program = tmp_path / "code-server-1/bin/code-server"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "runs $*"\n')
    program.chmod(0o755)
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(program.parents[1], "code-server-1")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest() if genuine else plugin["SHA256"]
    script = plugin["COMMAND"].removeprefix("sh -c '").removesuffix("'")
    script = script[script.index("archive=$(mktemp)") :]
    changes = {
        plugin["ARCHIVE"]: archive.as_uri(), plugin["SHA256"]: digest,
        "/opt/code-server": str(tmp_path / "opt"),
    }  # fmt: skip
    for old, new in changes.items():
        assert old in script
        script = script.replace(old, new)
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    ended = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
    assert (ended.returncode == 0) is genuine
    assert not genuine or not list((tmp_path / "tmp").iterdir()), "the archive is removed"
    assert ("runs --auth password" in ended.stdout) is genuine
    assert (tmp_path / "opt").exists() is genuine


@pytest.mark.parametrize(
    "path",
    [*PLUGINS.glob("*"), ROOT / "images.toml", *(ROOT / "docs").glob("*.md"), ROOT / "README.md"],
    ids=lambda path: path.name,
)
def test_nothing_that_is_shipped_runs_what_it_downloads_unseen_or_asks_nobody_for_a_password(path: Path) -> None:
    text = path.read_text() if path.is_file() else ""
    assert not re.search(r"\|\s*(sudo\s+)?(ba|da|z)?sh\b(?! -c)", text)
    assert not re.search(r"--auth[ =]none|token=''|--allow-root --no-auth", text)


def prepared(plugins: Plugins, hours: float = 4) -> TaskPlan:
    spec = SessionSpec(image=plugins.catalog().get("base"), name="calm-heron-42", hours=hours)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    plan = make_plan(spec, launch_id="rq-1", token="a-token-of-the-test", profiles=["jupyterlab"], version="1", now=now)
    return plugins.prepare(plan, spec)


def test_the_policy_does_nothing_until_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUN_QARNOT_MOST_HOURS", "RUN_QARNOT_PROJECT", "RUN_QARNOT_WEBHOOK"):
        monkeypatch.delenv(name, raising=False)
    plugins = find_plugins(settings(PLUGINS))
    assert prepared(plugins, hours=24).tags == ("run-qarnot",)
    assert plugins.problems == []


def test_the_policy_refuses_long_sessions_and_tags_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_QARNOT_MOST_HOURS", "12")
    monkeypatch.setenv("RUN_QARNOT_PROJECT", "climate")
    plugins = find_plugins(settings(PLUGINS))
    assert prepared(plugins, hours=12).tags == ("run-qarnot", "project:climate")
    with pytest.raises(RefusedError, match="12 hours at most, and this one asks for 13") as caught:
        prepared(plugins, hours=13)
    assert "policy.py" in caught.value.todo


@pytest.fixture
def chat() -> Iterator[tuple[str, list[str]]]:
    """A chat that takes webhooks: its address, and what it was told."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook/a-secret-address", told
    server.shutdown()
    server.server_close()


VIEW = SessionView(
    id="1", name="calm-heron-42", image="base", app="jupyterlab", app_title="JupyterLab", state=State.STARTING,
    attempt=1, results="calm-heron-42-out",
)  # fmt: skip
NOW = datetime(2026, 3, 1, tzinfo=UTC)
READY = replace(VIEW, state=State.READY, ready=NOW)


def test_the_webhook_tells_of_ready_and_of_the_end(
    chat: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, told = chat
    monkeypatch.setenv("RUN_QARNOT_WEBHOOK", address)
    plugins = find_plugins(settings(PLUGINS))
    plugins.changed(VIEW, READY, NOW)
    plugins.changed(READY, replace(READY, saved=NOW), NOW)  # not worth a message
    failed = replace(
        READY, state=State.FAILED, reason="failed", error=Verbatim("login failed: password=hunter2 token: abc.")
    )
    plugins.changed(READY, failed, NOW)
    plugins.drain(10)
    assert plugins.problems == []
    assert [text.split(":")[0] for text in told] == ["calm-heron-42 (base)"] * 2
    assert "Ready" in told[0]
    assert "password=[hidden]" in told[1]
    assert "hunter2" not in told[1]
    assert "abc" not in told[1]


def test_a_webhook_that_does_not_answer_is_given_up_and_its_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUN_QARNOT_WEBHOOK", "http://127.0.0.1:9/hook/a-secret-address")
    plugins = find_plugins(settings(PLUGINS))
    plugins.changed(VIEW, READY, NOW)
    plugins.drain(10)
    assert plugins.problems == []
    assert "does not answer" in caplog.text
    assert "a-secret-address" not in caplog.text
    webhook = runpy.run_path(str(PLUGINS / "webhook.py"))
    assert 0 < webhook["TIMEOUT_SECONDS"] < 5


def test_the_receipt_lists_the_packages() -> None:
    files = {
        "requirements.txt": b"\n# >>> run-qarnot: >>>\nmoo[milk]==1.0\n# <<< run-qarnot <<<\n",
        "requirements-full.txt": b"# all\nabc==2\nmoo==1.0\n-e .\nplain @ file:///x\n",
    }
    (panel,) = find_plugins(settings(PLUGINS)).panels(READY, files.__getitem__)
    assert isinstance(panel, Panel)
    assert panel.rows == (("moo", "1.0", "✓"), ("abc", "2", ""), ("plain @ file:///x", "", ""))
    assert language.chosen(panel.text) == "3 packages, 1 of them installed by you."
    language.set_language("fr")
    try:
        assert language.chosen(panel.text) == "3 paquets, dont 1 que vous avez installés."
        assert language.chosen(panel.title) == "Paquets"
    finally:
        language.set_language("en")


def test_before_the_first_save_there_is_no_receipt() -> None:
    def nothing(path: str) -> bytes:
        raise FileNotFoundError(path)

    assert find_plugins(settings(PLUGINS)).panels(READY, nothing) == []


def test_the_shipped_catalog_holds_what_it_promises() -> None:
    catalog = find_plugins(settings(PLUGINS)).catalog()
    original = {"base": "base", "scikit-learn": "sklearn", "tensorflow": "tensorflow-cpu", "pytorch": "pytorch-cpu"}
    for name, repo in original.items():
        assert (catalog.get(name).repo, catalog.get(name).tag) == (f"qarnotlab/jupyterlab-{repo}", "v1")
    apps = {image.effective_app.kind for image in catalog}
    assert {"jupyterlab", "ssh", "batch"} <= apps
    assert catalog.get("auto-sklearn").profile == ("auto-sklearn-cluster",)
