"""Which host key the machine of a session may show: what it printed itself, else what it showed first.

Every machine makes its own keys (`reference/qarnot-platform.md` §3.4), so that no file of known hosts helps. A start
script that prints the fingerprints of its keys lets us compare them over the platform's API (`pinned`). Other images
are believed at first sight, as with `ssh`, and then held to it for as long as this process follows the session.
"""

from __future__ import annotations

import asyncssh

from run_qarnot.core.messages import Message
from run_qarnot.model.connections import Forward

_MOST_READINGS = 20  # of the output of one attempt; a start script of an earlier version prints no keys


class HostKeys:
    """The host keys of one session, in memory only.

    `pinned`: SHA256 fingerprints (`SHA256:…`, as `ssh-keygen -l` writes them) that the machine has printed; empty where
    it has printed none.
    """

    def __init__(self) -> None:
        self.pinned: frozenset[str] = frozenset()
        self._attempt = -1
        self._readings = 0
        self._of_attempt: dict[int, asyncssh.SSHKey] = {}
        self._of_address: dict[tuple[str, int], asyncssh.SSHKey] = {}

    def is_asked(self, attempt: int) -> bool:
        """Whether it is still to be found out what this attempt's machine has printed."""
        if attempt != self._attempt:
            self._attempt, self._readings = attempt, 0
        is_confirmed = bool(self.pinned) and self._trusted(attempt) is not None
        return not is_confirmed and self._readings < _MOST_READINGS

    def pin(self, fingerprints: frozenset[str], attempt: int) -> None:
        """Accept no host key but these from now on.

        Arguments:
            fingerprints: as read from the output of this attempt; empty if nothing is printed yet.
            attempt: of the run. What an earlier attempt printed still counts until this one prints its own.
        """
        self._attempt, self._readings = attempt, self._readings + (not fingerprints)
        self.pinned = fingerprints

    def problem(self, key: asyncssh.SSHKey, forward: Forward, attempt: int) -> Message | None:
        """Say why the machine that shows this key is not to be spoken to; None if nothing is wrong.

        Arguments:
            key: the public host key.
            forward: where it was shown.
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
        """Hold the machine to this key from now on. Call it when it has let us in: before, it may be somebody else."""
        self._of_attempt[attempt] = key
        self._of_address[forward.host, forward.port] = key

    def of(self, attempt: int) -> str | None:
        """Return the key of this attempt's machine as a line (`ssh-ed25519 AAAA…`), if it has been seen."""
        key = self._trusted(attempt)
        return None if key is None else " ".join(key.export_public_key().decode().split()[:2])

    def fingerprints(self, attempt: int) -> tuple[str, ...]:
        """Return what can be compared by eye: the fingerprint that was seen, else those that were printed."""
        key = self._trusted(attempt)
        return tuple(sorted(self.pinned)) if key is None else (key.get_fingerprint(),)

    def _trusted(self, attempt: int) -> asyncssh.SSHKey | None:
        key = self._of_attempt.get(attempt)
        return key if key is None or not self.pinned or key.get_fingerprint() in self.pinned else None
