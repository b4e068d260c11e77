"""What must be right before a release is said before anything is built."""

from __future__ import annotations

import runpy

from support.repository import ROOT

RELEASE = runpy.run_path(str(ROOT / "building" / "release.py"))


def test_a_release_is_named_in_the_changelog_and_the_citation() -> None:
    assert RELEASE["said_wrong"]("1.2.3", "# Changelog\n\n## 1.2.3 (2026-12-01)\n", "version: 1.2.3\n") == []
    wrong = RELEASE["said_wrong"]("1.2.3", "# Changelog\n\n## Unreleased\n\n## 1.2\n", "version: 1.2.30\n")
    assert [sentence.split()[0] for sentence in wrong] == ["CHANGELOG.md", "CITATION.cff"]


def test_the_version_is_read_where_it_stands() -> None:
    import run_qarnot

    assert RELEASE["_version"]() == run_qarnot.__version__
