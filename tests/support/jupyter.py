"""A JupyterLab, used over its own API as its own page uses it."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import requests
from websocket import create_connection

from support.command import CommandLine

_SECONDS = 60


class Jupyter:
    """The JupyterLab behind an address such as `http://127.0.0.1:8888/rq-0123456789ab/lab?token=…`."""

    def __init__(self, address: str) -> None:
        self.address = address
        parts = urlsplit(address)
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.partition('/lab')[0]}"
        self._token = parse_qs(parts.query)["token"][0]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"token {self._token}"

    def answers(self) -> bool:
        try:
            return self._session.get(f"{self._base}/api", timeout=3).ok
        except requests.RequestException:
            return False

    def names(self, folder: str = "") -> list[str]:
        """The names in its file browser."""
        return [item["name"] for item in self._json("GET", f"/api/contents/{quote(folder)}")["content"]]

    def read(self, path: str) -> str:
        return str(self._json("GET", f"/api/contents/{quote(path)}?type=file&format=text")["content"])

    def write_notebook(self, path: str, *cells: str) -> None:
        """Save a notebook, as its Save button does."""
        notebook = {
            "cells": [
                {"cell_type": "code", "id": uuid.uuid4().hex[:8], "metadata": {}, "source": cell, "outputs": [],
                 "execution_count": None}
                for cell in cells
            ],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
        }  # fmt: skip
        self._json("PUT", f"/api/contents/{quote(path)}", {"type": "notebook", "content": notebook})

    def write(self, path: str, text: str) -> None:
        self._json("PUT", f"/api/contents/{quote(path)}", {"type": "file", "format": "text", "content": text})

    def remove(self, path: str) -> None:
        """Delete a file, as its file browser does; without a bin."""
        self._json("DELETE", f"/api/contents/{quote(path)}")

    def start_in_terminal(self, command: str) -> None:
        """Type a command in a new terminal, and leave."""
        name = self._json("POST", "/api/terminals")["name"]
        address = f"{self._base.replace('http', 'ws', 1)}/terminals/websocket/{name}?token={self._token}"
        socket = create_connection(address, timeout=_SECONDS)
        try:
            socket.send(json.dumps(["stdin", f"{command}\r"]))
            while command not in socket.recv():
                pass
        finally:
            socket.close()

    def end_terminals(self) -> None:
        for terminal in self._json("GET", "/api/terminals"):
            self._json("DELETE", f"/api/terminals/{terminal['name']}")

    def shut_down(self) -> None:
        """As its menu does."""
        self._json("POST", "/api/shutdown")

    def run(self, code: str) -> str:
        """Execute a cell in a new kernel; return what it printed, errors included."""
        kernel = self._json("POST", "/api/kernels", {"name": "python3"})["id"]
        try:
            return self._execute(kernel, code)
        finally:
            self._json("DELETE", f"/api/kernels/{kernel}")

    def _execute(self, kernel: str, code: str) -> str:
        socket = create_connection(
            f"{self._base.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels?token={self._token}", timeout=_SECONDS
        )
        try:
            asked = _message("execute_request", {"code": code, "silent": False, "store_history": False})
            socket.send(json.dumps(asked))
            return _printed(socket, asked["header"]["msg_id"])
        finally:
            socket.close()

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self._base}{path}", json=body, timeout=_SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextlib.contextmanager
def opened(cli: CommandLine, name: str) -> Iterator[Jupyter]:
    """`run-qarnot open` for a block, as a user without a key does it."""
    process = cli.start("open", name, "--no-browser")
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        yield Jupyter(address)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


def _printed(socket: Any, asked: str) -> str:
    """Read until the kernel is idle again after our request."""
    text = ""
    while True:
        message = json.loads(socket.recv())
        if message["parent_header"].get("msg_id") != asked:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                text += content["text"]
            case "error":
                text += "\n".join(content["traceback"])
            case "status" if content["execution_state"] == "idle":
                return text
