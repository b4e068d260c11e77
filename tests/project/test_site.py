"""The documents as a web site: no link leads nowhere, and there is a search."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from support.repository import ROOT

OUTWARD = runpy.run_path(str(ROOT / "docs" / "site_links.py"))["outward"]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_can_be_searched(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    index = json.loads((tmp_path / "site" / "search" / "search_index.json").read_text())
    pages = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {"index.html", "tutorial.html", "reference.html", "troubleshooting.html", "first-start.html"} <= pages
    assert not list((tmp_path / "site").rglob("*.py"))


def test_links_to_other_files_lead_to_the_repository() -> None:
    text = "[a](images.md) [b](../plugins/overnight.py) [c](../README.md#limits) [d](https://x.example) [e](#here)"
    led = OUTWARD(text, "docs/plugins.md")
    assert "[a](images.md)" in led
    assert "blob/HEAD/plugins/overnight.py)" in led
    assert "blob/HEAD/README.md#limits)" in led
    assert led.endswith("[d](https://x.example) [e](#here)")
