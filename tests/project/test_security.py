"""What SECURITY.md promises is held by tests that exist; the other files that strangers look for are well formed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.repository import ROOT

import run_qarnot

SECURITY = (ROOT / "SECURITY.md").read_text()
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_every_sentence_of_the_table_names_tests_that_exist() -> None:
    table = SECURITY.split("## Each sentence has a test")[1]
    named = re.findall(r"`(tests/[\w/]+\.py)`", table)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_accessibility_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "docs" / "accessibility.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_citation_names_the_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == run_qarnot.__version__


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_is_one(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert form["blank_issues_enabled"] is False
        return
    assert {"name", "description", "body"} <= form.keys()
    ids = [each["id"] for each in form["body"]]
    assert len(set(ids)) == len(ids)
    assert all(each["attributes"]["label"] for each in form["body"])
