"""Foreign errors → ours: the table is complete."""

from typing import Any

import botocore.exceptions
import pytest
import qarnot.exceptions
import requests

from run_qarnot.cloud.errors import check_answer, error_message, translate
from run_qarnot.core.errors import NotFoundError, RefusedError, RunQarnotError, UnreachableError

CLUSTER = "https://api.example"


def subclasses(base: type[Exception]) -> set[type[Exception]]:
    return {base}.union(*(subclasses(child) for child in base.__subclasses__()))


def sdk_exceptions() -> list[type[Exception]]:
    found = vars(qarnot.exceptions).values()
    return [item for item in found if isinstance(item, type) and issubclass(item, Exception)]


@pytest.mark.parametrize("kind", sdk_exceptions())
def test_every_exception_of_the_sdk_is_in_the_table(kind: type[Exception]) -> None:
    error = translate(kind("some message"), CLUSTER)
    assert isinstance(error, RefusedError)


@pytest.mark.parametrize("kind", sorted(subclasses(requests.exceptions.RequestException), key=str))
def test_every_exception_of_requests_means_unreachable(kind: type[Exception]) -> None:
    arguments = ("x", "doc", 0) if issubclass(kind, requests.exceptions.JSONDecodeError) else ("x",)
    assert isinstance(translate(kind(*arguments), CLUSTER), UnreachableError)


@pytest.mark.parametrize("kind", sorted(subclasses(botocore.exceptions.BotoCoreError), key=str))
def test_every_exception_of_botocore_is_in_the_table(kind: type[Exception]) -> None:
    error = translate(kind.__new__(kind), CLUSTER)
    assert error.code != "bug"


def test_the_sdks_empty_message_for_a_bad_token_becomes_a_sentence() -> None:
    error = translate(qarnot.exceptions.UnauthorizedException(), CLUSTER)
    assert error.code == "token-refused"
    assert CLUSTER in error.what


def test_storage_errors_name_what_the_storage_said() -> None:
    body: Any = {"Error": {"Code": "AccessDenied", "Message": "not yours"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = translate(botocore.exceptions.ClientError(body, "PutObject"), CLUSTER)
    assert "AccessDenied not yours" in error.what
    body["Error"]["Message"] = "AccessDenied"
    said = translate(botocore.exceptions.ClientError(body, "PutObject"), CLUSTER).what
    assert said.endswith(": AccessDenied."), "once is enough"
    body["ResponseMetadata"]["HTTPStatusCode"] = 503
    assert isinstance(translate(botocore.exceptions.ClientError(body, "PutObject"), CLUSTER), UnreachableError)


def test_a_wrong_clock_is_said_to_be_the_reason() -> None:
    body: Any = {"Error": {"Code": "RequestTimeTooSkewed"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    error = translate(botocore.exceptions.ClientError(body, "PutObject"), CLUSTER)
    assert error.code == "storage-clock"
    assert "the clock of this machine" in error.what


def answer(status: int, content: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content, response.reason = status, content, "Reason"
    return response


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b"{}", RefusedError, "does not accept this token"),
        (402, b'{"message":"Not enough credits"}', RefusedError, "Not enough credits"),
        (403, b'{"error":{"message":"inner"}}', RefusedError, "inner"),
        (404, b'{"message":"No such task: x"}', NotFoundError, "“calm-heron”"),
        (404, b"<html>nginx 404</html>", UnreachableError, "404"),
        (404, b"{}", UnreachableError, "404"),
        (503, b"<html>", UnreachableError, "503"),
        (429, b"null", UnreachableError, "429"),
        (400, b'{"title":"t","errors":{"interval":["bad"]}}', RefusedError, "interval"),
    ],
)
def test_answers_of_the_api(status: int, body: bytes, kind: type[RunQarnotError], said: str) -> None:
    with pytest.raises(kind) as caught:
        check_answer(answer(status, body), CLUSTER, "calm-heron")
    assert said in str(caught.value)


def test_a_gateways_404_refuses_nothing_that_is_made() -> None:
    with pytest.raises(UnreachableError, match="404"):
        check_answer(answer(404, b"<html>nginx 404</html>"), CLUSTER, "")
    with pytest.raises(RefusedError, match="No such bucket"):
        check_answer(answer(404, b'{"message":"No such bucket: x"}'), CLUSTER, "")


def test_any_error_body_gives_some_text() -> None:
    for body in (b"", b"[]", b"null", b'{"message":null}', b'{"error":"text"}'):
        assert isinstance(error_message(answer(500, body)), str)


def test_what_is_ours_and_what_is_a_bug() -> None:
    assert translate(ZeroDivisionError("x"), CLUSTER).code == "bug"
    assert isinstance(translate(KeyError("uuid"), CLUSTER), RunQarnotError)
