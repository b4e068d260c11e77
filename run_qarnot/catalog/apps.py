"""App kinds: how to reach the app of an image, and how to know that it is ready."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from run_qarnot.core.messages import Message, Title, Verbatim
from run_qarnot.model.connections import Mount, PortLink


@dataclass(frozen=True)
class App:
    """A kind of app. The keys `port`, `open_path`, `token_env`, `ready` and `proxy` of an image override it.

    Arguments:
        kind: its name in the catalog.
        title: its name for people.
        port: where it listens inside the container; None if there is nothing to open.
        open_path: of its page.
        probe_path: a path that answers 200 or redirects when the app is up; None to accept any connection.
        token_env: the constant that sets the app's token.
        ready_pattern: finds, in the output, the link that the app prints once it answers; groups `token`, `base` count.
        ends_by_itself: whether the command is expected to end, as for a batch.
        proxy: how it can be put under a path of the page's address: "prefix" when it runs under the base URL in
            `RUN_QARNOT_BASE_URL`, "strip" when its links are relative, "none" when neither.
        ports: further ports of its machine, which Jupyter's own proxy leads to.
    """

    kind: str
    title: Title
    port: int | None = None
    open_path: str = "/"
    probe_path: str | None = None
    token_env: str | None = None
    ready_pattern: str | None = None
    ends_by_itself: bool = False
    proxy: str = Mount.STRIP.value
    ports: tuple[PortLink, ...] = ()

    @property
    def mount(self) -> Mount:
        """How the app can be put under a path of another address; NONE without a port."""
        return Mount.NONE if self.port is None else Mount(self.proxy)

    def problems(self) -> Iterator[Message]:
        """Yield what is wrong with it. Plugins make apps, so that every field is checked."""
        for field in fields(self):
            (wanted, words), value = _TYPES[str(field.type)], getattr(self, field.name)
            if type(value) not in wanted:
                yield Message("app-type", field=field.name, wanted=Message(words))
                return
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.kind):
            yield Message("app-kind")
        if self.port is not None and not 0 < self.port < 65536:
            yield Message("app-port")
        if self.proxy not in list(Mount):
            yield Message("app-proxy", allowed=tuple(Mount))
        for name in ("open_path", "probe_path"):
            if not (getattr(self, name) or "/").startswith("/"):
                yield Message("app-path", field=name)
        try:
            re.compile(self.ready_pattern or "")
        except re.error as error:
            yield Message("app-pattern", problem=Verbatim(str(error)))


# The types that an annotation allows, and the message for a wrong one.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "type.text"),
    "Title": ((str, Message), "type.text"),
    "str | None": ((str, type(None)), "type.text-or-none"),
    "int | None": ((int, type(None)), "type.integer-or-none"),
    "bool": ((bool,), "type.boolean"),
    "tuple[PortLink, ...]": ((tuple,), "type.list"),
}

BUILTIN: Mapping[str, App] = {
    app.kind: app
    for app in (
        App(
            kind="jupyterlab",
            title="JupyterLab",
            port=8888,
            open_path="/lab",
            probe_path="/api",
            token_env="JUPYTER_TOKEN",  # noqa: S106  the name of a variable
            # Jupyter also logs "token=..." with three dots; only the link with the token itself counts.
            ready_pattern=r"https?://(?:localhost|127\.0\.0\.1):\d+(?P<base>(?:/(?!\.)[\w.~-]+){0,8})/lab\?token="
            r"(?P<token>[\w-]{8,})",
            proxy="prefix",
        ),
        App(kind="ssh", title=Message("app.ssh"), proxy="none"),
        App(kind="web", title=Message("app.web"), port=8080, probe_path="/"),
        App(kind="batch", title=Message("app.batch"), ends_by_itself=True, proxy="none"),
    )
}
