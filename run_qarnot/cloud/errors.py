"""Translates errors of libraries into ours, by one table (`reference/qarnot-platform.md` §1.4, §1.5).

Four of the SDK's exceptions do not derive from its base class, and connection failures arrive as `requests` and
`botocore` errors; a test walks all of them and finds each here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import botocore.exceptions
import botocore.parsers
import qarnot.exceptions as sdk
import requests

from run_qarnot.cloud.json import NotJsonError, read_json
from run_qarnot.cloud.limits import AnswerLimitError
from run_qarnot.core import visible
from run_qarnot.core.errors import NotFoundError, RefusedError, RunQarnotError, UnreachableError
from run_qarnot.core.messages import Message, Verbatim

_UNREACHABLE_STATUS = frozenset({429, 500, 502, 503, 504})
_UNREACHABLE_STORAGE = (
    botocore.exceptions.EndpointConnectionError,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
)

# The storage's error codes (§4.2) and the codes of our sentences. All others are shown as they are: "storage-refused".
_STORAGE_SENTENCES = {
    "TooManyBuckets": "quota-buckets",
    "QuotaExceeded": "quota-bytes",
    "RequestTimeTooSkewed": "storage-clock",  # requests are signed with the time, and old ones are refused
    "InvalidAccessKeyId": "storage-token",
    "SignatureDoesNotMatch": "storage-token",
    "AccessDenied": "storage-forbidden",
    "AllAccessDisabled": "storage-forbidden",
    "403": "storage-forbidden",  # of a HEAD request, whose answer has no body
    "NoSuchBucket": "storage-gone",
    "NoSuchKey": "storage-gone",
    "EntityTooLarge": "storage-large",
}


@contextmanager
def translated(cluster: str) -> Iterator[None]:
    """Translate every exception of the block into one of ours."""
    try:
        yield
    except RunQarnotError:
        raise
    except Exception as error:  # the SDK raises anything (§6.2): the table decides
        raise translate(error, cluster) from error


def translate(error: Exception, cluster: str) -> RunQarnotError:
    """Return our error for one of a library."""
    message = _clean(str(error))
    match error:
        case sdk.MaxTaskException() | sdk.MaxJobException() | sdk.MaxPoolException():
            return RefusedError("quota-tasks", message=Verbatim(message))
        case sdk.NotEnoughCreditsException():
            return RefusedError("credits", message=Verbatim(message))
        case sdk.UnauthorizedException() if message:
            return RefusedError("forbidden", message=Verbatim(message))
        case sdk.UnauthorizedException():
            return RefusedError("token-refused", cluster=cluster)  # 401 comes with an empty message (§1.5)
        case sdk.QarnotException() | sdk.MissingJobException():
            return RefusedError("rejected", message=Verbatim(message))
        case sdk.SecretNotFoundException() | sdk.SecretConflictException():
            return RefusedError("rejected", message=Verbatim(message))
        case AnswerLimitError():
            return UnreachableError("unreachable", cluster=cluster, problem=error.problem)
        case NotJsonError():
            return UnreachableError("nonsense", cluster=cluster, problem=error.problem)
        case requests.exceptions.RequestException():
            return _network_error(error, "unreachable", cluster)
        case OSError() if "CA certificate" in message:  # `requests` has no exception of its own for that
            return UnreachableError("certificate", whose=cluster, problem=Message("certificates-gone"))
        case botocore.exceptions.ClientError():
            return storage_error(error.response, error.operation_name)
        case botocore.exceptions.BotoCoreError() if isinstance(error, _UNREACHABLE_STORAGE):
            return _network_error(error, "storage-unreachable")
        case botocore.parsers.ResponseParserError():  # not XML, or not that of S3
            return UnreachableError("storage-unreachable", problem=Message("storage-unreadable"))
        case botocore.exceptions.BotoCoreError():
            return RefusedError("storage-refused", action=Message("the-request"), message=Verbatim(message))
        case UnicodeError():
            return RefusedError("token-refused", cluster=cluster)
        case ValueError() | TypeError() | AttributeError() | KeyError():
            problem = Message("answer-unreadable", error=type(error).__name__)
            return UnreachableError("nonsense", cluster=cluster, problem=problem)
    return RunQarnotError("bug", problem=Verbatim(type(error).__name__), details=message)


def check_answer(response: requests.Response, cluster: str, name: str) -> None:
    """Raise our error for an answer of the REST API that is not a success.

    Arguments:
        response: of the API.
        cluster: its address.
        name: of the session that was asked for; empty when something new was to be made.
    """
    if response.ok and response.status_code < 300:
        return
    message = _clean(error_message(response))
    match response.status_code:
        case status if 300 <= status < 400:  # requests that change something do not follow redirects
            raise _unreachable(response, cluster, "")
        case HTTPStatus.UNAUTHORIZED:
            raise RefusedError("token-refused", cluster=cluster)
        case HTTPStatus.PAYMENT_REQUIRED if "hardware constraint" not in message.lower():
            raise RefusedError("credits", message=Verbatim(message))
        case HTTPStatus.FORBIDDEN if "maximum number of" in message.lower():
            raise RefusedError("quota-tasks", message=Verbatim(message))
        case HTTPStatus.FORBIDDEN if _own_message(response):
            raise RefusedError("forbidden", message=Verbatim(message))
        case HTTPStatus.FORBIDDEN:  # Qarnot says why
            raise UnreachableError("nonsense", cluster=cluster, problem=_answer(f"403 {message}"))
        case HTTPStatus.NOT_FOUND if not _own_message(response):
            raise _unreachable(response, cluster, message)
        case HTTPStatus.NOT_FOUND if name:
            raise NotFoundError("session-unknown", text=name)
        case status if status in _UNREACHABLE_STATUS:
            raise _unreachable(response, cluster, message)
    raise RefusedError("rejected", message=Verbatim(message))


def _unreachable(response: requests.Response, cluster: str, message: str) -> UnreachableError:
    problem = _answer(f"{response.status_code} {message}")
    return UnreachableError("unreachable", cluster=cluster, problem=problem)


def _answer(text: str) -> Message:
    return Message("answers", answer=text.strip())


def error_message(response: requests.Response) -> str:
    """Return the message of an error answer, in any of its formats (§1.4)."""
    return _own_message(response) or response.reason or ""


def _own_message(response: requests.Response) -> str:
    """Return Qarnot's message in an error answer; empty if a gateway on the way answered.

    A gateway's 404 does not mean that a task was deleted, and a deleted session is never polled again.
    """
    try:
        body = read_json(response.content)
    except NotJsonError:
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
        return UnreachableError("storage-unreachable", problem=_answer(code))
    said = str(error.get("Message") or "")
    message = _clean(code if said == code else f"{code} {said}")  # some storages send only the code
    name = _clean(str(error.get("BucketName") or error.get("Key") or action))
    sentence = _STORAGE_SENTENCES.get(code, "storage-refused")
    return RefusedError(sentence, name=name, action=action, message=Verbatim(message))


def _network_error(error: Exception, code: str, cluster: str = "") -> UnreachableError:
    """Return our error for a request without an answer.

    Arguments:
        code: of the sentence if the error is not recognized.
        cluster: the address of the request; empty for the storage.
    """
    whose = cluster or Message("the-storage")
    text = str(error)
    match error:
        case requests.exceptions.ProxyError() | botocore.exceptions.ProxyConnectionError():
            return UnreachableError("proxy", whose=whose, problem=_problem(text))
        case requests.exceptions.InvalidProxyURL():
            return UnreachableError("proxy", whose=whose, problem=Message("proxy-no-address"))
        case requests.exceptions.SSLError() | botocore.exceptions.SSLError():
            name = next((name for mark, name in _TLS_PROBLEMS.items() if mark in text), "tls-fails")
            return UnreachableError("certificate", whose=whose, problem=Message(name))
        case _ if isinstance(error, _TIMEOUTS):
            problem = Message("timeout")
        case requests.exceptions.TooManyRedirects():
            problem = Message("redirects")
        case requests.exceptions.InvalidSchema() | requests.exceptions.InvalidURL():
            problem = Message("url-wrong")
        case _:
            problem = _problem(text)
    return UnreachableError(code, cluster=cluster, problem=problem)


def network_problem(error: Exception) -> Message:
    """Return why a request to any server had no answer, as the end of a sentence."""
    facts = _network_error(error, "unreachable").facts
    found = facts["problem"]
    return found if isinstance(found, Message) else Message("connection-broke")


_TIMEOUTS = (
    requests.exceptions.Timeout,
    botocore.exceptions.ConnectTimeoutError,
    botocore.exceptions.ReadTimeoutError,
)
_TLS_PROBLEMS = {  # parts of OpenSSL's messages → ids of ours
    "certificate has expired": "certificate-expired",
    "not valid for": "certificate-host",
    "doesn't match": "certificate-host",
    "mismatch": "certificate-host",
    "self-signed": "certificate-untrusted",
    "unable to get local issuer": "certificate-untrusted",
    "CERTIFICATE_VERIFY_FAILED": "certificate-invalid",
    "WRONG_VERSION_NUMBER": "no-tls",
}
_PROBLEMS = {  # parts of urllib3's messages → ids of ours
    "refused": "refused",
    "resolve": "no-host",
    "Name or service": "no-host",
    "getaddrinfo": "no-host",
    "Tunnel connection failed: 407": "proxy-login",
    "Tunnel connection failed": "proxy-refuses",
    "timed out": "timeout",
}


def _problem(text: str) -> Message:
    return Message(next((name for mark, name in _PROBLEMS.items() if mark in text), "connection-broke"))


def _clean(message: str) -> str:
    return visible.one_line(" ".join(message.split()).rstrip(".")[:500])
