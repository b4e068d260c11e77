"""What a kernel prints, logs and complains of: it belongs into the terminal of the server, redacted.

A kernel would send it to the browser, where nothing shows it, and where the token of a team has no business.
"""

from __future__ import annotations

import io
import logging
import os
import sys

from run_qarnot.core import logs
from run_qarnot.core.redaction import RedactingStream

# Of an ipykernel: that it sends what is written to the descriptors 1 and 2, too. What it starts prints there.
NO_CAPTURE = "--IPKernelApp.capture_fd_output=False"


def divert() -> None:
    """Lead output and log of this kernel to the standard error that it was started with."""
    from ipykernel.iostream import OutStream

    if not isinstance(sys.stderr, OutStream):
        return  # no kernel, or it was done before
    try:
        original = sys.stderr.fileno()  # type: ignore[no-untyped-call]  # of a kernel that captures descriptors: the copy that it keeps
    except io.UnsupportedOperation:
        original = 2
    terminal = os.fdopen(os.dup(original), "w", encoding="utf-8", errors="replace")
    sys.stdout = sys.stderr = RedactingStream(terminal)
    logs.configure()
    logging.getLogger("Comm").setLevel(logging.ERROR)  # a browser may still speak of what was closed a moment ago
