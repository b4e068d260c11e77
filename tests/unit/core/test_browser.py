"""Opening an address that holds a secret."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.browser import FakeBrowser, _Redirect
from support.command import clean_environment
from support.waiting import wait_until

from run_qarnot.core import browser

ADDRESS = "http://127.0.0.1:8888/lab?token=secret-0123456789&next=%2F"
OPEN = (
    "import sys; from run_qarnot.core.browser import open_privately; sys.exit(not open_privately(sys.stdin.readline()))"
)


def test_nobody_else_reads_the_address_in_the_list_of_processes_or_in_the_file(tmp_path: Path) -> None:
    fake = FakeBrowser(tmp_path)
    environment = clean_environment(BROWSER=str(fake.program), TMPDIR=str(tmp_path), HOME=str(tmp_path))
    subprocess.run([sys.executable, "-c", OPEN], input=ADDRESS, env=environment, text=True, check=True, timeout=30)
    seen = fake.seen()
    assert seen.target == ADDRESS
    assert any(seen.address in command for command in seen.commands), "its own arguments were among them"
    assert not any("secret-0123456789" in command for command in seen.commands)
    assert seen.modes == ["0o600", "0o700"]
    assert not seen.file.parent.exists(), "it is removed when the program ends"


def test_it_is_removed_while_the_program_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser, "_SECONDS", 0.05)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    browser.open_privately(ADDRESS)
    assert opened[0].startswith(tmp_path.as_uri())
    wait_until(lambda: not list(tmp_path.iterdir()), "the file to be removed")


def test_without_a_place_for_the_file_there_is_no_browser_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert browser.open_privately(ADDRESS) is False


def test_a_browser_in_a_sandbox_gets_a_file_that_it_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(browser, "_SANDBOXES", (str(tmp_path / "snap"),))
    assert browser._parent() is None
    (tmp_path / "snap").mkdir()
    assert browser._parent() == tmp_path
    (tmp_path / "Downloads").mkdir()
    assert browser._parent() == tmp_path / "Downloads"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_the_page_leads_to_the_very_address_and_nothing_else_is_in_it(text: str) -> None:
    address = f"http://127.0.0.1:8888/{text}"
    assert _Redirect.of(browser.redirect_page(address)) == address
