"""What every request to the storage meets first, as in `api/middleware.py`: the record and scripted trouble."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.types import Receive, Scope, Send

from qarnot_local.control.faults import Faults
from qarnot_local.control.trouble import Recorder, play
from qarnot_local.s3 import operations
from qarnot_local.s3.app import StorageApp
from qarnot_local.s3.server import Environ, Wsgi, environ_of

_MOST_REQUESTS = 256  # at one time; each holds a thread


class StorageMiddleware:
    """The storage as an ASGI application."""

    def __init__(self, app: StorageApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._executor = ThreadPoolExecutor(_MOST_REQUESTS, "cluster-storage")
        for method, route in operations.routes():
            faults.know(method, route)

    def close(self) -> None:
        self._executor.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        environ = environ_of(scope)
        request = self._app.read(environ)
        asked = request.asked
        what = f"{asked.bucket}/{asked.key}" if asked.key else asked.bucket
        call, delay, fault = self._faults.begin(asked.method, f"s3:{asked.name}", what, _header_names(environ))
        for name in self._faults.ignored_headers:
            environ.pop(f"HTTP_{name.upper().replace('-', '_')}", None)
        await asyncio.sleep(delay)
        recorder = Recorder(call, send)
        answer = Wsgi(lambda *given: self._app.answer(request, *given), environ, self._executor)
        if fault:
            refusal = Wsgi(lambda *given: self._app.refuse(request, fault, *given), environ, self._executor)
            await play(fault, answer, refusal, self._faults, (scope, receive, recorder))
        else:
            await answer(scope, receive, recorder)


def _header_names(environ: Environ) -> set[str]:
    return {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
