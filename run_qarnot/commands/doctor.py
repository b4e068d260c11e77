"""The command `doctor`: checks on the account the behaviour that the product relies on."""

from __future__ import annotations

from argparse import Namespace

from run_qarnot.commands import show
from run_qarnot.doctor.examination import Examination
from run_qarnot.doctor.question import Finding, Verdict
from run_qarnot.doctor.report import Report
from run_qarnot.engine.daemon_executor import run
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import Settings


def doctor(settings: Settings, arguments: Namespace) -> int:
    """Run all checks and write the report; return 1 if anything differs or could not be removed."""
    report = run(_examine(settings, arguments))
    files = report.write(arguments.output)
    if arguments.json:
        show.out_json(report.as_json())
    else:
        _print(report)
    show.err(f"{report.summary}. The report, without secrets: {', '.join(map(str, files))}")
    return 0 if report.is_expected else 1


async def _examine(settings: Settings, arguments: Namespace) -> Report:
    catalog = find_plugins(settings).catalog()
    examination = await Examination.begin(settings, settings.token or "", catalog, show.err, _tell)
    return await examination.run(spending=arguments.spend and _may_spend(examination, ask=not arguments.yes))


def _may_spend(examination: Examination, *, ask: bool) -> bool:
    show.err(f"This starts {examination.most}")
    if not ask or show.confirm("Start them?"):
        return True
    show.err("Only what costs nothing is asked.")
    return False


def _tell(finding: Finding) -> None:
    show.status(f"{finding.question.number}  {finding.question.text}")


def _print(report: Report) -> None:
    """Print a finding that differs or is unknown; the report has all of them."""
    for finding in report.findings:
        if finding.verdict is not Verdict.EXPECTED:
            asked = finding.question
            show.out(f"{asked.number} {finding.verdict.value}: {asked.text}")
            show.out(f"    expected: {asked.expected}")
            show.out(f"    seen: {finding.seen}")
            show.out(f"    Run Qarnot {asked.does}: {asked.adapts}")
