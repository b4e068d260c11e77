"""The storage as S3 clients see it: lists in pages, refusals by S3's own names, addresses signed by boto3.

Answered by qarnot_local.s3.app with what is around moto.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from qarnot.connection import Connection
from support.tasks import command, connect, ended

from qarnot_local import LocalCluster
from qarnot_local.access import Access
from qarnot_local.control.control import ControlError
from qarnot_local.control.faults import Faults
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.s3.storage import ObjectStorage

pytestmark = pytest.mark.slow

BUCKET = "looked-into"
Ask = Callable[..., requests.Response]


@pytest.fixture
def bucket(connection: Connection) -> Iterator[str]:
    """A bucket of its own, empty."""
    connection.s3client.create_bucket(Bucket=BUCKET)
    yield BUCKET
    for each in connection.s3client.list_objects(Bucket=BUCKET).get("Contents", []):
        connection.s3client.delete_object(Bucket=BUCKET, Key=each["Key"])
    connection.s3client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def ask(cluster: LocalCluster) -> Ask:
    """A signed request, whatever its form."""

    def send(method: str, path: str, body: bytes = b"", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method=method, url=cluster.storage_url + path, data=body, headers=named)
        S3SigV4Auth(Credentials(cluster.email, cluster.token), "s3", "us-east-1").add_auth(request)
        signed = request.prepare()
        return requests.request(method, signed.url, data=body, headers=dict(signed.headers), timeout=10)

    return send


PART = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
PARTS = PART.replace(b"<Part>", b"<Part><PartNumber>2</PartNumber><ETag>x</ETag></Part><Part>")
WRONG: list[tuple[str, str, bytes, int, str]] = [
    ("PUT", "/{}/k?partNumber=1&uploadId=none", b"x", 404, "NoSuchUpload"),
    ("POST", "/{}/k?uploadId=none", PART, 500, "InternalError"),
    ("POST", "/{}/k?uploadId=none", b"<bad", 400, "MalformedXML"),
    ("GET", "/{}/k?uploadId=none", b"", 404, "NoSuchKey"),
    ("DELETE", "/{}/k?uploadId=none", b"", 404, "NoSuchUpload"),
    ("GET", "/{}?max-keys=abc", b"", 400, "InvalidArgument"),
    ("GET", "/{}?list-type=2&max-keys=-1", b"", 400, "InvalidArgument"),
    ("GET", "/{}?max-keys=-1&versions=", b"", 400, "InvalidArgument"),
    ("GET", "/{}?continuation-token=bad&list-type=2", b"", 400, "InvalidArgument"),
    ("GET", "/{}?continuation-token=bm9uZQ%3D%3D&list-type=2", b"", 400, "InvalidArgument"),
    ("PUT", "/{}/k?partNumber=abc&uploadId={upload}", b"x", 400, "InvalidArgument"),
    ("PUT", "/{}/k?partNumber=0&uploadId={upload}", b"x", 400, "InvalidArgument"),
    ("POST", "/{}/k?uploadId={upload}", b"<bad", 400, "MalformedXML"),
    ("POST", "/{}?delete=", b"<bad", 400, "MalformedXML"),
    ("POST", "/{}?delete=", b"<Delete></Delete>", 400, "MalformedXML"),
    ("POST", "/{}/k?uploadId={upload}", PARTS, 400, "InvalidPartOrder"),
    ("PUT", "/{}?tagging=", b"<bad", 400, "MalformedXML"),
    ("PUT", "/{}?cors=", b"<bad", 400, "MalformedXML"),
    ("PATCH", "/{}/k", b"", 405, "MethodNotAllowed"),
    ("DELETE", "/", b"", 405, "MethodNotAllowed"),
    ("PUT", "/{}/a%00b", b"x", 400, "InvalidObjectName"),
    ("PUT", "/{}/" + "x" * 1025, b"x", 400, "InvalidObjectName"),
    ("PUT", "/a-.b", b"", 400, "InvalidBucketName"),
    ("PUT", "/a.-b", b"", 400, "InvalidBucketName"),
    ("PUT", "/a..b", b"", 400, "InvalidBucketName"),
    ("PUT", "/192.168.1.1", b"", 400, "InvalidBucketName"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), WRONG)
def test_what_is_malformed_is_refused_by_its_name(
    ask: Ask,
    connection: Connection,
    bucket: str,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: bytes,
    status: int,
    code: str,
) -> None:
    upload = connection.s3client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    with caplog.at_level(logging.INFO, "run_qarnot"):
        answer = ask(method, path.format(bucket, upload=upload), body)
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text
    assert not caplog.records
    connection.s3client.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)


@pytest.mark.parametrize("headers", [{"x_amz_copy_source": ""}, {"x_amz_copy_source": "/"}, {"x_amz_acl": "none"}])
def test_malformed_headers_are_refused(ask: Ask, bucket: str, headers: dict[str, str]) -> None:
    answer = ask("PUT", f"/{bucket}/k", **headers)
    assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True)


@pytest.mark.parametrize("length", ["abc", "-5", "²"])
def test_a_length_that_is_none_is_refused(cluster: LocalCluster, length: str) -> None:
    port = int(cluster.storage_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(f"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")


def test_signatures_that_are_none_are_refused(cluster: LocalCluster) -> None:
    for query in (f"AWSAccessKeyId={cluster.email}&Expires=²&Signature=x", "X-Amz-Signature=é"):
        assert requests.get(f"{cluster.storage_url}/b/k?{query}", timeout=10).status_code == 403


def test_a_key_with_control_characters_is_listed_and_deleted(connection: Connection, bucket: str) -> None:
    client, key = connection.s3client, "a\x01b\r\x7fü +%.txt"
    client.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert [each["Key"] for each in client.list_objects(Bucket=bucket)["Contents"]] == [key]
    assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert [(each["Key"], each["VersionId"]) for each in versions] == [(key, "null")]
    client.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in client.list_objects(Bucket=bucket)


def test_names_that_xml_cannot_hold_break_what_a_gateway_breaks(connection: Connection, bucket: str, ask: Ask) -> None:
    client, key = connection.s3client, "a\x01b&<\x1f"
    for name in (key, "left"):
        client.put_object(Bucket=bucket, Key=name, Body=b"x")
    begun = ask("POST", f"/{bucket}/a%01?uploads=").text
    assert "<Key>a&#x01;</Key>" in begun
    assert "<Key>a&#x01;</Key>" in ask("GET", f"/{bucket}?uploads=").text
    assert "<Key>a%01</Key>" in ask("GET", f"/{bucket}?encoding-type=url&uploads=").text
    assert "<Marker>a&#x01;</Marker>" in ask("GET", f"/{bucket}?encoding-type=url&marker=a%01").text
    for spelt in ("\x02", "&#x2;", "\ufffe"):
        body = f"<Delete><Object><Key>left</Key></Object><Object><Key>{spelt}</Key></Object></Delete>"
        assert ask("POST", f"/{bucket}?delete=", body.encode()).status_code == 400
    assert {each["Key"] for each in client.list_objects(Bucket=bucket)["Contents"]} == {key, "left"}
    client.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("key", ["a\nb", "\n", "a\n", "\r\n/\t", "a\u2028b"])
def test_a_key_may_hold_line_ends(connection: Connection, bucket: str, key: str) -> None:
    client = connection.s3client
    client.put_object(Bucket=bucket, Key=key, Body=b"content")
    assert [each["Key"] for each in client.list_objects(Bucket=bucket)["Contents"]] == [key]
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content"
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert "Contents" not in client.list_objects(Bucket=bucket)


@pytest.mark.parametrize("name", ["A_Bucket", "aBc", "a_b", "a.b", "x" * 63])
def test_names_of_buckets_may_have_capitals_and_underscores(connection: Connection, name: str) -> None:
    """Ten of the vendor's public samples have such ones."""
    made = connection.create_bucket(name)
    made.add_string("x", "file.txt")
    task = command(connection, "cp file.txt other.txt")
    task.resources, task.results = [made], made
    task.submit()
    assert ended(task) == "Success"
    assert {file.key for file in made.list_files()} == {"file.txt", "other.txt"}
    made.delete()


def test_a_bucket_of_another_account_is_not_ours(
    cluster: LocalCluster, connection: Connection, bucket: str, ask: Ask
) -> None:
    cluster.control.foreign_bucket("theirs")
    assert ask("PUT", "/theirs").status_code == 409
    for method, path in (("HEAD", "/theirs"), ("GET", "/theirs"), ("PUT", "/theirs/k"), ("GET", "/theirs/k")):
        assert ask(method, path).status_code == 403
    wanted = {"name": "x", "profile": "docker-batch", "instanceCount": 1, "resultBucket": "theirs"}
    wanted["constants"] = [{"key": "DOCKER_CMD", "value": "sh -c 'echo x > x'"}]
    submitted = connection._post("/tasks", json=wanted).json()
    task = connection.retrieve_task(submitted["uuid"])
    assert ended(task) == "Failure"
    assert "another account" in task.errors[0].message
    with pytest.raises(ControlError, match="itself"):
        cluster.control.foreign_bucket(bucket)
    cluster.control.reset()
    assert ask("PUT", "/theirs").status_code == 200
    connection.s3client.delete_bucket(Bucket="theirs")


def test_unfinished_uploads_come_in_pages_and_say_when_they_began(connection: Connection, bucket: str) -> None:
    client, begun = connection.s3client, datetime.now(UTC) - timedelta(seconds=1)
    uploads = [(key, client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]) for key in "cbbad"]
    wanted = sorted(uploads, key=lambda upload: upload[0])
    pages = client.get_paginator("list_multipart_uploads")
    for size in (1, 2, 10):
        found = list(pages.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}).search("Uploads"))
        assert [(each["Key"], each["UploadId"]) for each in found] == wanted
        assert all(begun < each["Initiated"] <= datetime.now(UTC) for each in found)
    assert len(client.list_multipart_uploads(Bucket=bucket, Prefix="b")["Uploads"]) == 2
    for key, upload in uploads:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


PLACES = ["a", "b/1", "b/2", "c d/1", "e", "f/1"]
ENTRIES = ["a", "b/", "c d/", "e", "f/"]


@pytest.mark.parametrize("listing", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_have_each_folder_once_and_count_it(connection: Connection, bucket: str, listing: str, size: int) -> None:
    for key in PLACES:
        connection.s3client.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = connection.s3client.get_paginator(listing).paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
    )
    found: list[str] = []
    for page in pages:
        entries = [each["Key"] for each in page.get("Contents", [])]
        entries += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        assert len(entries) == min(size, len(ENTRIES) - len(found))
        found += sorted(entries)
    assert found == ENTRIES
    below = connection.s3client.list_objects(Bucket=bucket, Prefix="b/", Delimiter="/", MaxKeys=1)
    assert ([each["Key"] for each in below["Contents"]], below["NextMarker"]) == (["b/1"], "b/1")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_versions_come_in_pages_the_newest_of_a_name_first(connection: Connection, bucket: str, size: int) -> None:
    client = connection.s3client
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b", "b", "c/1", "c/2", "d"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    client.delete_object(Bucket=bucket, Key="b")
    pages = client.get_paginator("list_object_versions")
    found: list[tuple[str, bool | None]] = []
    for page in pages.paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}):
        versions = page.get("DeleteMarkers", []) + page.get("Versions", [])
        entries = [(each["Key"], each["IsLatest"]) for each in versions]
        entries += [(each["Prefix"], None) for each in page.get("CommonPrefixes", [])]
        assert len(entries) <= size
        found += sorted(entries, key=lambda entry: entry[0])
    assert found == [("a", True), ("b", True), ("b", False), ("b", False), ("c/", None), ("d", True)]
    for page in pages.paginate(Bucket=bucket):
        for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
            client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def test_a_bucket_with_a_large_object_is_deleted_by_the_sdk(connection: Connection, tmp_path: Path) -> None:
    """It lists all versions before; the parts that an object was made of are gone by then."""
    (tmp_path / "large").write_bytes(bytes(9 << 20))
    bucket = connection.create_bucket("large-and-gone")
    bucket.add_file(str(tmp_path / "large"), "large")
    bucket.delete()
    assert "large-and-gone" not in {each.uuid for each in connection.buckets()}


def test_every_object_has_an_acl_and_one_version(connection: Connection, bucket: str, tmp_path: Path) -> None:
    """C# asks for the first to see whether an object exists (reference §4.1), rclone for the second after an upload."""
    client = connection.s3client
    (tmp_path / "large").write_bytes(os.urandom(9 << 20))
    client.upload_file(str(tmp_path / "large"), bucket, "of parts")
    client.put_object(Bucket=bucket, Key="large", Body=bytes(2 << 20))
    task = command(connection, "echo result > of-a-task")
    task.results = connection.retrieve_bucket(bucket)
    task.submit()
    assert ended(task) == "Success"
    for key in ("of parts", "large", "of-a-task"):
        grants = client.get_object_acl(Bucket=bucket, Key=key)["Grants"]
        assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
        head = client.head_object(Bucket=bucket, Key=key, VersionId="null")
        assert "VersionId" not in head
        found = client.get_object(Bucket=bucket, Key=key, VersionId="null", Range="bytes=0-1")
        assert len(found["Body"].read()) == 2
        client.delete_object(Bucket=bucket, Key=key, VersionId="null")
        with pytest.raises(ClientError, match="NoSuchKey"):
            client.get_object_acl(Bucket=bucket, Key=key)


def test_a_bucket_says_how_much_is_in_it(connection: Connection, bucket: str) -> None:
    connection.s3client.put_object(Bucket=bucket, Key="k", Body=b"12345")
    headers = connection.s3client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-rgw-object-count"], headers["x-rgw-bytes-used"]) == ("1", "5")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
@pytest.mark.parametrize("call", ["list_objects", "list_objects_v2", "head_bucket", "get_bucket_location"])
def test_addresses_of_buckets_can_be_signed(cluster: LocalCluster, bucket: str, call: str, version: str) -> None:
    who: dict[str, Any] = {
        "aws_access_key_id": cluster.email,
        "aws_secret_access_key": cluster.token,
        "region_name": "us-east-1",
    }
    config = Config(signature_version=version, s3={"addressing_style": "path"})
    client: Any = boto3.client("s3", endpoint_url=cluster.storage_url, config=config, **who)
    url = client.generate_presigned_url(call, Params={"Bucket": bucket})
    method = "HEAD" if call == "head_bucket" else "GET"
    assert requests.request(method, url, timeout=10).status_code == 200
    assert requests.request(method, url.replace(bucket, "another"), timeout=10).status_code == 403


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_bucket_may_be_in_the_name_of_the_host(cluster: LocalCluster, bucket: str, version: str) -> None:
    who: dict[str, Any] = {
        "aws_access_key_id": cluster.email,
        "aws_secret_access_key": cluster.token,
        "region_name": "us-east-1",
    }
    config = Config(signature_version=version, s3={"addressing_style": "virtual"})
    url = cluster.storage_url.replace("127.0.0.1", "localhost")
    client: Any = boto3.client("s3", endpoint_url=url, config=config, **who)
    for call, method in (("put_object", "PUT"), ("get_object", "GET"), ("delete_object", "DELETE")):
        signed = client.generate_presigned_url(call, Params={"Bucket": bucket, "Key": "a b/ü"})
        host = signed.split("/")[2]
        assert host.startswith(f"{bucket}.localhost:")
        here = signed.replace(host, url.split("/")[2])  # not every machine knows such names
        assert requests.request(method, here, headers={"Host": host}, timeout=10).ok
        assert requests.request(method, here, headers={"Host": f"other.{host}"}, timeout=10).status_code == 403


def test_headers_may_be_signed_by_the_older_version(cluster: LocalCluster, bucket: str) -> None:
    def client(secret: str) -> Any:
        who: dict[str, Any] = {
            "aws_access_key_id": cluster.email,
            "aws_secret_access_key": secret,
            "region_name": "us-east-1",
        }
        return boto3.client("s3", endpoint_url=cluster.storage_url, config=Config(signature_version="s3"), **who)

    own = client(cluster.token)
    own.put_object(Bucket=bucket, Key="a b/ü", Body=b"x", Metadata={"who": "ada"}, ContentType="text/plain")
    assert own.head_object(Bucket=bucket, Key="a b/ü")["Metadata"] == {"who": "ada"}
    assert own.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    own.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a b/ü"}]})
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client("wrong").list_buckets()


def test_two_clusters_have_buckets_of_the_same_name(connection: Connection, bucket: str) -> None:
    connection.s3client.put_object(Bucket=bucket, Key="k", Body=b"x")
    with LocalCluster() as other:
        theirs = connect(other).s3client
        with pytest.raises(ClientError, match="NoSuchBucket"):
            theirs.copy_object(Bucket=bucket, Key="stolen", CopySource=f"{bucket}/k")
        theirs.create_bucket(Bucket=bucket)
        assert theirs.list_objects(Bucket=bucket).get("Contents", []) == []
    connection.s3client.create_bucket(Bucket=bucket)  # one's own again changes nothing
    assert connection.s3client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_copies_count_against_the_quota_too(cluster: LocalCluster, connection: Connection, bucket: str) -> None:
    connection.s3client.put_object(Bucket=bucket, Key="a", Body=bytes(100))
    cluster.control.full_quota("bytes")
    with pytest.raises(ClientError, match="QuotaExceeded"):
        connection.s3client.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    connection.s3client.delete_object(Bucket=bucket, Key="a")
    connection.s3client.put_object(Bucket=bucket, Key="a", Body=bytes(100))  # there is room again
    with pytest.raises(ClientError, match="QuotaExceeded"):
        connection.s3client.put_object(Bucket=bucket, Key="b", Body=b"x")
    cluster.control.reset()
    connection.s3client.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")


def test_what_is_stored_is_not_counted_anew_for_each_object(tmp_path: Path) -> None:
    storage = ObjectStorage(Access("you", "token"), Faults(), Quotas(), tmp_path)
    storage.start()
    try:
        storage.make_bucket("many")
        (tmp_path / "one").write_text("x")
        for number in range(400):
            storage.write("many", str(number), tmp_path / "one")
        begun = time.process_time()
        assert all(storage.has_room(1) for _ in range(1000))
        assert time.process_time() - begun < 0.1
    finally:
        storage.stop()
