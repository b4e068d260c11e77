"""Reaches a session's app from this process: the tunnel, whether the app answers, and its connections."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

import asyncssh

from run_qarnot import bootstrap
from run_qarnot.catalog.apps import App
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.messages import Message, Sentence
from run_qarnot.engine import output
from run_qarnot.engine.host_keys import HostKeys
from run_qarnot.engine.ports import free_ports
from run_qarnot.engine.tunnel import Tunnel, TunnelError, answers, speaks_ssh
from run_qarnot.model import idle
from run_qarnot.model.connections import (
    FOLDER,
    SSH_PORT,
    Connection,
    Forward,
    Mount,
    Place,
    Reach,
    TunnelSpec,
    connections,
    tunnel_port,
    tunnel_spec,
)
from run_qarnot.model.idle import Idle
from run_qarnot.model.plan import SESSION_KEY, USER_KEY, Label
from run_qarnot.model.repository import check_open

_BASE_URL = re.compile(r"/rq-[0-9a-f]{12}/")  # `keys.derive_base_url`

log = logging.getLogger(__name__)


class AppAccess:
    """Access to the app of one session from this process.

    Arguments:
        name: of the session.
        app: what runs there.
        user: the user name for SSH.
        private_key: of the session, in OpenSSH's format.
        session_id: the same for all runs; the local port depends on it.
        lost: called when an open tunnel breaks.
    """

    def __init__(
        self, name: str, app: App, user: str, private_key: str, session_id: str, lost: Callable[[], None]
    ) -> None:
        self.identity: str | None = None  # file of the user's private key, for the printed command
        self.public_key = ""  # of the session, derived from our token
        self.through_page = False  # see `Place`
        self.problem: Sentence | None = None  # why the tunnel could not be opened
        self.host_keys = HostKeys()
        self._name = name
        self._app = app
        self._user = user
        self._lost = lost
        self._private_key = private_key
        self._session_id = session_id
        self._port = tunnel_port(session_id)
        self._tunnel = Tunnel(user, [private_key], self._port)
        self._own_keys = False
        self._denied_by: Forward | None = None
        self._app_token: str | None = None
        self._given_base = "/"  # the base URL that the app was started with
        self.base_path = "/"  # where it answers: below the given one until `answers` finds out more
        self._place: Place | None = None
        self._opened = ""  # what JupyterLab opens first, in the session's folder

    @property
    def open_path(self) -> str:
        """The path of the app's page."""
        return f"{self._app.open_path}/tree/{self._opened}" if self._opened else self._app.open_path

    def use_own_keys(self, private_key: str | None) -> None:
        """Open the tunnel with the user's own key, or keys (agent, `~/.ssh`), if the machine accepts no other.

        Raises:
            SessionError: the key cannot be used.
        """
        try:
            self._tunnel.use_keys(None if private_key is None else [private_key])
        except TunnelError as error:
            raise SessionError("tunnel", name=self._name, problem=error.problem) from error
        self._own_keys, self._denied_by = True, None

    def has_key(self, facts: TaskSnapshot) -> bool:
        """Whether this process has a key that the machine accepts, as far as is known."""
        denied = self._denied_by is not None and self._denied_by in facts.forwards  # another machine may accept it
        own = SESSION_KEY in _keys(facts) and not self.needs_other_token(facts)
        return not denied and (self._own_keys or own)

    def needs_other_token(self, facts: TaskSnapshot) -> bool:
        """Whether the machine's session key was derived from another Qarnot token than ours.

        The constant `DOCKER_SSH` lists the machine's keys. If the cluster does not return it, ours is assumed.
        """
        lines = facts.constants.get("DOCKER_SSH", "").splitlines()
        known = {tuple(line.split()[:2]) for line in lines if " " in line.strip()}
        ours = tuple(self.public_key.split()[:2])
        return SESSION_KEY in _keys(facts) and bool(known) and bool(ours) and ours not in known

    def can_tunnel(self, facts: TaskSnapshot) -> bool:
        return self._app.port is not None and self.has_key(facts)

    @property
    def is_open(self) -> bool:
        return self._tunnel.is_open

    async def keep(self, forward: Forward, attempt: int) -> None:
        """Open the tunnel to this forward, or keep it open. If that fails, `problem` says why.

        Arguments:
            forward: of the machine's SSH port.
            attempt: of the run that the machine belongs to.
        """

        def problem(key: asyncssh.SSHKey) -> Message | None:
            return self.host_keys.problem(key, forward, attempt)

        if self._app.port is None:
            return
        shown = self._tunnel.host_key
        if self._tunnel.leads_to(forward) and (
            shown is None or not problem(shown)
        ):  # other keys may have been pinned meanwhile
            return
        try:
            await self._tunnel.open(forward, self._app.port, problem)
        except TunnelError as error:
            log.info("%s: %s", self._name, error)
            self._denied_by, self.problem = forward if error.denied else None, error.problem
        else:
            if (key := self._tunnel.host_key) is not None:
                self.host_keys.keep(key, forward, attempt)
            self._tunnel.when_lost(self._lost)
            self._place, self.problem = None, None

    async def let_go(self) -> None:
        """Disconnect from the machine but keep the local port, for the next machine."""
        await self._tunnel.disconnect()

    async def close(self) -> None:
        await self._tunnel.close()
        self._place = None

    async def answers(self) -> bool:
        """Whether the app answers through the tunnel, below its given base URL or without it."""
        port, path = self._tunnel.port, self._app.probe_path
        if not self.is_open or port is None:
            return False
        if path is None:
            return True
        # The given one is tried again at the end: the app may have started in between, and some answer every path.
        for base in dict.fromkeys((self._given_base, "/")):
            if await answers(port, base.rstrip("/") + path):
                again = base != self._given_base and await answers(port, self._given_base.rstrip("/") + path)
                self.base_path = self._given_base if again else base
                return True
        return False

    async def idle(self) -> Idle:
        """Read from the machine, through the tunnel, since when nobody uses the app."""
        return idle.read(await self._tunnel.read(f"{FOLDER}/{idle.FILE}")) if self.is_open else Idle()

    async def keep_on(self) -> None:
        """Make the machine count the app as used now.

        Raises:
            SessionError: the machine cannot be reached.
        """
        try:
            await self._tunnel.touch(f"{FOLDER}/{idle.KEEP_ON_FILE}")
        except TunnelError as error:
            raise SessionError("tunnel", name=self._name, problem=error.problem) from error

    @property
    def sees_nothing(self) -> bool:
        """Whether this process cannot find out if the app answers: it prints no link, and the tunnel failed."""
        return self._app.port is not None and self._app.ready_pattern is None and self.problem is not None

    @property
    def mount(self) -> Mount:
        """How a proxy can serve the app below a path: not at all if the app ignores its base URL."""
        mount = self._app.mount
        takes_base = self._given_base != "/" and self.base_path == self._given_base
        return Mount.NONE if mount is Mount.PREFIX and not takes_base else mount

    @property
    def ignores_base(self) -> bool:
        """Whether the app was given a base URL and answers at another path."""
        return self._given_base not in ("/", self.base_path)

    async def seems_ready(self, facts: TaskSnapshot, printed: Iterable[Callable[[], Awaitable[Iterable[str]]]]) -> bool:
        """Whether the app seems ready, without a tunnel: by its printed link, or by the machine's SSH greeting.

        Arguments:
            facts: the latest.
            printed: functions that read texts which may contain the link; each is called only if the ones before
                did not find it.
        """
        if self._app.ready_pattern is None:
            ssh = next((forward for forward in facts.forwards if forward.app_port == SSH_PORT), None)
            return self._app.ends_by_itself or (ssh is not None and await speaks_ssh(ssh.host, ssh.port))
        if facts.forwards:
            for read in printed:
                found = [output.find_link(self._app.ready_pattern, text) for text in await read()]
                if match := next(filter(None, found), None):
                    groups = match.groupdict()
                    self._app_token = groups.get("token") or self._app_token
                    if "base" in groups:
                        self.base_path = f"{groups['base'] or ''}/"
                    return True
        return False

    def learn(self, facts: TaskSnapshot) -> None:
        """Read the base URL that the app was given. Anybody on the account may have written the constant."""
        self._opened = _opened(facts) if self._app.kind == "jupyterlab" else ""
        base = facts.constants.get(bootstrap.BASE_URL, "")
        if self._app.mount is Mount.PREFIX and base != self._given_base and _BASE_URL.fullmatch(base):
            self._given_base = self.base_path = base

    def app_token(self, facts: TaskSnapshot) -> str | None:
        """Return the token that the app asks for, if it is known."""
        if self._app.token_env and self._app_token is None:
            self._app_token = facts.constants.get(self._app.token_env)
        return self._app_token

    def connections(self, facts: TaskSnapshot, attempt: int) -> tuple[Connection, ...]:
        """Return the connections to the session."""
        return connections(self._reach(facts, attempt), self._where())

    def tunnel_spec(self, facts: TaskSnapshot, attempt: int) -> TunnelSpec | None:
        """Return what a launcher on the visitor's computer needs; None if it cannot connect."""
        reach = self._reach(facts, attempt)
        known = reach.session_key_accepted and SESSION_KEY in _keys(
            facts
        )  # keys of `use_own_keys` are for this process alone
        return tunnel_spec(replace(reach, session_key_accepted=known), self._private_key)

    def _reach(self, facts: TaskSnapshot, attempt: int) -> Reach:
        return Reach(
            id=self._session_id,
            name=self._name,
            app_title=self._app.title,
            app_port=self._app.port,
            open_path=self.open_path,
            app_token=self.app_token(facts),
            ssh_user=self._user,
            forwards=facts.forwards,
            session_key_accepted=self.has_key(facts),
            user_key_accepted=USER_KEY in _keys(facts),
            host_key=self.host_keys.of(attempt),
            fingerprints=self.host_keys.fingerprints(attempt),
            mount=self.mount if SESSION_KEY in _keys(facts) else Mount.NONE,
            base_path=self.base_path,
            ports=self._app.ports,
        )

    def _where(self) -> Place:
        """The facts about this process, kept while the tunnel is open so that printed commands do not change."""
        if self._place is None:
            port = self._tunnel.port if self._tunnel.is_open else None
            self._place = Place(port, next(iter(free_ports(self._port))), self.identity, os.devnull, self.through_page)
        return replace(self._place, ssh_fails=self.problem is not None)


def _opened(facts: TaskSnapshot) -> str:
    """Return the checked path of what JupyterLab opens first. Anybody may have written the constant."""
    try:
        return check_open(facts.constants.get(bootstrap.OPEN, ""))
    except InputError:
        return ""


def _keys(facts: TaskSnapshot) -> list[str]:
    return facts.label(Label.KEYS).split("+")
