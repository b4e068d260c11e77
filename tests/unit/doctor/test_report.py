"""The report: two files without secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import protect
from run_qarnot.doctor.question import Finding, Question, Verdict
from run_qarnot.doctor.report import Report

ASKED = Question("S2", "Is it kept?", "412", "looks first", "conditional-puts")


def report(*verdicts: Verdict, seen: str = "200", left: tuple[str, ...] = ()) -> Report:
    findings = [Finding(ASKED, seen, verdict) for verdict in verdicts]
    made = datetime(2026, 11, 30, tzinfo=UTC)
    return Report("https://api.example", "ada@example.org", made, findings, left, (("conditional-puts", False),), 0.125)


def test_it_is_as_expected_when_nothing_differs_and_nothing_is_left() -> None:
    assert report(Verdict.EXPECTED, Verdict.UNKNOWN).is_expected
    assert not report(Verdict.EXPECTED, Verdict.DIFFERS).is_expected
    assert not report(Verdict.EXPECTED, left=("the bucket x",)).is_expected
    assert report(Verdict.EXPECTED, Verdict.DIFFERS, Verdict.EXPECTED).summary == "2 as expected, 1 differs"


def test_the_files_say_all_of_it(tmp_path: Path) -> None:
    page, data = report(Verdict.EXPECTED, Verdict.DIFFERS, left=("the bucket x",)).write(tmp_path / "new")
    text, value = page.read_text(), json.loads(data.read_text())
    assert (page.name, data.name) == ("run-qarnot-report.md", "run-qarnot-report.json")
    assert text.index("## Differs") < text.index("## As expected")
    assert "It cost 0.12 €" in text
    assert "**Not removed: the bucket x.**" in text
    assert "Switches: conditional-puts=no." in text
    assert value["findings"][1] == {
        "number": "S2", "question": "Is it kept?", "expected": "412", "seen": "200", "verdict": "differs",
        "does": "looks first", "adapts": 'RUN_QARNOT_COMPAT="conditional-puts=no" (run_qarnot/cloud/s3/client.py)',
    }  # fmt: skip
    assert value["compat"] == {"conditional-puts": False}


def test_no_secret_and_no_name_is_in_it(tmp_path: Path) -> None:
    protect("the-qarnot-token")
    seen = "ada@example.org https://x/?X-Amz-Signature=abcdef&X-Amz-Credential=ada the-qarnot-token"
    for path in report(Verdict.DIFFERS, seen=seen).write(tmp_path):
        text = path.read_text()
        assert "[account] https://x/?X-Amz-Signature=[hidden]" in text
        assert not any(secret in text for secret in ("ada@", "abcdef", "the-qarnot-token"))


def test_what_was_seen_breaks_no_table() -> None:
    line = next(row for row in report(Verdict.DIFFERS, seen="a|b\nc").as_markdown().splitlines() if "S2" in row)
    assert "a\\|b" in line
    assert line.count(" | ") == 5


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        report(Verdict.EXPECTED).write(tmp_path / "file")
    assert caught.value.code == "report-unwritable"
