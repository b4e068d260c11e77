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
        "A *session* is a workspace that lasts until it is deleted. It runs zero or more times, once at a time.",
        "Each *run* is a task of its own, with the same label `rq-session`, the same two buckets, and the same",
        "address of the app. Time goes by (run, attempt, state): the diagram says what may come next in one run,",
        "on one machine. The cluster is asked now and then, so steps are missed: whatever can be reached is",
        "believed, nothing leads back, and a word that is not known changes nothing. When the cluster moves a run",
        "to another machine, a new *attempt* begins, in any of the states with a thick border. That machine",
        "begins with what was saved last: the result bucket is the last of the task's resources. The end of a run",
        "is final for it; only another run may follow.",
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
    yield from ("", "Why a run ended:", "", "| reason | what a person reads |", "| --- | --- |")
    yield from (f"| `{reason}` | {en.END_REASONS[reason].format(minutes=60)} |" for reason in EndReason)
    yield from (f"| `{reason}`, never had a machine | {end} |" for reason, end in en.END_BEFORE_A_RUN.items())
    yield from (
        "",
        "The next run (`run-qarnot start NAME`, `Account.start_again`) has the name, buckets, options, keys and",
        "kind of machine of the one before, and begins with what that left. What was uploaded after its end wins",
        "over what it left: the older version goes from the results. What was removed in a run stays away, by a",
        "record among the results ([start.md](start.md#files-that-are-removed) says in which images).",
        "",
        "Of two starts of a session at the same moment, the one whose task was made first goes on; the other one",
        "gives way, and shows that run.",
        "",
        "The time limit (`maxWallTime` of the job that holds the task) is set at the start of a run, and the",
        "platform has no call that changes it. More hours are another run: `run-qarnot extend NAME HOURS`,",
        "`Account.extend` save, stop and start again. What was only in memory is lost.",
        "",
        "Two new sessions by one name at the same moment share buckets until one of them is on the cluster. The",
        "storage is asked to make a file only if there is none of that name (`If-None-Match: *`), so none",
        "replaces another's. Who finds foreign files there, or another task of that name, before or right after",
        "the submission, gives way.",
        "",
        "`run_qarnot/engine/decide.py` turns what is seen into what is shown and done, as pure functions;",
        "`run_qarnot/engine/run.py` carries it out: observe, decide, act, tell; `session.py` holds the runs together.",
    )


if __name__ == "__main__":
    main()
