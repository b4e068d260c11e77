"""Run one command for several values at once, each in a session of its own, and gather what each wrote.

Usage: python examples/sweep.py "echo {} > value.txt" 1 2 3
"""

import sys
from pathlib import Path

import run_qarnot


def main(command: str, *values: str) -> None:
    with run_qarnot.Account.open() as account:
        sessions = {
            value: account.launch("command", hours=1, options={"command": command.replace("{}", value)})
            for value in values
        }
        for value, session in sessions.items():  # all of them run meanwhile
            session.follow()
            session.results(Path("sweep") / value)
            print(value, session.state, session.view.cost)


if __name__ == "__main__":
    main(*sys.argv[1:])
