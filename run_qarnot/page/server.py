"""Our own server: Voila with one notebook, its routes, and nothing that a visitor does not need.

python -m run_qarnot.page.server [--ip ADDRESS] [--port N] [--no-browser] [--preheat N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from run_qarnot.core import logs
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.redaction import RedactingFormatter
from run_qarnot.model.settings import Settings, packaged_file, read_settings
from run_qarnot.page import download_route, kernels
from run_qarnot.page.options import TEMPLATE, content_security_policy, kernel_options, voila_options

FIRST_PORT = 8866
_ENDINGS_TRIED = 50  # ten a second
_PORTS_TRIED = 100
_LONGEST_IPC_FOLDER = 36  # plus Voila's folder and the kernel's id: socket paths end at 104 characters on some systems
NOTEBOOK = "dashboard.ipynb"


def serve(
    settings: Settings,
    *,
    ip: str = "localhost",
    port: int | None = None,
    open_browser: bool,
    preheat: int = 0,
    notebook: Path | None = None,
) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Arguments:
        settings: for the kernels; `login_token` guards the page.
        ip: where to listen.
        port: none for 8866 or the next free one.
        open_browser: whether to show the page once it answers.
        preheat: how many kernels wait for visitors, each with the page built; a page then opens sooner.
        notebook: another than ours, for tests.

    Raises:
        InputError: the port is taken, or others could reach a page that no login token guards.
    """
    if not settings.login_token and not is_loopback(ip):
        raise InputError("address-open", ip=ip)
    sockets = _bind(ip, port)
    with _environment(settings) as downloads, _zygote():
        app = _make_app(settings, ip, sockets, notebook or packaged_file(NOTEBOOK), downloads, preheat)
        app.page_opened_by = webbrowser.open if open_browser else None
        app.start()


_OWN_NAMES = {"127.0.0.1": "localhost", "::1": "localhost"}


def is_loopback(ip: str) -> bool:
    """Whether only this machine reaches the address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(ip).is_loopback
    return ip == "localhost"


class Dashboard(Voila):  # type: ignore[misc,unused-ignore]
    """Voila with our routes, that listens where it was told and ends with its kernels."""

    sockets: list[socket.socket]
    downloads: Path
    settings: Settings
    page_headers: dict[str, str]
    page_opened_by: Any = None

    def init_handlers(self) -> list[Any]:
        handlers = [_with_cookie(handler) for handler in super().init_handlers()]
        return [download_route.route(self.server_url, self.downloads), *handlers]

    def start(self) -> None:
        """Serve until a signal."""
        asyncio.run(self._serve())

    def listen(self) -> None:
        """Nothing: we listen ourselves. Voila's own picks random ports and says where in its log only."""

    async def _serve(self) -> None:
        super().start()  # makes the Tornado application, on the running loop
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it there
                loop.add_signal_handler(number, ended.set)
        server = tornado.httpserver.HTTPServer(self.app)
        server.add_sockets(self.sockets)
        allowing = asyncio.create_task(self._allow_storage())
        try:
            self._announce()
            await ended.wait()
        finally:
            allowing.cancel()
            server.stop()
            await self._end_kernels()
            await server.close_all_connections()
            shutil.rmtree(self.connection_dir, ignore_errors=True)

    async def _end_kernels(self) -> None:
        """End them in peace. Pages that are being made right now fail of it, of which there is nothing to say."""
        for name in (self.log.name, "traitlets", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        for _ in range(_ENDINGS_TRIED):
            try:
                await self.kernel_manager.shutdown_all(now=False)
            except (tornado.web.HTTPError, asyncio.InvalidStateError):  # one is starting, or has ended by itself
                await asyncio.sleep(0.1)
            else:
                break

    async def _allow_storage(self) -> None:
        """Let pages that are opened from now on send files straight to the storage; before, they go through a kernel.

        The engine is loaded and the cluster asked in threads: nobody waits for that.
        """
        engine = await asyncio.to_thread(importlib.import_module, "run_qarnot.engine.origin")
        origin = await engine.find_storage_origin(self.settings)
        self.page_headers["Content-Security-Policy"] = content_security_policy(origin)

    def _announce(self) -> None:
        """Say where the page is: from here on, connections are accepted and answered."""
        everywhere = self.ip in {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
        host = socket.gethostname() if everywhere else _OWN_NAMES.get(self.ip, self.ip)
        url = f"http://{host}:{self.port}{self.base_url}"
        print(f"Dashboard: {url}", flush=True)  # noqa: T201  the one line that people wait for
        if self.page_opened_by is not None:
            asyncio.get_running_loop().run_in_executor(None, self.page_opened_by, url)


class _Quiet(logging.Filter):
    """Leaves out what is said at each visit and means nothing here.

    Our notebook has no outputs that could be trusted; and Jupyter's ping times are milliseconds, which Tornado, who
    complains of them, takes for seconds.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return "is not trusted" not in message and "websocket_ping_timeout" not in message


class PageHandler(TornadoVoilaHandler):  # type: ignore[misc,unused-ignore]
    """The page with the `_xsrf` cookie, without which each reload leaks a kernel (reference §3).

    Not a `prelaunch_hook`, because that excludes preheated kernels.
    """

    async def prepare(self) -> None:
        await super().prepare()
        _ = self.xsrf_token  # reading it sets it

    @tornado.web.authenticated
    def head(self, path: str | None = None) -> None:
        """The page is there: monitors ask so, and want no kernel."""


def _with_cookie(handler: tuple[Any, ...]) -> tuple[Any, ...]:
    path, kind, *rest = handler
    return (path, PageHandler if kind is TornadoVoilaHandler else kind, *rest)


def _make_app(
    settings: Settings, ip: str, sockets: list[socket.socket], notebook: Path, downloads: Path, preheat: int = 0
) -> Dashboard:
    config = Config()
    pool = {"preheat_kernel": preheat > 0, "default_pool_size": preheat}
    config.VoilaConfiguration = Config({**voila_options(), **pool, "template": TEMPLATE})
    config.MappingKernelManager = Config(kernel_options())
    config.KernelProvisionerFactory.default_provisioner_name = kernels.PROVISIONER
    if sys.platform != "win32" and len(tempfile.gettempdir()) <= _LONGEST_IPC_FOLDER:
        config.KernelManager.transport = "ipc"  # sockets in a private folder, not open ports
    config.Voila.config_file_paths = []  # this server is the product's: a stray voila.json changes nothing
    app = Dashboard(config=config, log_level=logging.WARNING)
    app.notebook_path = str(notebook)
    app.ip, app.port = ip, sockets[0].getsockname()[1]
    app.token = settings.login_token or ""
    app.sockets, app.downloads, app.settings = sockets, downloads, settings
    app.page_headers = {
        "Content-Security-Policy": content_security_policy(),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    app.tornado_settings = {
        "headers": app.page_headers,
        # only names of this machine: else a foreign page could reach us by DNS rebinding (reference §7)
        "allow_remote_access": not is_loopback(ip),
        "local_hostnames": ["localhost"],
    }
    app.initialize([])
    _redact_logs(app.log)
    return app


def _redact_logs(voila: logging.Logger) -> None:
    """Warnings of Voila and Tornado to stderr, redacted: addresses in them may hold tokens."""
    for logger in (voila, logging.getLogger("tornado")):
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        for handler in logger.handlers:
            handler.addFilter(_Quiet())
            plain = handler.formatter or logging.Formatter("%(levelname)s %(message)s")
            handler.setFormatter(RedactingFormatter(plain))


def _bind(ip: str, port: int | None) -> list[socket.socket]:
    for candidate in range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED) if port is None else [port]:
        with contextlib.suppress(OSError):
            return tornado.netutil.bind_sockets(candidate, ip)
    raise InputError("port-taken", port=port if port is not None else FIRST_PORT)


@contextlib.contextmanager
def _environment(settings: Settings) -> Iterator[Path]:
    """The environment of the kernels, for as long as we serve: what `settings` says, and our private folder."""
    before = dict(os.environ)
    folder = download_route.make_folder()
    try:
        template = folder / "jupyter" / "voila" / "templates" / TEMPLATE
        shutil.copytree(Path(__file__).parent / "template", template)  # so that a checkout needs no installation
        os.environ |= _kernel_variables(settings)
        os.environ["JUPYTER_PATH"] = os.pathsep.join(
            filter(None, [str(folder / "jupyter"), os.environ.get("JUPYTER_PATH")])
        )
        os.environ.pop("RUN_QARNOT_LOGIN_TOKEN", None)  # no business of a kernel
        yield folder
    finally:
        os.environ.clear()
        os.environ |= before
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _zygote() -> Iterator[None]:
    """Let kernels be copies of a process that has loaded everything, for as long as we serve."""
    if not kernels.can_fork():
        yield
        return
    zygote = kernels.ForkedKernel.zygote = kernels.Zygote()
    try:
        yield
    finally:
        kernels.ForkedKernel.zygote = None
        zygote.close()


def _kernel_variables(settings: Settings) -> dict[str, str]:
    """`settings` as `read_settings` reads them back; paths absolute, because the kernel has its own folder."""
    package_parent = str(Path(__file__).resolve().parents[2])
    values = {
        "QARNOT_CLUSTER_URL": settings.cluster_url,
        "QARNOT_STORAGE_URL": settings.storage_url,
        "QARNOT_CLUSTER_UNSAFE": "true" if settings.cluster_unsafe else None,
        "QARNOT_CLIENT_TOKEN": settings.token,
        "RUN_QARNOT_IMAGES": str(settings.images.resolve()),
        "RUN_QARNOT_PLUGINS": str(settings.plugins.resolve()) if settings.plugins else None,
        "RUN_QARNOT_ADMINS": " ".join(sorted(settings.admins)),
        "PYTHONPATH": os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")])),
    }
    return {name: value for name, value in values.items() if value}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m run_qarnot.page.server", description="Serve the dashboard.")
    parser.add_argument("--ip", default="localhost")
    parser.add_argument("--port", type=int)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--preheat", type=int, default=0, metavar="N", help="how many kernels wait for visitors")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ, Path.cwd())
        serve(settings, ip=options.ip, port=options.port, open_browser=not options.no_browser, preheat=options.preheat)
    except RunQarnotError as error:
        print(f"{error.what}\n{error.todo}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    logs.configure()
    sys.exit(main())
