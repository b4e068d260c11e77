"""Predicts how a session will be opened, before it is started: a pure function of facts.

`connections` computes the same for a running session. The page shows the prediction so that nobody pays for a machine
that cannot be opened from this computer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from run_qarnot.model.connections import Mount


class SshOut(StrEnum):
    """Whether this process can open SSH connections to the cluster's gateway."""

    OPEN = "open"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


class ExpectedConnection(StrEnum):
    """How the page of a session's app will be opened.

    NO_PAGE: the app has no page; a batch ends by itself, and a plain machine is used by SSH. HERE: by a click in this
    browser. UNSURE: by a click, if outgoing SSH works here. OWN_COMPUTER: only from the visitor's own computer, because
    outgoing SSH does not work here. OWN_ADDRESS: likewise, because the app cannot be served below a path of the page's
    address. OTHER_NETWORK: this is the visitor's own computer, and its network blocks SSH.
    """

    NO_PAGE = "no_page"
    HERE = "here"
    UNSURE = "unsure"
    OWN_COMPUTER = "own_computer"
    OWN_ADDRESS = "own_address"
    OTHER_NETWORK = "other_network"

    @property
    def needs_consent(self) -> bool:
        """Whether the visitor must agree to another way of opening the app before the session may start."""
        return self in {
            ExpectedConnection.OWN_COMPUTER,
            ExpectedConnection.OWN_ADDRESS,
            ExpectedConnection.OTHER_NETWORK,
        }


@dataclass(frozen=True)
class Surroundings:
    """The facts about this process and about the cluster.

    Arguments:
        is_elsewhere: the visitor's browser is on another computer than this process.
        ssh_out: see `SshOut`.
        gateways: ids of images whose earlier runs had an HTTPS gateway, which needs no SSH.
    """

    is_elsewhere: bool = False
    ssh_out: SshOut = SshOut.UNKNOWN
    gateways: frozenset[str] = frozenset()


def expected_connection(image: str, app_port: int | None, mount: Mount, around: Surroundings) -> ExpectedConnection:
    """Return how the app of a session that is about to start will be opened.

    Arguments:
        image: its id.
        app_port: of the app, inside the container; None when there is nothing to open.
        mount: how the app can be served below a path of the page's address.
        around: the surroundings.
    """
    if app_port is None:
        return ExpectedConnection.NO_PAGE
    if image in around.gateways:
        return ExpectedConnection.HERE
    if around.is_elsewhere:
        return _from_elsewhere(mount, around.ssh_out)
    # On the visitor's own computer SSH is rarely blocked, so that no remark is shown while this is unknown.
    blocked = around.ssh_out is SshOut.BLOCKED
    return ExpectedConnection.OTHER_NETWORK if blocked else ExpectedConnection.HERE


def _from_elsewhere(mount: Mount, ssh_out: SshOut) -> ExpectedConnection:
    """Return the prediction for a visitor whose requests the page's server forwards."""
    if mount is Mount.NONE:
        return ExpectedConnection.OWN_ADDRESS
    match ssh_out:
        case SshOut.BLOCKED:
            return ExpectedConnection.OWN_COMPUTER
        case SshOut.UNKNOWN:
            return ExpectedConnection.UNSURE
        case SshOut.OPEN:
            return ExpectedConnection.HERE
