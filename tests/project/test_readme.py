"""What the documents say is so: links, commands, the badge."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.repository import ROOT, repository_files

from run_qarnot.page.extension import ROUTE

README = (ROOT / "README.md").read_text()
DOCUMENTS = [path for path in repository_files() if path.suffix == ".md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    links = [link.split("#")[0] for link in LINK.findall(path.read_text()) if "://" not in link]
    assert [link for link in links if link and not (path.parent / link).exists()] == []


def test_the_badge_opens_the_page() -> None:
    (launch,) = [link for link in LINK.findall(README) if link.startswith("https://mybinder.org/v2/")]
    parts = urlsplit(launch)
    assert re.fullmatch(r"/v2/gh/[\w.-]+/[\w.-]+/(HEAD|v[\d.]+)", parts.path)
    assert parse_qs(parts.query)["urlpath"] == [f"{ROUTE}/"]


def test_every_command_that_the_readme_names_exists() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "run_qarnot", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    named = set(re.findall(r"run-qarnot ([a-z]+)\b", README))
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", run.stdout)} == set()


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([a-z]+)", path.read_text())}
    assert named <= targets
