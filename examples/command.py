"""Run one command with some files on a machine of the cloud, and fetch what it wrote.

Usage: python examples/command.py "python main.py" FILE…
"""

import sys

import run_qarnot


def main(command: str, *files: str) -> None:
    with run_qarnot.Account.open() as account:
        session = account.launch("command", inputs=files, hours=1, options={"command": command})
        session.follow(print)  # returns once the command has ended
        for path in session.results(f"{session.name}-results"):
            print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
