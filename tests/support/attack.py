"""The attack on ipyvue's template widgets, played over the wire (`reference/voila-ipyvuetify.md` §7)."""

from __future__ import annotations

import json

from support.wire import Wire

MARKER = {"marker": "the kernel called what the browser named"}


def assert_guarded(wire: Wire) -> None:
    """Have every widget of the running page call its own `send`: none obeys, and honest events are heard.

    The ways by which ipyvue takes such a call are two; that the browser names a method is the same in both.
    """
    call = {"functionRef": "send", "args": [MARKER]}
    pongs = 0
    for widget in wire.widgets():
        for attack in (
            {"update_ref": call, "id": widget, "prop": "tooltip"},
            {"create_widget": ["types", "SimpleNamespace"], "props": {"x": call}, "id": "x"},
        ):
            assert "marker" not in json.dumps(wire.tell(widget, attack))
        pongs += "pong" in json.dumps(wire.tell(widget, {"event": "ping", "data": {}}))
    assert pongs == 1, "events came through, so that the attacks were heard"
