"""Sends the output and the log of a kernel to the server's terminal, redacted.

A kernel would send them to the browser, which does not show them and must not receive the token of a team.
"""

from __future__ import annotations

import io
import logging
import os
import sys

from run_qarnot.core import logs
from run_qarnot.core.redaction import RedactingStream

# Stops ipykernel from capturing the descriptors 1 and 2, to which child processes write.
NO_CAPTURE = "--IPKernelApp.capture_fd_output=False"


def divert() -> None:
    """Redirect output and log of this kernel to the standard error that it was started with."""
    from ipykernel.iostream import OutStream

    if not isinstance(sys.stderr, OutStream):
        return  # not a kernel, or already redirected
    try:
        original = sys.stderr.fileno()  # type: ignore[no-untyped-call]  # of a kernel that captures descriptors: the copy that it keeps
    except io.UnsupportedOperation:
        original = 2
    terminal = os.fdopen(os.dup(original), "w", encoding="utf-8", errors="replace")
    sys.stdout = sys.stderr = RedactingStream(terminal)
    logs.configure()
    logging.getLogger("Comm").setLevel(
        logging.ERROR
    )  # a browser may still send messages to widgets that were just closed
