"""Checks the host key of a session's machine: against the keys that it printed, else against the first one it showed.

Every machine generates its own keys (`reference/qarnot-platform.md` §3.4), so that a file of known hosts does not help.
If the start script prints the fingerprints of its keys, they are read over the platform's API (`pinned`). Otherwise
the first key is trusted, as by `ssh`, and must stay the same while this process follows the session.
"""

from __future__ import annotations

import asyncssh

from run_qarnot.core.messages import Message
from run_qarnot.model.connections import Forward

_MOST_READINGS = 20  # times that the output of one attempt is read; start scripts of earlier versions print no keys


class HostKeys:
    """The host keys of one session, in memory only.

    `pinned`: SHA256 fingerprints (`SHA256:…`, as written by `ssh-keygen -l`) that the machine has printed; empty if it
    has printed none.
    """

    def __init__(self) -> None:
        self.pinned: frozenset[str] = frozenset()
        self._attempt = -1
        self._readings = 0
        self._of_attempt: dict[int, asyncssh.SSHKey] = {}
        self._of_address: dict[tuple[str, int], asyncssh.SSHKey] = {}

    def is_asked(self, attempt: int) -> bool:
        """Whether the output of this attempt's machine should still be read for keys."""
        if attempt != self._attempt:
            self._attempt, self._readings = attempt, 0
        is_confirmed = bool(self.pinned) and self._trusted(attempt) is not None
        return not is_confirmed and self._readings < _MOST_READINGS

    def pin(self, fingerprints: frozenset[str], attempt: int) -> None:
        """Accept only these host keys from now on.

        Arguments:
            fingerprints: as read from the output of this attempt; empty if nothing is printed yet.
            attempt: of the run. Keys of an earlier attempt stay pinned until this one prints its own.
        """
        self._attempt, self._readings = attempt, self._readings + (not fingerprints)
        self.pinned = fingerprints

    def problem(self, key: asyncssh.SSHKey, forward: Forward, attempt: int) -> Message | None:
        """Return why a machine with this key must not be trusted; None if it may.

        Arguments:
            key: the public host key.
            forward: through which it was received.
            attempt: of the run; another attempt is another machine.
        """
        if self.pinned:
            if key.get_fingerprint() in self.pinned:
                return None
            return Message("host-key-not-printed")
        known = self._of_attempt.get(attempt), self._of_address.get((forward.host, forward.port))
        if any(before not in {None, key} for before in known):
            return Message("host-key-changed")
        return None

    def keep(self, key: asyncssh.SSHKey, forward: Forward, attempt: int) -> None:
        """Require this key from now on. Call it after a successful login: before, the key may be another machine's."""
        self._of_attempt[attempt] = key
        self._of_address[forward.host, forward.port] = key

    def of(self, attempt: int) -> str | None:
        """Return the key of this attempt's machine as a line (`ssh-ed25519 AAAA…`), if it has been seen."""
        key = self._trusted(attempt)
        return None if key is None else " ".join(key.export_public_key().decode().split()[:2])

    def fingerprints(self, attempt: int) -> tuple[str, ...]:
        """Return fingerprints for a user to compare: the one that was seen, else those that were printed."""
        key = self._trusted(attempt)
        return tuple(sorted(self.pinned)) if key is None else (key.get_fingerprint(),)

    def _trusted(self, attempt: int) -> asyncssh.SSHKey | None:
        key = self._of_attempt.get(attempt)
        return key if key is None or not self.pinned or key.get_fingerprint() in self.pinned else None
