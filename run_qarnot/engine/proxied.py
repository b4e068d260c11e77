"""What the page's server needs to proxy a session's app. This module imports neither SSH nor the cloud's libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from run_qarnot.core.messages import Message
from run_qarnot.model.connections import Forward, Mount

if TYPE_CHECKING:
    from asyncssh import SSHKey

PROXY_ID = re.compile(r"rq-[0-9a-f]{12}")
_BASE_PATH = re.compile(r"/([\w.~-]+/)*", re.ASCII)
_SHORTEST_KEY = 32


@dataclass(frozen=True)
class ProxiedSession:
    """A running session, as kernels register it with the page's server. It is never written to disk."""

    id: str  # `rq-<12 hex>`
    key: str = field(repr=False)  # required to register or open this session; derived from the Qarnot token
    user: str
    private_key: str = field(repr=False)  # in OpenSSH's format
    ssh: Forward
    app_port: int
    app_token: str | None = field(repr=False)
    base_path: str = "/"  # where the app answers; `/<id>/` for PREFIX
    mount: Mount = Mount.PREFIX
    host_keys: tuple[str, ...] = ()  # SHA256 fingerprints; the machine must have one of them; empty: any

    def as_message(self) -> dict[str, Any]:
        """Return the session as JSON values."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """Read what `as_message` wrote.

        Raises:
            ValueError: the message has another form.
        """
        try:
            session = cls(**message)
            session = replace(
                session,
                ssh=Forward(**message["ssh"]),
                mount=Mount(session.mount),
                host_keys=tuple(session.host_keys),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("this is no session") from error
        if not session.is_valid:
            raise ValueError("this is no session")
        return session

    def host_key_problem(self, key: SSHKey) -> Message | None:
        """Return what is wrong with a machine's host key; None if nothing is."""
        if not self.host_keys or key.get_fingerprint() in self.host_keys:
            return None
        return Message("host-key-changed")

    @property
    def is_valid(self) -> bool:
        is_base = _BASE_PATH.fullmatch(self.base_path) is not None
        if self.mount is not Mount.STRIP:
            is_base = self.mount is Mount.PREFIX and self.base_path == f"/{self.id}/"
        return is_base and PROXY_ID.fullmatch(self.id) is not None and len(self.key) >= _SHORTEST_KEY
