"""The origin of a cluster's storage: its address without path, as security policies name it."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from urllib.parse import urlsplit

import requests

from run_qarnot.cloud.http import HttpSession
from run_qarnot.cloud.json import read_json
from run_qarnot.cloud.limits import AnswerLimitError
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.model.settings import Settings

_TIMEOUT = (2.0, 4.0)  # seconds to connect, to answer
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]")  # without characters that end a word of a policy


def storage_origin(settings: Settings) -> str | None:
    """Return the storage's origin. The cluster states it without a token (`GET /settings`, §1.2).

    None if the cluster does not answer, or not with a web address. Blocks.
    """
    address: object = settings.storage_url
    if address is None:
        with suppress(requests.RequestException, RunQarnotError, AnswerLimitError, OSError, ValueError, AttributeError):
            session = HttpSession(unsafe=settings.cluster_unsafe)
            session.ends = time.monotonic() + sum(_TIMEOUT)
            address = read_json(session.get(f"{settings.cluster_url}/settings", timeout=_TIMEOUT).content).get(
                "storage"
            )
    return origin_of(address) if isinstance(address, str) else None


def origin_of(address: str) -> str | None:
    """Return `scheme://host[:port]` of a web address, or None if it is none."""
    with suppress(ValueError):
        parts = urlsplit(address)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        if parts.scheme in {"http", "https"} and _HOST.fullmatch(host):
            return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    return None
