"""The message guard: only declared `vue_*` events reach a component (`reference/voila-ipyvuetify.md` §7).

ipyvue's template widgets accept three kinds of message by which a browser can import any module, call any function and
set any attribute in the kernel. Voila refuses `execute_request`, so that these messages would be the remaining way to
run code. `install` must run before the first component is made; a test fails if ipyvue renames what we replace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipyvue import VueTemplateWidget

_HANDLER = "_handle_event"


def install() -> None:
    """Accept only events from now on, in this process.

    Raises:
        RuntimeError: ipyvue has changed, so that the guard would have no effect.
    """
    if not callable(getattr(VueTemplateWidget.Events, _HANDLER, None)):
        raise RuntimeError("ipyvue has changed: the message guard does not fit any more")  # noqa: TRY004
    setattr(VueTemplateWidget.Events, _HANDLER, only_events)


def only_events(component: Any, _widget: object, content: object, buffers: Sequence[memoryview]) -> None:
    """Call the component's `vue_<event>`, looked up on its class; drop every other message."""
    if not isinstance(content, Mapping) or set(content) - {"event", "data"}:
        return
    name = content.get("event")
    if not isinstance(name, str) or not name.isidentifier():
        return
    handler = getattr(type(component), f"vue_{name}", None)
    if callable(handler):
        handler(component, content.get("data"), *([buffers] if buffers else []))
