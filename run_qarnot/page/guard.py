"""The message guard: only declared `vue_*` events reach a component (`reference/voila-ipyvuetify.md` §7).

ipyvue's template widgets honour three kinds of message that let whoever sits at the browser import any module, call
any function and set any attribute in the kernel. Voila refuses `execute_request`, so without the guard these would be
the open door. `install` must run before the first component is made; a test fails if ipyvue renames what we replace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipyvue import VueTemplateWidget

_HANDLER = "_handle_event"


def install() -> None:
    """Let only events through, from now on and in this process.

    Raises:
        RuntimeError: ipyvue is not built as we know it, so that the guard would guard nothing.
    """
    if not callable(getattr(VueTemplateWidget.Events, _HANDLER, None)):
        raise RuntimeError("ipyvue has changed: the message guard does not fit any more")  # noqa: TRY004
    setattr(VueTemplateWidget.Events, _HANDLER, only_events)


def only_events(component: Any, _widget: object, content: object, buffers: Sequence[memoryview]) -> None:
    """Call the component's own `vue_<event>`, looked up on its class; drop everything else without a word."""
    if not isinstance(content, Mapping) or set(content) - {"event", "data"}:
        return
    name = content.get("event")
    if not isinstance(name, str) or not name.isidentifier():
        return
    handler = getattr(type(component), f"vue_{name}", None)
    if callable(handler):
        handler(component, content.get("data"), *([buffers] if buffers else []))
