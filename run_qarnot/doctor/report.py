"""The doctor's report: two files without secrets, to attach to an issue."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from run_qarnot import __version__
from run_qarnot.core import times, visible
from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.redaction import redact
from run_qarnot.doctor.question import Finding, Verdict

NAME = "run-qarnot-report"
_ACCOUNT = "[account]"


@dataclass(frozen=True)
class Report:
    """The result of an examination.

    Arguments:
        cluster: its URL.
        email: of the account; it is removed from the files.
        made: when.
        findings: in the order of the questions.
        left: what could not be removed.
        compat: the switches that are not at their default.
        spent: euros, as the cluster reports them; None without `--spend` or if it does not.
    """

    cluster: str
    email: str
    made: datetime
    findings: Sequence[Finding]
    left: Sequence[str] = ()
    compat: tuple[tuple[str, bool], ...] = ()
    spent: float | None = None

    @property
    def differing(self) -> list[Finding]:
        return [each for each in self.findings if each.verdict is Verdict.DIFFERS]

    @property
    def is_expected(self) -> bool:
        return not self.differing and not self.left

    @property
    def summary(self) -> str:
        counts = Counter(each.verdict for each in self.findings)
        return ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])

    def as_json(self) -> dict[str, Any]:
        value = {
            "version": __version__,
            "python": platform.python_version(),
            "system": platform.system(),
            "cluster": self.cluster,
            "made": times.to_text(self.made),
            "compat": dict(self.compat),
            "spent": self.spent,
            "left": list(self.left),
            "findings": [each.as_json() for each in self.findings],
        }
        clean: dict[str, Any] = json.loads(self._clean(json.dumps(value, ensure_ascii=False)))
        return clean

    def as_markdown(self) -> str:
        """Return the report as Markdown, differences first."""
        value = self.as_json()
        facts = f"Run Qarnot {value['version']}, Python {value['python']}, {value['system']}"
        lines = [
            "# What Run Qarnot found",
            "",
            f"{facts}; {value['cluster']}; {value['made']}.",
            "",
            f"{self.summary}.",
        ]
        if self.spent is not None:
            lines += ["", f"It cost {self.spent:.2f} €, as the cluster says."]
        if self.compat:
            switched = [f"{name}={'yes' if is_on else 'no'}" for name, is_on in self.compat]
            lines += ["", f"Switches: {', '.join(switched)}."]
        if self.left:
            lines += ["", f"**Not removed: {', '.join(self.left)}.**"]
        for verdict in (Verdict.DIFFERS, Verdict.UNKNOWN, Verdict.EXPECTED):
            rows = [each for each in value["findings"] if each["verdict"] == verdict.value]
            lines += ["", f"## {verdict.value.capitalize()}", "", *_table(rows)] if rows else []
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write both files and return their paths.

        Raises:
            InputError: the folder is not writable.
        """
        files = {".md": self.as_markdown(), ".json": json.dumps(self.as_json(), indent=2) + "\n"}
        paths = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for ending, text in files.items():
                paths.append(folder / f"{NAME}{ending}")
                paths[-1].write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError("report-unwritable", path=folder, problem=reason_of(error)) from error
        return paths

    def _clean(self, text: str) -> str:
        return redact(text).replace(self.email, _ACCOUNT)


def _table(rows: Sequence[dict[str, str]]) -> list[str]:
    head = ["number", "question", "expected", "seen", "does", "adapts"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(visible.one_line(row[name]).replace("|", "\\|") for name in head) for row in rows]
    return [f"| {line} |" for line in lines]
