"""Writes docs/lifecycle.md from the tables that the engine itself runs on: `make docs`. A test fails if it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from run_qarnot.core.locale import en  # noqa: E402
from run_qarnot.core.state import FINAL, NEXT, RESTARTS, EndReason, State  # noqa: E402

PAGE = ROOT / "docs" / "lifecycle.md"


def main() -> None:
    PAGE.write_text(text(), encoding="utf-8")


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# The life of a session",
        "",
        "<!-- Written by docs/make_lifecycle.py from run_qarnot/core/state.py. Change those, then `make docs`. -->",
        "",
        "What may come next, on one machine. The cluster is asked now and then, so steps are missed: whatever can be",
        "reached is believed, nothing leads back, and a word that is not known changes nothing. When the cluster moves",
        "a session to another machine, a new *attempt* begins, in any of the states with a thick border. That machine",
        "begins with what was saved last: the result bucket is the last of the task's resources.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {State.PREPARING}",
    )
    for state, following in NEXT.items():
        yield from (f"    {state} --> {after}" for after in State if after in following)
    yield from (f"    {state} --> [*]" for state in State if state in FINAL)
    yield "    classDef restart stroke-width:3px"
    yield from (f"    class {state} restart" for state in State if state in RESTARTS)
    yield from ("```", "", "| state | what a person reads |", "| --- | --- |")
    yield from (f"| `{state}` | {en.STATES[state].format(app='JupyterLab')} |" for state in State)
    yield from ("", "Why a session ended:", "", "| reason | what a person reads |", "| --- | --- |")
    yield from (f"| `{reason}` | {en.END_REASONS[reason]} |" for reason in EndReason)
    yield from (f"| `{reason}`, never had a machine | {end} |" for reason, end in en.END_BEFORE_A_RUN.items())
    yield from (
        "",
        "The time limit (`maxWallTime` of the job that holds the task) is set at the start, and the platform has no",
        "call that changes it. More hours are a new session with the files, packages, options and keys of the one",
        "before, on such a machine; that one is saved and stopped: `run-qarnot stop NAME --continue H`,",
        "`Account.continue_with`. What was only in memory is lost.",
        "",
        "Two starts by one name at the same moment share buckets until one of them is on the cluster. The storage is",
        "asked to make a file only if there is none of that name (`If-None-Match: *`), so none replaces another's. Who",
        "finds foreign files there, or another task of that name, before or right after the submission, gives way.",
        "",
        "`run_qarnot/engine/decide.py` turns what is seen into what is shown and done, as pure functions;",
        "`run_qarnot/engine/session.py` carries it out: observe, decide, act, tell.",
    )


if __name__ == "__main__":
    main()
