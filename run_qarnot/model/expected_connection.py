"""How a session will be opened, as far as that is known before it is started: a pure function of facts.

`connections` answers the same question for a session that runs. Here no machine is known yet, so that what is told is
which of its answers to expect: the page must say so before a machine costs money that nobody can use.
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

    NO_PAGE: it has none; a batch ends by itself, and a plain machine is used by SSH. HERE: by a click in this browser.
    UNSURE: by a click, if SSH goes out from here. OWN_COMPUTER: from the visitor's own computer alone, because SSH does
    not go out from here. OWN_ADDRESS: likewise, because the app cannot be put under a path of the page's address.
    OTHER_NETWORK: this is the visitor's own computer, and its network lets no SSH out.
    """

    NO_PAGE = "no_page"
    HERE = "here"
    UNSURE = "unsure"
    OWN_COMPUTER = "own_computer"
    OWN_ADDRESS = "own_address"
    OTHER_NETWORK = "other_network"

    @property
    def needs_consent(self) -> bool:
        """Whether nothing may be started before the visitor has agreed to open it in another way."""
        return self in {
            ExpectedConnection.OWN_COMPUTER,
            ExpectedConnection.OWN_ADDRESS,
            ExpectedConnection.OTHER_NETWORK,
        }


@dataclass(frozen=True)
class Surroundings:
    """What is known of where this process runs, and of the cluster.

    Arguments:
        is_elsewhere: the visitor's browser is not on the computer of this process.
        ssh_out: see `SshOut`.
        gateways: ids of images; a run of each has had an HTTPS gateway, which needs no SSH.
    """

    is_elsewhere: bool = False
    ssh_out: SshOut = SshOut.UNKNOWN
    gateways: frozenset[str] = frozenset()


def expected_connection(image: str, app_port: int | None, mount: Mount, around: Surroundings) -> ExpectedConnection:
    """Return how the app of a session that is about to start will be opened.

    Arguments:
        image: its id.
        app_port: of the app, inside the container; None when there is nothing to open.
        mount: how the app can be put under a path of the page's address.
        around: what is known.
    """
    if app_port is None:
        return ExpectedConnection.NO_PAGE
    if image in around.gateways:
        return ExpectedConnection.HERE
    if around.is_elsewhere:
        return _from_elsewhere(mount, around.ssh_out)
    # On the visitor's own computer SSH is rarely blocked: not to know it is not worth a remark.
    blocked = around.ssh_out is SshOut.BLOCKED
    return ExpectedConnection.OTHER_NETWORK if blocked else ExpectedConnection.HERE


def _from_elsewhere(mount: Mount, ssh_out: SshOut) -> ExpectedConnection:
    """Of a visitor who is led through the page's server."""
    if mount is Mount.NONE:
        return ExpectedConnection.OWN_ADDRESS
    match ssh_out:
        case SshOut.BLOCKED:
            return ExpectedConnection.OWN_COMPUTER
        case SshOut.UNKNOWN:
            return ExpectedConnection.UNSURE
        case SshOut.OPEN:
            return ExpectedConnection.HERE
