"""S3 requests: which operation, what is wrong with it, what its body brings."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest

from qarnot_local.s3 import operations
from qarnot_local.s3.payload import CutShortError, DigestError, Payload
from qarnot_local.s3.requests import complaint
from qarnot_local.s3.signatures import is_signed


def environ(
    method: str = "GET", path: str = "/bucket/key", query: str = "", body: bytes = b"", **headers: str
) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **headers,
    }


@pytest.mark.parametrize(
    ("method", "path", "query", "name"),
    [
        ("GET", "/", "", "ListBuckets"),
        ("GET", "/b", "list-type=2", "ListObjectsV2"),
        ("PUT", "/b/k", "partNumber=1&uploadId=x", "UploadPart"),
        ("DELETE", "/b/k", "uploadId=x", "AbortMultipartUpload"),
        ("PATCH", "/b/k", "", "Other"),
    ],
)
def test_operations_have_the_names_of_aws(method: str, path: str, query: str, name: str) -> None:
    assert operations.read(environ(method, path, query)).name == name


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (environ("PUT", "/b"), "InvalidBucketName"),
        (environ("PUT", "/127.0.0.1"), "InvalidBucketName"),
        (environ("PUT", "/bucket/" + "k" * 1025), "InvalidObjectName"),
        (environ(path="/bucket", query="max-keys=x"), "InvalidArgument"),
        (environ("PUT", query="partNumber=10001&uploadId=x"), "InvalidArgument"),
        (environ("PUT", HTTP_X_AMZ_COPY_SOURCE="bucket"), "InvalidArgument"),
        (environ("PATCH"), "MethodNotAllowed"),
        (environ("PUT", "/bucket"), None),
        (environ(), None),
    ],
)
def test_complaints(given: dict[str, Any], code: str | None) -> None:
    assert complaint(operations.read(given), given) == code


def test_chunks_are_unwrapped_and_their_checksum_is_compared() -> None:
    def payload(checksum: bytes) -> Payload:
        trailer = b"x-amz-checksum-sha256:" + base64.b64encode(hashlib.sha256(checksum).digest())
        body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n" + trailer + b"\r\n\r\n"
        headers = {"HTTP_X_AMZ_CONTENT_SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
        headers |= {"HTTP_X_AMZ_DECODED_CONTENT_LENGTH": "5", "HTTP_X_AMZ_TRAILER": "x-amz-checksum-sha256"}
        return Payload(environ("PUT", body=body, **headers))

    assert payload(b"abcde").whole() == b"abcde"
    with pytest.raises(DigestError, match="BadDigest"):
        payload(b"other").whole()


def test_a_body_that_breaks_off_is_no_object() -> None:
    with pytest.raises(CutShortError):
        Payload(environ("PUT", body=b"abc") | {"CONTENT_LENGTH": "5"}).whole()


def test_nobody_is_known_without_a_signature() -> None:
    assert not is_signed(environ(), "me", "secret")
    assert not is_signed(environ(HTTP_AUTHORIZATION="AWS me:x"), "me", "secret")
