"""Foreign errors → ours, in one table (`reference/qarnot-platform.md` §1.4, §1.5).

Four of the SDK's exceptions do not derive from its base class, and connection failures arrive as `requests` and
`botocore` errors; a test walks all of them and finds each here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import botocore.exceptions
import qarnot.exceptions as sdk
import requests

from run_qarnot.core.errors import NotFoundError, RefusedError, RunQarnotError, UnreachableError

_UNREACHABLE_STATUS = frozenset({429, 500, 502, 503, 504})
_UNREACHABLE_STORAGE = (
    botocore.exceptions.EndpointConnectionError,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
)

_QUOTAS = {"TooManyBuckets": "quota-buckets", "QuotaExceeded": "quota-bytes"}
_WRONG_CLOCK = "the clock of this machine is wrong; set it right, then try again"


@contextmanager
def translated(cluster: str) -> Iterator[None]:
    """Turn every foreign exception of the block into one of ours."""
    try:
        yield
    except RunQarnotError:
        raise
    except Exception as error:  # the SDK lets anything out (§6.2): the table decides
        raise translate(error, cluster) from error


def translate(error: Exception, cluster: str) -> RunQarnotError:
    """Return our error for a foreign one."""
    message = _clean(str(error))
    match error:
        case sdk.MaxTaskException() | sdk.MaxJobException() | sdk.MaxPoolException():
            return RefusedError("quota-tasks", message=message)
        case sdk.NotEnoughCreditsException():
            return RefusedError("credits", message=message)
        case sdk.UnauthorizedException() if message:
            return RefusedError("forbidden", message=message)
        case sdk.UnauthorizedException():
            return RefusedError("token-refused", cluster=cluster)  # 401 comes with an empty message (§1.5)
        case sdk.QarnotException() | sdk.MissingJobException():
            return RefusedError("rejected", message=message)
        case sdk.SecretNotFoundException() | sdk.SecretConflictException():
            return RefusedError("rejected", message=message)
        case requests.exceptions.JSONDecodeError():
            return UnreachableError("nonsense", cluster=cluster, problem="it answers with something else than JSON")
        case requests.exceptions.RequestException():
            return UnreachableError("unreachable", cluster=cluster, problem=_network_problem(error))
        case botocore.exceptions.ClientError():
            return storage_error(error.response, error.operation_name)
        case botocore.exceptions.BotoCoreError() if isinstance(error, _UNREACHABLE_STORAGE):
            return UnreachableError("storage-unreachable", problem=_network_problem(error))
        case botocore.exceptions.BotoCoreError():
            return RefusedError("storage-refused", action="the request", message=message)
        case UnicodeError():
            return RefusedError("token-refused", cluster=cluster)
        case ValueError() | TypeError() | AttributeError() | KeyError():
            return UnreachableError("nonsense", cluster=cluster, problem=f"{type(error).__name__} while reading it")
    return RunQarnotError("bug", problem=type(error).__name__, details=message)


def check_answer(response: requests.Response, cluster: str, name: str) -> None:
    """Raise our error for an answer of the REST API that is not a success.

    Arguments:
        response: of the API.
        cluster: its address.
        name: of the session that was asked for; empty when something new was to be made.
    """
    if response.ok:
        return
    message = _clean(error_message(response))
    match response.status_code:
        case HTTPStatus.UNAUTHORIZED:
            raise RefusedError("token-refused", cluster=cluster)
        case HTTPStatus.PAYMENT_REQUIRED if "hardware constraint" not in message.lower():
            raise RefusedError("credits", message=message)
        case HTTPStatus.FORBIDDEN if "maximum number of" in message.lower():
            raise RefusedError("quota-tasks", message=message)
        case HTTPStatus.FORBIDDEN:
            raise RefusedError("forbidden", message=message)
        case HTTPStatus.NOT_FOUND if not _own_message(response):
            raise _unreachable(response, cluster, message)
        case HTTPStatus.NOT_FOUND if name:
            raise NotFoundError("session-unknown", text=name)
        case status if status in _UNREACHABLE_STATUS:
            raise _unreachable(response, cluster, message)
    raise RefusedError("rejected", message=message)


def _unreachable(response: requests.Response, cluster: str, message: str) -> UnreachableError:
    problem = f"it answers {response.status_code} {message}".strip()
    return UnreachableError("unreachable", cluster=cluster, problem=problem)


def error_message(response: requests.Response) -> str:
    """Return the message of an error answer, in whichever of its shapes it comes (§1.4)."""
    return _own_message(response) or response.reason or ""


def _own_message(response: requests.Response) -> str:
    """Return what Qarnot itself says in an error answer; empty if somebody on the way answered, such as a gateway.

    A gateway's 404 says nothing of a task, and a session that is taken for deleted is never looked at again.
    """
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, Mapping):
        return ""
    inner = body.get("error")
    message = body.get("message") or (inner.get("message") if isinstance(inner, Mapping) else inner)
    if not message and isinstance(body.get("errors"), Mapping):
        message = "; ".join(f"{key}: {value}" for key, value in body["errors"].items())
    return str(message or body.get("title") or "")


def storage_error(response: Any, action: str) -> RunQarnotError:
    """Return our error for an error answer of the storage (§4.2)."""
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode") in _UNREACHABLE_STATUS:
        return UnreachableError("storage-unreachable", problem=f"it answers {code}")
    if code == "RequestTimeTooSkewed":  # requests are signed with this machine's time, and old ones refused
        return RefusedError("storage-refused", action=action, message=_WRONG_CLOCK)
    if code in _QUOTAS:
        return RefusedError(_QUOTAS[code])
    said = str(error.get("Message") or "")
    message = code if said == code else f"{code} {said}"  # some storages have no other words
    return RefusedError("storage-refused", action=action, message=_clean(message))


def _network_problem(error: Exception) -> str:
    match error:
        case requests.exceptions.ConnectTimeout() | requests.exceptions.ReadTimeout():
            return "no answer in time"
        case botocore.exceptions.ConnectTimeoutError() | botocore.exceptions.ReadTimeoutError():
            return "no answer in time"
        case requests.exceptions.SSLError() | botocore.exceptions.SSLError():
            return "its certificate is not accepted"
        case requests.exceptions.ProxyError() | botocore.exceptions.ProxyConnectionError():
            return "the proxy does not let us through"
    text = str(error)
    if "refused" in text:
        return "nothing listens there"
    if "resolve" in text or "Name or service" in text:
        return "there is no such host"
    return "the connection broke"


def _clean(message: str) -> str:
    return " ".join(message.split()).rstrip(".")[:500]
