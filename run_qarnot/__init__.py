"""Run Qarnot: from data and a question to a notebook on a big remote machine.

What plugin authors and notebooks need is importable from here; everything else may change. Names are loaded when they
are first used, so that `import run_qarnot` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from run_qarnot.catalog.apps import App
    from run_qarnot.catalog.hooks import Panel
    from run_qarnot.catalog.image import Image, Option
    from run_qarnot.hooks.api import Refusal, SessionEvent, SessionInfo, TaskDraft
    from run_qarnot.hooks.spec import hookimpl, hookspec
    from run_qarnot.model.settings import Settings
    from run_qarnot.model.spec import SessionSpec
    from run_qarnot.page.build import build
    from run_qarnot.public import Account, Session

__all__ = [
    "Account",
    "App",
    "Image",
    "Option",
    "Panel",
    "Refusal",
    "Session",
    "SessionEvent",
    "SessionInfo",
    "SessionSpec",
    "Settings",
    "TaskDraft",
    "__version__",
    "build",
    "hookimpl",
    "hookspec",
]

_HOMES = {
    "Account": "run_qarnot.public",
    "Session": "run_qarnot.public",
    "App": "run_qarnot.catalog.apps",
    "Image": "run_qarnot.catalog.image",
    "Option": "run_qarnot.catalog.image",
    "Panel": "run_qarnot.catalog.hooks",
    "Refusal": "run_qarnot.hooks.api",
    "SessionEvent": "run_qarnot.hooks.api",
    "SessionInfo": "run_qarnot.hooks.api",
    "SessionSpec": "run_qarnot.model.spec",
    "TaskDraft": "run_qarnot.hooks.api",
    "Settings": "run_qarnot.model.settings",
    "build": "run_qarnot.page.build",
    "hookimpl": "run_qarnot.hooks.spec",
    "hookspec": "run_qarnot.hooks.spec",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
