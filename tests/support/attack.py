"""The attack on ipyvue's template widgets, played with a marker file (`reference/voila-ipyvuetify.md` §7)."""

from __future__ import annotations

import json
from pathlib import Path

from support.wire import Wire


def assert_guarded(wire: Wire, marker: Path) -> None:
    """Send the attack to every widget of the running page: none obeys, and honest events are heard."""
    attacks = [
        {"create_widget": ["subprocess", "Popen"], "props": {"args": ["touch", str(marker)]}, "id": "x"},
        {"create_widget": ["subprocess", "run"], "props": {"args": ["touch", str(marker)]}, "id": "x", "event": "ping"},
    ]
    pongs = 0
    for widget in wire.widgets():
        for attack in attacks:
            assert "marker" not in json.dumps(wire.tell(widget, attack))
        pongs += "pong" in json.dumps(wire.tell(widget, {"event": "ping", "data": {}}))
    assert pongs == 1, "events came through, so that the attacks were heard"
    assert not marker.exists()
