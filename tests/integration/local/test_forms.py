"""Objects that come by a form with a signed policy (PostObject), as boto3 makes them for a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from qarnot.connection import Connection

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

BUCKET = "posted"
Post = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def clients(cluster: LocalCluster) -> dict[str, Any]:
    """One for each version of the signature; boto3 takes the older one for a storage that is not Amazon's."""
    who: dict[str, Any] = {
        "aws_access_key_id": cluster.email,
        "aws_secret_access_key": cluster.token,
        "region_name": "us-east-1",
    }
    made = {
        version: boto3.client("s3", endpoint_url=cluster.storage_url, config=Config(signature_version=version), **who)
        for version in ("s3v4", "s3")
    }
    made["s3v4"].create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture(params=["s3v4", "s3"])
def post(request: pytest.FixtureRequest, clients: dict[str, Any]) -> Post:
    """Have a form made with boto3's arguments, then send it with a file; the sender has changed some fields."""

    def send(key: str, content: bytes = b"content", changed: dict[str, str] | None = None, **options: Any) -> Any:
        form = clients[request.param].generate_presigned_post(BUCKET, key, **options)
        fields = {**form["fields"], **(changed or {})}
        file = {"file": ("C:\\own folder\\ä.txt".rpartition("\\")[2], content, "text/html")}
        return requests.post(form["url"], data=fields, files=file, timeout=10, allow_redirects=False)

    return send


def error(answer: requests.Response) -> tuple[int, str]:
    found = re.search("<Code>(.*)</Code>", answer.text)
    assert found, answer.text
    return answer.status_code, found[1]


def test_a_form_that_keeps_to_its_policy_is_stored(post: Post, connection: Connection) -> None:
    wishes = {"Content-Type": "text/plain", "x-amz-meta-who": "ada", "Cache-Control": "no-store"}
    conditions = [["starts-with", "$Content-Type", "text/"], {"x-amz-meta-who": "ada"}, {"Cache-Control": "no-store"}]
    answer = post("up/${filename}", Fields=wishes, Conditions=conditions)
    assert (answer.status_code, answer.text) == (204, "")
    stored = connection.s3client.get_object(Bucket=BUCKET, Key="up/ä.txt")
    assert stored["Body"].read() == b"content"
    assert (stored["ContentType"], stored["CacheControl"], stored["Metadata"]) == (
        "text/plain",
        "no-store",
        {"who": "ada"},
    )
    assert answer.headers["ETag"] == stored["ETag"]
    large = b"0123456789abcdef" * (3 << 16)  # large objects are kept in files
    assert post("large", large).status_code == 204
    assert connection.s3client.get_object(Bucket=BUCKET, Key="large")["Body"].read() == large
    assert connection.s3client.head_object(Bucket=BUCKET, Key="large")["ContentType"] == "binary/octet-stream"


def test_a_form_says_what_it_wants_to_be_told(post: Post) -> None:
    def told(**field: str) -> requests.Response:
        return post("a b&c", Fields=field, Conditions=[field])

    assert told(success_action_status="200").status_code == 200
    answer = told(success_action_status="201")
    assert answer.status_code == 201
    assert "<Bucket>posted</Bucket><Key>a b&amp;c</Key>" in answer.text
    answer = told(success_action_redirect="http://127.0.0.1/done?x=1")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("http://127.0.0.1/done?x=1&bucket=posted&key=a+b%26c&etag=%22")


def test_a_form_that_breaks_its_policy_is_refused_and_nothing_is_stored(post: Post, connection: Connection) -> None:
    size = [["content-length-range", 2, 7]]
    assert post("kept", Conditions=size).status_code == 204
    assert error(post("kept", b"x", Conditions=size)) == (400, "EntityTooSmall")
    assert error(post("kept", b"x" * 8, Conditions=size)) == (400, "EntityTooLarge")
    late = post("kept", b"other", ExpiresIn=-5)
    assert (error(late), "expired" in late.text) == ((403, "AccessDenied"), True)
    refused: list[dict[str, Any]] = [
        {"changed": {"key": "elsewhere"}},
        {"Fields": {"acl": "private"}},
        {"changed": {"x-amz-meta-more": "x"}},
        {"Conditions": [{"bucket": "another"}]},
        {"Conditions": [["starts-with", "$Content-Type", "image/"]], "changed": {"Content-Type": "text/html"}},
    ]
    for wrong in refused:
        assert error(post("kept", b"other", **wrong)) == (403, "AccessDenied"), wrong
    assert error(post("kept", b"other", Conditions=[["like", "$key", "x"]])) == (400, "InvalidPolicyDocument")
    assert connection.s3client.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"content"


def test_only_whoever_has_the_token_can_sign_a_policy(
    post: Post, cluster: LocalCluster, connection: Connection
) -> None:
    forged = {"policy": "eyJleHBpcmF0aW9uIjogIjIwOTktMDEtMDFUMDA6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbXX0="}
    for wrong in (forged, {"signature": "ä", "x-amz-signature": "ä"}):
        assert error(post("forged", changed=wrong)) == (403, "SignatureDoesNotMatch")
    assert error(post("forged", changed={"policy": ""})) == (403, "AccessDenied")
    cluster.control.expire_token()
    assert error(post("forged")) == (403, "SignatureDoesNotMatch")
    cluster.control.restore_token()
    url = f"{cluster.storage_url}/{BUCKET}"
    for body in ({"data": b"x"}, {"data": {"key": "x"}}, {"files": {"key": b"x" * 30_000, "file": b"x"}}):
        assert error(requests.post(url, timeout=10, **body)) == (400, "MalformedPOSTRequest")
    assert "forged" not in {file.key for file in connection.retrieve_bucket(BUCKET).list_files()}


def test_a_form_meets_missing_buckets_and_full_quotas_as_a_put_does(
    clients: dict[str, Any], cluster: LocalCluster
) -> None:
    form = clients["s3v4"].generate_presigned_post("never-made", "x")
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"x"}, timeout=10)
    assert error(answer) == (404, "NoSuchBucket")
    form = clients["s3v4"].generate_presigned_post(BUCKET, "too-much")
    cluster.control.set_quota("bytes", 0)
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"x"}, timeout=10)
    assert error(answer) == (403, "QuotaExceeded")
    cluster.control.reset()
