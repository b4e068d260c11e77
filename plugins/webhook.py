"""Tells a chat when a session is ready and when it is over, by a webhook as Slack, Mattermost and others take it.

It does nothing until the operator of the dashboard sets `RUN_QARNOT_WEBHOOK` to the address.
"""

from __future__ import annotations

import json
import logging
import os
import re

from run_qarnot import SessionEvent, SessionInfo, hookimpl

TOLD = {"ready", "restarted", "ended", "failed"}
TIMEOUT_SECONDS = 4  # less than the five after which a hook is given up
# An error may quote what a program printed. What looks like a secret does not go into a chat.
SECRET = re.compile(r"(?i)((?:token|password|secret|key)\s*[=:]\s*)\S+|(https?://)[^\s/@]+@")

log = logging.getLogger(__name__)


def message(session: SessionInfo, event: SessionEvent) -> str:
    """Return what is told: no address, because whoever has it is in."""
    text = f"{session.name} ({session.image}): {event.text}"
    if event.name == "failed" and session.error:
        text += f" {session.error}"
    return SECRET.sub(r"\1\2[hidden]", text)[:1000]


@hookimpl
def rq_event(session: SessionInfo, event: SessionEvent) -> None:
    """Send a message, if the event is worth one."""
    address = os.environ.get("RUN_QARNOT_WEBHOOK", "")
    if event.name not in TOLD or not address.startswith(("https://", "http://")):
        return
    import urllib.request  # only now: with it come HTTP and e-mail, and every page that opens would wait for them

    body = json.dumps({"text": message(session, event)}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310  checked above
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
    except OSError as error:  # the address itself is a secret: it is not named
        log.warning("The webhook does not answer (%s); the session goes on.", type(error).__name__)
