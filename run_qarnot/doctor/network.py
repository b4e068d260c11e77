"""Checks of the network between this computer and the cluster: clocks, proxies, SSH gateways."""

from __future__ import annotations

import contextlib
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from run_qarnot.cloud.http import is_loopback
from run_qarnot.cloud.probe import Answer, proxy_of
from run_qarnot.doctor.observer import Observer
from run_qarnot.doctor.question import Check, Seen, asking, names

CHECKS: list[Check[Observer]] = []
SSH_GATEWAYS = ("gateway.qarnotservices.com", "forward01.qarnot.net")  # as in the vendor's samples
_PORTS = (443, 22)
_TOLERANCE = 30.0  # seconds; smaller differences come from the network
_CONNECT_SECONDS = 3.0
_PROXY_HEADERS = ("via", "x-cache", "x-forwarded-for", "proxy-connection", "x-squid-error", "x-zscaler")


@asking(
    CHECKS, "N1", "How much does the cluster's clock differ from ours?", expected=f"at most {_TOLERANCE:g} s",
    does="signs storage requests and measures durations by the cluster's clock",
    place="run_qarnot/cloud/s3/signing.py",
)  # fmt: skip
def clock(look: Observer) -> Seen:
    return _difference(look.get("/versions"))


@asking(
    CHECKS, "N2", "How much does the storage's clock differ from the cluster's?", expected=f"at most {_TOLERANCE:g} s",
    does="signs by the cluster's clock; the storage refuses signatures that are 15 minutes off",
    place="run_qarnot/cloud/s3/signing.py",
)  # fmt: skip
def storage_clock(look: Observer) -> Seen:
    cluster, storage = (_ahead(each) for each in (look.get("/versions"), look.fetch("GET", look.storage_address)))
    if cluster is None or storage is None:
        return Seen("one of them does not return its time", is_expected=None)
    return Seen(f"{storage - cluster:+.0f} s", abs(storage - cluster) <= _TOLERANCE)


@asking(
    CHECKS, "N3", "Which proxies are in between?", expected="none",
    does="uses those of the environment and says which one fails", place="run_qarnot/cloud/http.py",
)  # fmt: skip
def proxies(look: Observer) -> Seen:
    found = []
    for name, address in (("cluster", look.settings.cluster_url), ("storage", look.storage_address)):
        if proxy := proxy_of(address):
            found.append(f"{name} through {urlsplit(proxy).hostname}")
        answer = look.get("/versions") if name == "cluster" else look.fetch("GET", address)
        found += [f"{name} answers with {each}" for each in _PROXY_HEADERS if each in answer.headers]
    return Seen(names(found) if found else "none", not found)


@asking(
    CHECKS, "N4", "Can the SSH gateways be reached from here?", expected="a connection to one of them",
    does="prints the command for another computer, and offers https where the image has it",
    place="run_qarnot/model/connections.py",
)  # fmt: skip
def gateways(look: Observer) -> Seen:
    if is_loopback(look.settings.cluster_url):
        return Seen("the cluster is on this machine", is_expected=True)
    reached = []
    for host in SSH_GATEWAYS:
        for port in _PORTS:
            look.check()
            with contextlib.suppress(OSError), socket.create_connection((host, port), _CONNECT_SECONDS):
                reached.append(f"{host}:{port}")
    # Sessions use other ports: `--spend` tries those.
    return Seen(names(reached) if reached else "none", is_expected=bool(reached))


def _difference(answer: Answer) -> Seen:
    ahead = _ahead(answer)
    if ahead is None:
        return Seen("it does not return its time", is_expected=None)
    return Seen(f"{ahead:+.0f} s", abs(ahead) <= _TOLERANCE)


def _ahead(answer: Answer) -> float | None:
    """Return by how many seconds the server's clock is ahead of ours."""
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    return (theirs - datetime.now(UTC)).total_seconds()
