"""A Chromium that nobody watches, for measuring what a page sends.

Playwright has all of it reported to itself, to the last byte of a websocket's messages: that costs three times what the
sending does. Here a tab is told what to do by its DevTools protocol, and reports nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import requests
from support.chromium import ARGUMENTS, chromium
from websocket import WebSocket, create_connection

_ADDRESS = re.compile(r"DevTools listening on ws://([^/]+)/")
_LOOK_SECONDS = 0.1


class Tab:
    """A page; `deadline` is how many seconds anything may take."""

    def __init__(self, socket: WebSocket, deadline: float) -> None:
        self._socket = socket
        self._deadline = deadline
        self._numbers = itertools.count(1)

    def open(self, address: str) -> None:
        self._ask("Page.navigate", url=address)

    def wait_for(self, selector: str, *, gone: bool = False) -> None:
        """Wait until an element is there, or gone."""
        until = time.monotonic() + self._deadline
        while self._value(f"!!{_element(selector)}") == gone:
            assert time.monotonic() < until, f"waited in vain for {selector}"
            time.sleep(_LOOK_SECONDS)

    def click(self, selector: str) -> None:
        self.wait_for(selector)
        self._value(f"{_element(selector)}.click()")

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file, as in the system's dialog."""
        self.wait_for(selector)
        element = self._ask("Runtime.evaluate", expression=_element(selector))["result"]["objectId"]
        self._ask("DOM.setFileInputFiles", files=[str(file)], objectId=element)

    def _value(self, expression: str) -> Any:
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv())).get("id") != number:
            pass
        assert "exceptionDetails" not in answer.get("result", {"exceptionDetails": answer}), answer
        result: dict[str, Any] = answer["result"]
        return result


class Chromium:
    """A running one; `process` is the browser's own."""

    def __init__(self, process: psutil.Process, address: str) -> None:
        self.process = process
        self._address = address

    @contextlib.contextmanager
    def tab(self, deadline: float) -> Iterator[Tab]:
        """Open a tab for the block."""
        target = requests.put(f"http://{self._address}/json/new?about:blank", timeout=deadline).json()
        with contextlib.closing(create_connection(target["webSocketDebuggerUrl"], timeout=deadline)) as socket:
            tab = Tab(socket, deadline)
            yield tab
            tab.open("about:blank")  # the farewell by which a kernel ends
        requests.get(f"http://{self._address}/json/close/{target['id']}", timeout=deadline)


@contextlib.contextmanager
def running_chromium() -> Iterator[Chromium]:
    """Run one for the block, with a profile of its own."""
    with contextlib.ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        log = stack.enter_context(Path(profile, "log").open("w"))
        command = [chromium(), *ARGUMENTS, "--headless=new", "--lang=en-GB", "--remote-debugging-port=0"]
        command += ["--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Chromium(psutil.Process(process.pid), _address(process, Path(log.name)))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while not (found := _ADDRESS.search(log.read_text(errors="replace"))):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < until, "Chromium says no address"
        time.sleep(_LOOK_SECONDS)
    return found[1]


def _element(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"
