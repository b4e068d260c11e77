"""`run-qarnot`, and `python -m run_qarnot`."""

from __future__ import annotations

import gc
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a command; see `commands/entry.py`. Ctrl-C in the first second, while we are loaded, is no traceback."""
    try:
        from run_qarnot.commands.entry import run

        return run(arguments)
    except KeyboardInterrupt:
        return 130
    finally:
        gc.freeze()  # else the interpreter searches all that is loaded for garbage before it ends: half a second


if __name__ == "__main__":
    sys.exit(main())
