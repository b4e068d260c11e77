"""Requests to the storage, signed by the cluster's clock.

A signature holds the time, and a storage refuses what is off by more than fifteen minutes. This machine's clock may be
wrong; the cluster's, which came with its first answers, is what the storage goes by too.

botocore asks the table of signers by name for each request. Ours are its own, with another time; presigned addresses
are signed by version 4 as well, instead of boto3's version 2, whose end is a time of this machine.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth

_NAME = "run-qarnot-v4"
_OFFSET = "run_qarnot_clock_offset"


class _ByClusterTime(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    def _modify_request_before_signing(self, request: Any) -> None:
        moment = datetime.now(UTC) + request.context[_OFFSET]
        request.context["timestamp"] = moment.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


class _Header(_ByClusterTime, S3SigV4Auth):  # type: ignore[misc]
    """Signs a request in its header."""


class _Address(_ByClusterTime, S3SigV4QueryAuth):  # type: ignore[misc]
    """Signs an address that somebody else will ask."""


AUTH_TYPE_MAPS.update({_NAME: _Header, f"{_NAME}-query": _Address})


def sign_by(client: Any, clock_offset: timedelta) -> None:
    """Have all requests of a boto3 client for S3 signed by another clock.

    Arguments:
        clock_offset: how far that clock is ahead of this machine's.
    """

    def note(request: Any, **_: Any) -> None:
        request.context[_OFFSET] = clock_offset

    client.meta.events.register_first("choose-signer.s3", lambda **_: _NAME)
    client.meta.events.register("before-sign.s3", note)
