"""`link`, without an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from run_qarnot.commands import entry, link

ENTRY = '[images.base]\nrepo = "a/b"\n[images.base.options.workers]\ntype = "int"\nmax = 8\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images.toml").write_text(f"schema = 1\n{ENTRY}")
    monkeypatch.chdir(tmp_path)


def test_the_link_and_its_badge_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["link", "base", "--hours", "4", "--set", "workers=2", "--base", "https://example.org/p/"]) == 0
    printed = capsys.readouterr()
    address, badge = printed.out.splitlines()
    assert address == "https://example.org/p/?opt-image=base&opt-hours=4&opt-workers=2"
    assert f"]({address})" in badge
    assert printed.err == ""


def test_values_pass_the_checks_of_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run([link.link.__name__, "base", "--set", "workers=9"]) == 1
    assert "9" in capsys.readouterr().err.splitlines()[0]
