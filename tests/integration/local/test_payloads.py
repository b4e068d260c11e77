"""What clients send, in the forms in which they wrap it, with the checksums that they give."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from qarnot.connection import Connection

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

BUCKET = "wrapped"
SIZES = [0, 5, 70_000, (3 << 20) + 7]  # large ones are kept in files
Put = Callable[..., requests.Response]


class _Wrapping(S3SigV4Auth):
    """Signs what clients sign that send chunks."""

    how = ""

    def payload(self, request: Any) -> str:
        return self.how


@pytest.fixture
def put(cluster: LocalCluster, connection: Connection) -> Iterator[Put]:
    """Put an object `k` whose body is wrapped already; always by the same connection, if the storage keeps it."""
    connection.s3client.create_bucket(Bucket=BUCKET)
    with requests.Session() as session:

        def send(how: str, body: Any, **headers: str) -> requests.Response:
            named = {f"x-amz-{name.replace('_', '-')}": value for name, value in headers.items()}
            signer = _Wrapping(Credentials(cluster.email, cluster.token), "s3", "us-east-1")
            signer.how = how
            url = f"{cluster.storage_url}/{BUCKET}/k"
            request = AWSRequest(method="PUT", url=url, headers={"Content-Encoding": "aws-chunked", **named})
            signer.add_auth(request)
            signed = {name: value for name, value in request.prepare().headers.items() if name != "Content-Length"}
            return session.put(url, data=body, headers=signed, timeout=10)

        yield send


def wrapped(content: bytes, trailer: str, signature: str = "") -> bytes:
    pieces = [content[place : place + 65_536] for place in range(0, len(content), 65_536)]
    chunks = [b"%x%s\r\n%s\r\n" % (len(piece), signature.encode(), piece) for piece in pieces]
    return b"".join([*chunks, f"0{signature}\r\n{trailer}\r\n".encode()])


def crc32(content: bytes) -> str:
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("size", SIZES)
def test_chunks_are_unwrapped_however_they_come(put: Put, connection: Connection, size: int) -> None:
    """As the SDKs of today send streams, with a checksum at the end, and those of C# with signatures."""
    content = os.urandom(size)
    trailer = f"x-amz-checksum-crc32:{crc32(content)}\r\n"
    signature = f";chunk-signature={'0' * 64}"
    ways = [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", wrapped(content, trailer), {"trailer": "x-amz-checksum-crc32"}),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", wrapped(content, "", signature), {}),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", wrapped(content, trailer, signature), {}),
    ]
    for how, body, headers in ways:
        for sent in (body, iter([body[:3], body[3:]])):  # the second way: chunks of HTTP around those of S3
            answer = put(how, sent, decoded_content_length=str(size), **headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers.get("Connection") != "close"
            found = connection.s3client.get_object(Bucket=BUCKET, Key="k")
            assert found["Body"].read() == content
            assert found["ETag"] == answer.headers["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
            assert "ContentEncoding" not in found


@pytest.mark.parametrize("size", SIZES[1:])
def test_what_was_damaged_on_its_way_is_not_stored(put: Put, connection: Connection, size: int) -> None:
    content, other = os.urandom(size), os.urandom(size)
    client = connection.s3client
    client.put_object(Bucket=BUCKET, Key="k", Body=content)
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="k")["UploadId"]
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    for wrong in ({"ContentMD5": md5}, {"ChecksumSHA256": sha256}, {"ChecksumCRC32": crc32(content)}):
        with pytest.raises(ClientError, match="BadDigest"):
            client.put_object(Bucket=BUCKET, Key="k", Body=other, **wrong)
        with pytest.raises(ClientError, match="BadDigest"):
            client.upload_part(Bucket=BUCKET, Key="k", UploadId=upload, PartNumber=1, Body=other, **wrong)
    how, length = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", str(size)
    trailer = f"x-amz-checksum-crc32:{crc32(content)}\r\n"
    answer = put(how, wrapped(other, trailer), decoded_content_length=length, trailer="x-amz-checksum-crc32")
    assert (answer.status_code, "BadDigest" in answer.text) == (400, True)
    answer = put(hashlib.sha256(content).hexdigest(), other)
    assert (answer.status_code, "XAmzContentSHA256Mismatch" in answer.text) == (400, True)
    for malformed in (wrapped(other + b"x", ""), b"zz\r\n" + other, wrapped(other, "").replace(b"0\r\n", b"5\r\n")):
        assert put(how, malformed, decoded_content_length=length).status_code == 400
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == content
    assert "Parts" not in client.list_parts(Bucket=BUCKET, Key="k", UploadId=upload)
    client.abort_multipart_upload(Bucket=BUCKET, Key="k", UploadId=upload)
