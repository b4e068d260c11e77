"""Start JupyterLab with a folder of files, say where it is, and fetch what was made.

Usage: python examples/notebook.py FOLDER
"""

import sys

import run_qarnot


def main(folder: str) -> None:
    with run_qarnot.Account.open() as account:
        session = account.launch("base", inputs=[folder], hours=2)
        session.follow(print)  # prints each phase, and returns once JupyterLab answers
        print("Open this:", session.connections[0].url)  # it holds JupyterLab's token: keep it to yourself
        if sys.stdin.isatty():
            input("Press Enter to save and stop. ")
        session.stop()
        print("Results:", *session.results(f"{session.name}-results"))


if __name__ == "__main__":
    main(sys.argv[1])
