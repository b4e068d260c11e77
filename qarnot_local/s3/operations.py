"""The operation of an S3 request by AWS's name, and the statuses of error codes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

STATUSES = {
    "AccessDenied": 403,
    "AccessForbidden": 403,
    "BadDigest": 400,
    "BucketAlreadyExists": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "InternalError": 500,
    "InvalidArgument": 400,
    "InvalidBucketName": 400,
    "InvalidObjectName": 400,
    "InvalidPart": 400,
    "InvalidPolicyDocument": 400,
    "MalformedPOSTRequest": 400,
    "MalformedXML": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "QuotaExceeded": 403,  # Ceph's
    "RequestTimeTooSkewed": 403,
    "RequestTimeout": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "TooManyBuckets": 400,
    "XAmzContentSHA256Mismatch": 400,
}

# (method, where) → (a query parameter, or "" for none of the others) → operation
_TABLE: dict[tuple[str, str], dict[str, str]] = {
    ("GET", "root"): {"": "ListBuckets"},
    ("PUT", "bucket"): {"tagging": "PutBucketTagging", "cors": "PutBucketCors", "": "CreateBucket"},
    ("HEAD", "bucket"): {"": "HeadBucket"},
    ("DELETE", "bucket"): {"cors": "DeleteBucketCors", "": "DeleteBucket"},
    ("POST", "bucket"): {"delete": "DeleteObjects", "": "PostObject"},
    ("GET", "bucket"): {
        "versions": "ListObjectVersions",
        "versioning": "GetBucketVersioning",
        "uploads": "ListMultipartUploads",
        "location": "GetBucketLocation",
        "acl": "GetBucketAcl",
        "tagging": "GetBucketTagging",
        "cors": "GetBucketCors",
        "list-type": "ListObjectsV2",
        "": "ListObjects",
    },
    ("OPTIONS", "bucket"): {"": "Preflight"},
    ("OPTIONS", "key"): {"": "Preflight"},
    ("HEAD", "key"): {"": "HeadObject"},
    ("GET", "key"): {"uploadId": "ListParts", "acl": "GetObjectAcl", "": "GetObject"},
    ("PUT", "key"): {"partNumber": "UploadPart", "": "PutObject"},
    ("POST", "key"): {"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload"},
    ("DELETE", "key"): {"uploadId": "AbortMultipartUpload", "": "DeleteObject"},
}

# Parameters of the signature, not of the operation.
WHO = {"AWSAccessKeyId", "Signature", "Expires", "x-id"}


@dataclass(frozen=True)
class Asked:
    """A request: the operation's name, what it is about, and the parameters."""

    method: str
    name: str
    bucket: str
    key: str
    query: Mapping[str, list[str]]

    def first(self, parameter: str) -> str:
        return self.query.get(parameter, [""])[0]

    def has_only(self, parameters: Container[str]) -> bool:
        """Whether it has no other parameters than these and those that say who asks."""
        return all(name in parameters or name in WHO or name.startswith("X-Amz-") for name in self.query)

    @property
    def makes_bucket(self) -> bool:
        """Whether it is that, and not one of the many settings that a bucket can have."""
        return self.name == "CreateBucket" and self.has_only(())


def bucket_of_host(environ: Mapping[str, Any]) -> str:
    """The bucket in the host's name, as in `bucket.localhost` (§4.1); empty when there is none."""
    host = str(environ.get("HTTP_HOST", "")).partition(":")[0]
    return host.removesuffix(".localhost") if host.endswith(".localhost") else ""


def read(environ: Mapping[str, Any]) -> Asked:
    method = environ["REQUEST_METHOD"]
    bucket, _, key = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace").lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    name = operation(method, bucket, key, query, "HTTP_X_AMZ_COPY_SOURCE" in environ)
    return Asked(method, name, bucket, key, query)


def operation(method: str, bucket: str, key: str, query: Container[str], is_copy: bool = False) -> str:
    """The operation's name; `Other` for what no client of Qarnot sends."""
    names = _TABLE.get((method, "key" if key else "bucket" if bucket else "root"), {"": "Other"})
    name = next((name for parameter, name in names.items() if parameter and parameter in query), names.get("", "Other"))
    return "CopyObject" if is_copy and name == "PutObject" else name


def routes() -> list[tuple[str, str]]:
    """All of them, as (method, route)."""
    found = [(method, f"s3:{name}") for (method, _), names in _TABLE.items() for name in names.values()]
    return [*found, ("PUT", "s3:CopyObject")]
