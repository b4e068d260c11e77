"""Requests to the storage, signed by the cluster's clock.

A signature contains the time, and a storage refuses requests that are off by more than fifteen minutes. This machine's
clock may be wrong; the cluster's, known from its first answer, agrees with the storage's.

botocore looks up the signer of each request by name. Ours are subclasses of its own with another time. Presigned
addresses are signed with version 4 instead of boto3's version 2, whose expiry uses this machine's clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAME = "run-qarnot-v4"
_OFFSET = "run_qarnot_clock_offset"


class _ByClusterTime(SigV4Auth):
    def _modify_request_before_signing(self, request: Any) -> None:
        moment = datetime.now(UTC) + request.context[_OFFSET]
        request.context["timestamp"] = moment.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # private: not in the stubs


class _Header(_ByClusterTime, S3SigV4Auth):
    """Signs a request in its header."""


class _Address(_ByClusterTime, S3SigV4QueryAuth):
    """Signs an address that a browser will request."""


AUTH_TYPE_MAPS.update({_NAME: _Header, f"{_NAME}-query": _Address})


def sign_by(client: S3Client, clock_offset: timedelta) -> None:
    """Sign all requests of an S3 client of boto3 by another clock.

    Arguments:
        clock_offset: how far that clock is ahead of this machine's.
    """

    def note(request: Any, **_: Any) -> None:
        request.context[_OFFSET] = clock_offset

    def choose(**_: Any) -> Any:  # for the stubs an event has no answer; botocore takes this one
        return _NAME

    client.meta.events.register_first("choose-signer.s3", choose)
    client.meta.events.register("before-sign.s3", note)
