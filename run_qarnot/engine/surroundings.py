"""Finds out, before a session is started, whether outgoing SSH works and which images have a gateway.

Each run has its own port at the gateway, so a run of the account is the only reliable target. Without one, the
gateway's host is tried at a port that may be unused: a refusal also proves that SSH is not blocked. A time-out may be
the fault of either side and proves nothing. (mybinder.org drops blocked connections, `reference/binder.md` §6; no
source says what the gateway does with unused ports.)
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from run_qarnot.catalog import Catalog
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.model.connections import HTTPS_PORT, SSH_PORT, Forward
from run_qarnot.model.expected_connection import SshOut, Surroundings
from run_qarnot.model.plan import Label

# `reference/qarnot-platform.md` §3.4 names the host; the port is one of the range of its forwards (§2.4).
_GATEWAYS = {"api.qarnot.com": Forward(SSH_PORT, "gateway.qarnotservices.com", 41022)}
_THIS_COMPUTER = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_ASKED = 3
_WAIT_SECONDS = 3.0
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM})


async def look_around(
    runs: Iterable[TaskSnapshot],
    catalog: Catalog,
    cluster_url: str,
    *,
    is_elsewhere: bool,
    ssh_out: SshOut | None = None,
) -> Surroundings:
    """Find out the surroundings from the account's runs and a few connections.

    Arguments:
        runs: of the account; ended ones have no forwards and are ignored.
        catalog: with the ports of the images' apps.
        cluster_url: of the API.
        is_elsewhere: the visitor's browser is on another computer.
        ssh_out: what is already known.
    """
    runs = list(runs)
    if ssh_out is None:
        ssh_out = await find_ssh_out((forward for run in runs for forward in run.forwards), cluster_url)
    return Surroundings(is_elsewhere, ssh_out, frozenset(_with_gateway(runs, catalog)))


def _with_gateway(runs: Iterable[TaskSnapshot], catalog: Catalog) -> Iterator[str]:
    """Yield the ids of images that have a run with an HTTPS gateway (§3.5)."""
    for run in runs:
        image = catalog.images.get(run.label(Label.IMAGE))
        ends = {(forward.app_port, forward.port) for forward in run.forwards}
        if image is not None and (image.effective_app.port, HTTPS_PORT) in ends:
            yield image.id


async def find_ssh_out(forwards: Iterable[Forward], cluster_url: str) -> SshOut:
    """Try to connect. This takes three seconds at most and sends nothing.

    Arguments:
        forwards: of ready runs; at most three SSH forwards are tried.
        cluster_url: of the API, from which the gateway is derived without a run.
    """
    running = list(dict.fromkeys(each for each in forwards if each.app_port == SSH_PORT and each.is_valid))
    if running:
        answers = await asyncio.gather(*(_connects(each) for each in running[:_MOST_ASKED]))
        return SshOut.OPEN if any(answer is SshOut.OPEN for answer in answers) else SshOut.BLOCKED
    host = urlsplit(cluster_url).hostname or ""
    if host in _THIS_COMPUTER:
        return SshOut.OPEN
    gateway = _GATEWAYS.get(host)
    return SshOut.UNKNOWN if gateway is None else await _connects(gateway, refusal=SshOut.OPEN)


async def _connects(forward: Forward, refusal: SshOut = SshOut.BLOCKED) -> SshOut:
    """Return OPEN for an accepted connection, BLOCKED without a route, UNKNOWN after a time-out.

    Arguments:
        forward: where to connect to.
        refusal: the result for a refused connection.
    """
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            _, writer = await asyncio.open_connection(forward.host, forward.port)
    except ConnectionRefusedError:
        return refusal
    except TimeoutError:
        return SshOut.UNKNOWN
    except OSError as error:
        return SshOut.BLOCKED if error.errno in _NO_WAY else SshOut.UNKNOWN
    writer.transport.abort()
    return SshOut.OPEN
