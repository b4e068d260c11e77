"""A git server of this machine: real git behind its own `http-backend`, and a repository to fetch."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

_NOBODY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": os.devnull}
_AUTHOR = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *arguments: object) -> str:
    """Run git there; return what it prints."""
    command = ["git", "-C", str(folder), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], **_NOBODY, **_AUTHOR}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a repository with one commit of these files on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, files)
    return folder


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Commit files; return the id."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "of the test")
    return git(folder, "rev-parse", "HEAD").strip()


@contextlib.contextmanager
def serving(folder: Path, token: str = "") -> Iterator[str]:
    """Serve the repositories of a folder for the block; yields the address, with a slash at the end.

    Arguments:
        folder: whose folders are repositories.
        token: without which nobody is let in.
    """
    allowed = f"Basic {b64encode(f'oauth2:{token}'.encode()).decode()}"

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if token and environ.get("HTTP_AUTHORIZATION") != allowed:
            start("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"'), ("Content-Length", "0")])
            return [b""]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        told = {name: value for name, value in environ.items() if isinstance(value, str) and name.isupper()}
        told |= {"GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH": os.environ["PATH"], **_NOBODY}
        told |= {f"GIT_CONFIG_{name}": value for name, value in _SETTINGS.items()}
        done = subprocess.run(["git", "http-backend"], env=told, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        start(dict(headers).get("Status", "200 OK"), [each for each in headers if each[0] != "Status"])
        return [content]

    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


_SETTINGS = {
    "COUNT": "2",
    "KEY_0": "safe.directory", "VALUE_0": "*",
    "KEY_1": "uploadpack.allowReachableSHA1InWant", "VALUE_1": "true",  # as GitHub has it
}  # fmt: skip


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
