"""Our own server: Voila with one notebook and only the routes that the page needs.

python -m run_qarnot.page.server --help

`serving` has the options, `listening` the sockets, `routes` the handlers; `login`, `policy`, `limits` check requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.web
from traitlets.config import Config
from voila.app import Voila

from run_qarnot.core import logs
from run_qarnot.core.browser import open_privately
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.redaction import RedactingFormatter
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.settings import Settings, packaged_file, read_settings
from run_qarnot.page import download_route, kernels, local_cluster, registry_socket, routes, serving
from run_qarnot.page.limits import VisitorKernels, default_max_visitors
from run_qarnot.page.listening import Listener, listen, listening_on_unix_socket
from run_qarnot.page.login import Identity, Login
from run_qarnot.page.options import LOGOUT_VARIABLE, TEMPLATE, content_security_policy, kernel_options, voila_options
from run_qarnot.page.plain import SayHandler
from run_qarnot.page.policy import Policy, is_loopback
from run_qarnot.page.proxied import VISITORS_VARIABLE
from run_qarnot.page.serving import Serving
from run_qarnot.page.session_registry import SessionRegistry

_ENDINGS_TRIED = 50  # ten a second
_LONGEST_IPC_FOLDER = 36  # plus Voila's folder and the kernel's id: socket paths end at 104 characters on some systems
_LONGEST_BODY = 1 << 20  # of a request; handlers that take more say so to their connection
NOTEBOOK = "dashboard.ipynb"


def serve(settings: Settings, how: Serving, notebook: Path | None = None) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Arguments:
        settings: for the kernels; `login_token` guards the page. Without one, a random token does.
        how: where and how to listen.
        notebook: a replacement of ours, for tests.

    Raises:
        InputError: the address cannot be bound, or the login token is too short.
    """
    login = Login(settings.login_token, how.base_url, is_needed=how.login)
    with (
        _listening(how) as listener,
        _environment(settings, login, here=_is_local(how, listener)) as downloads,
        _zygote(fork=how.fork),
    ):
        app = _make_app(settings, how, listener, login, notebook or packaged_file(NOTEBOOK), downloads)
        app.start()


@contextlib.contextmanager
def _listening(how: Serving) -> Iterator[Listener]:
    if how.unix_socket is not None:
        with listening_on_unix_socket(how.unix_socket) as listener:
            yield listener
        return
    listener = listen(how.ip, how.port)
    try:
        yield listener
    finally:
        for each in listener.sockets:
            each.close()


def _is_local(how: Serving, listener: Listener) -> bool:
    """Whether the browsers of all visitors are on this computer."""
    return bool(listener.ips) and all(map(is_loopback, listener.ips)) and not how.trust_proxy


class Dashboard(Voila):  # type: ignore[misc,unused-ignore]
    """Voila with our routes and sockets; its kernels end with it."""

    listener: Listener
    login: Login
    how: Serving
    downloads: Path
    settings: Settings
    page_headers: dict[str, str]
    registry: SessionRegistry

    def init_settings(self) -> dict[str, Any]:
        return {
            **super().init_settings(),
            "login": self.login,
            "max_visitors": default_max_visitors() if self.how.max_visitors is None else self.how.max_visitors,
            "default_handler_class": SayHandler,
            "default_handler_args": routes.NOT_FOUND,
            # `routes.Front` has checked origin and host for all handlers
            "disable_check_xsrf": True,
            "allow_remote_access": True,
        }

    def init_handlers(self) -> list[Any]:
        own = routes.own_routes(self.base_url, self.downloads, self.registry)
        return [*own, *routes.voila_routes(self.base_url, super().init_handlers())]

    def start(self) -> None:
        """Serve until a signal."""
        asyncio.run(self._serve())

    def listen(self) -> None:
        """Do nothing: `_serve` listens. Voila would pick a random port and name it in its log only."""

    async def _serve(self) -> None:
        super().start()  # makes the Tornado application, on the running loop
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it there
                loop.add_signal_handler(number, ended.set)
        front = routes.Front(self.app, self.login, self._policy())
        server = tornado.httpserver.HTTPServer(front, xheaders=self.how.trust_proxy, max_body_size=_LONGEST_BODY)
        server.add_sockets(self.listener.sockets)
        allowing = asyncio.create_task(self._allow_storage())
        try:
            async with registry_socket.listening(self.registry, self.downloads), self._local_cluster():
                self._announce()
                await ended.wait()
        finally:
            allowing.cancel()
            server.stop()
            await self._end_kernels()
            await self.registry.close()
            await server.close_all_connections()
            shutil.rmtree(self.connection_dir, ignore_errors=True)

    def _policy(self) -> Policy:
        return Policy(self.listener.port, _is_local(self.how, self.listener), self.how.trust_proxy)

    def _local_cluster(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Offer the local cluster to visitors without an account, on a server for one person: it runs any command."""
        is_behind_login = self.how.unix_socket is not None and not self.how.login
        is_for_one = is_behind_login or _is_local(self.how, self.listener)
        if self.settings.token or not is_for_one or not local_cluster.is_installed():
            return contextlib.nullcontext()
        return local_cluster.offered(self.downloads)

    async def _end_kernels(self) -> None:
        """Shut all kernels down. Pages that are being rendered fail then, which is not worth a log entry."""
        for name in (self.log.name, "traitlets", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        for _ in range(_ENDINGS_TRIED):
            try:
                await self.kernel_manager.kill_unopened()
                await self.kernel_manager.shutdown_all(now=False)
            except (tornado.web.HTTPError, asyncio.InvalidStateError):  # a kernel is starting, or has ended by itself
                await asyncio.sleep(0.1)
            else:
                break

    async def _allow_storage(self) -> None:
        """Let pages that are opened from now on send files directly to the storage. Earlier pages use a kernel.

        The engine is imported and the cluster asked in threads, so that the event loop is not blocked.
        """
        engine = await in_thread(importlib.import_module, "run_qarnot.engine.origin")
        origin = await engine.find_storage_origin(self.settings)
        self.page_headers["Content-Security-Policy"] = content_security_policy(origin)

    def _announce(self) -> None:
        """Print the address once the server accepts connections.

        It contains a random login token, which is printed nowhere else; a configured token is not printed.
        """
        address = f"{self.listener.address}{self.base_url}"
        shown = address + (self.login.query if self.login.is_random else "")
        print(f"Dashboard: {shown}", flush=True)  # noqa: T201  the one line that people wait for
        if self.login.is_needed and not self.login.is_random:
            print("It asks for the login token that is set in RUN_QARNOT_LOGIN_TOKEN.", file=sys.stderr)  # noqa: T201
        if self.how.open_browser and self.how.unix_socket is None:
            self._opening = asyncio.ensure_future(in_thread(_open, address + self.login.query))


def _open(address: str) -> None:
    if not open_privately(address):
        print("No browser could be opened here: open the address yourself.", file=sys.stderr)  # noqa: T201


class _Quiet(logging.Filter):
    """Drops two warnings that each visit causes and that are irrelevant here.

    The notebook has no outputs that could be trusted; and Jupyter passes ping times in milliseconds, which Tornado
    reads as seconds.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return "is not trusted" not in message and "websocket_ping_timeout" not in message


def _make_app(
    settings: Settings, how: Serving, listener: Listener, login: Login, notebook: Path, downloads: Path
) -> Dashboard:
    config = Config()
    pool = {"preheat_kernel": how.preheat > 0, "default_pool_size": how.preheat}
    config.VoilaConfiguration = Config(
        {**voila_options(), **pool, "template": TEMPLATE, "multi_kernel_manager_class": VisitorKernels}
    )
    config.MappingKernelManager = Config(kernel_options())
    config.KernelProvisionerFactory.default_provisioner_name = kernels.PROVISIONER
    if sys.platform != "win32" and len(tempfile.gettempdir()) <= _LONGEST_IPC_FOLDER:
        config.KernelManager.transport = "ipc"  # sockets in a private folder, not open ports
    config.Voila.config_file_paths = []  # ignore a voila.json of the user
    app = Dashboard(config=config, log_level=logging.WARNING)
    app.notebook_path = str(notebook)
    app.ip, app.port = how.ip, listener.port or 0
    app.base_url = app.server_url = how.base_url
    app.identity_provider_class = Identity
    app.listener, app.login, app.how, app.downloads, app.settings = listener, login, how, downloads, settings
    app.registry = SessionRegistry()
    app.page_headers = {
        "Content-Security-Policy": content_security_policy(),
        # hides our addresses from other servers; `no-referrer` would hide the origin of our login form from us, too
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    app.tornado_settings = {"headers": app.page_headers}
    app.initialize([])
    _redact_logs(app.log)
    return app


def _redact_logs(voila: logging.Logger) -> None:
    """Write warnings of Voila and Tornado to stderr, redacted, because their addresses may contain tokens."""
    for logger in (voila, logging.getLogger("tornado")):
        if not logger.handlers:
            logger.addHandler(logging.StreamHandler(sys.stderr))
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        for handler in logger.handlers:
            handler.addFilter(_Quiet())
            plain = handler.formatter or logging.Formatter("%(levelname)s %(message)s")
            handler.setFormatter(RedactingFormatter(plain))


@contextlib.contextmanager
def _environment(settings: Settings, login: Login, *, here: bool = True) -> Iterator[Path]:
    """Set the environment of the kernels during the block: the settings and our private folder.

    Arguments:
        settings: for the kernels.
        login: the page shows its address to log out, if there is one.
        here: whether the browsers of all visitors are on this computer.
    """
    before = dict(os.environ)
    folder = download_route.make_folder()
    try:
        template = folder / "jupyter" / "voila" / "templates" / TEMPLATE
        shutil.copytree(Path(__file__).parent / "template", template)  # so that a checkout needs no installation
        os.environ |= _kernel_variables(settings, here=here)
        os.environ["JUPYTER_PATH"] = os.pathsep.join(
            filter(None, [str(folder / "jupyter"), os.environ.get("JUPYTER_PATH")])
        )
        os.environ.pop("RUN_QARNOT_LOGIN_TOKEN", None)  # kernels do not need it
        os.environ.pop(LOGOUT_VARIABLE, None)
        if login.is_needed:
            os.environ[LOGOUT_VARIABLE] = f"{login.base_url}logout"
        yield folder
    finally:
        os.environ.clear()
        os.environ |= before
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _zygote(*, fork: bool) -> Iterator[None]:
    """Fork kernels from a process that has loaded everything, during the block, if `fork` is True."""
    if not (fork and kernels.can_fork()):
        yield
        return
    zygote = kernels.ForkedKernel.zygote = kernels.Zygote()
    try:
        yield
    finally:
        kernels.ForkedKernel.zygote = None
        zygote.close()


def _kernel_variables(settings: Settings, *, here: bool) -> dict[str, str]:
    """Return the settings as variables for `read_settings`. Paths are absolute, because kernels have another folder."""
    package_parent = str(Path(__file__).resolve().parents[2])
    values = {
        "QARNOT_CLUSTER_URL": settings.cluster_url,
        "QARNOT_STORAGE_URL": settings.storage_url,
        "QARNOT_CLUSTER_UNSAFE": "true" if settings.cluster_unsafe else None,
        "QARNOT_CLIENT_TOKEN": settings.token,
        "RUN_QARNOT_IMAGES": str(settings.images.resolve()),
        "RUN_QARNOT_PLUGINS": str(settings.plugins.resolve()) if settings.plugins else None,
        VISITORS_VARIABLE: None if here else "elsewhere",
        "RUN_QARNOT_ADMINS": " ".join(sorted(settings.admins)),
        "PYTHONPATH": os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")])),
    }
    return {name: value for name, value in values.items() if value}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m run_qarnot.page.server", description="Serve the dashboard.")
    serving.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        serve(read_settings(os.environ, Path.cwd()), serving.from_arguments(options))
    except RunQarnotError as error:
        print(f"{error.what}\n{error.todo}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    logs.configure()
    sys.exit(main())
