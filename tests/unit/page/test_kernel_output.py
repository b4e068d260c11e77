"""What a kernel prints goes to the server's terminal, redacted."""

from __future__ import annotations

import subprocess
import sys

from run_qarnot.page import kernel_output

# An OutStream stands where a kernel has one; descriptor 2 is the terminal of the server.
PROGRAM = """
import sys
import logging
from ipykernel.iostream import IOPubThread, OutStream
import zmq
from run_qarnot.core.redaction import protect
from run_qarnot.page import kernel_output
thread = IOPubThread(zmq.Context().socket(zmq.PUB)); thread.start()
sys.stdout = OutStream(None, thread, "stdout", watchfd=False)
sys.stderr = OutStream(None, thread, "stderr", watchfd=False)
protect("secret-of-the-team")
kernel_output.divert()
kernel_output.divert()
print("printed secret-of-the-team")
logging.getLogger("x").warning("logged secret-of-the-team")
sys.stdout.flush()
"""


def test_output_and_log_of_a_kernel_are_led_to_the_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "printed [hidden]" in done.stderr
    assert "logged [hidden]" in done.stderr
    assert done.stderr.count("logged") == 1


def test_elsewhere_than_in_a_kernel_nothing_changes() -> None:
    before = sys.stdout, sys.stderr
    kernel_output.divert()
    assert (sys.stdout, sys.stderr) == before


def test_a_kernel_is_told_not_to_capture_descriptors() -> None:
    from ipykernel.kernelapp import IPKernelApp

    name = kernel_output.NO_CAPTURE.removeprefix("--IPKernelApp.").partition("=")[0]
    assert name in IPKernelApp.class_traits(config=True)
