"""What a forked kernel needs of ipykernel and ipywidgets: a test for each, so that an upgrade names what is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from ipykernel import kernelapp
from ipykernel.kernelspec import make_ipkernel_cmd
from ipywidgets.widgets import widget

from run_qarnot.page import kernels, zygote


def test_ipykernel_has_the_settings_that_a_copy_is_given() -> None:
    names = [option.removeprefix("--IPKernelApp.").partition("=")[0] for option in zygote.kernel_options(1)]
    assert names == ["parent_handle", "extra_extensions"]
    assert set(names) <= kernelapp.IPKernelApp.class_traits(config=True).keys()


def test_the_command_of_a_kernel_is_the_one_that_a_copy_takes_the_place_of() -> None:
    assert make_ipkernel_cmd()[:3] == kernels._LAUNCHER


def test_a_kernel_is_launched_by_a_function_that_takes_its_arguments() -> None:
    assert callable(kernelapp.launch_new_instance)
    launch: Any = kernelapp.IPKernelApp.launch_instance
    copied: Any = kernelapp.launch_new_instance
    assert launch.__func__ is copied.__func__


def test_ipywidgets_lists_the_widgets_that_were_made_before_the_fork() -> None:
    assert isinstance(widget._instances, dict)


def test_no_import_starts_a_thread() -> None:
    """A fork copies only the thread that forks."""
    program = (
        "import importlib, threading; from run_qarnot.page import zygote\n"
        "for name in zygote._LOADED: importlib.import_module(name)\n"
        "assert threading.active_count() == 1, threading.enumerate()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
