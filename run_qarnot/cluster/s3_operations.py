"""What an S3 request asks for, by the name that AWS gives it; and the statuses of errors."""

from __future__ import annotations

from collections.abc import Container

STATUSES = {
    "AccessDenied": 403,
    "AccessForbidden": 403,
    "InternalError": 500,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "QuotaExceeded": 403,  # Ceph's
    "RequestTimeTooSkewed": 403,
    "RequestTimeout": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "TooManyBuckets": 400,
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
    ("POST", "key"): {"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload", "": "PostObject"},
    ("DELETE", "key"): {"uploadId": "AbortMultipartUpload", "": "DeleteObject"},
}


def operation(method: str, bucket: str, key: str, query: Container[str], is_copy: bool = False) -> str:
    """The operation's name; `Other` for what no client of Qarnot sends."""
    names = _TABLE.get((method, "key" if key else "bucket" if bucket else "root"), {"": "Other"})
    name = next((name for parameter, name in names.items() if parameter and parameter in query), names[""])
    return "CopyObject" if is_copy and name == "PutObject" else name


def routes() -> list[tuple[str, str]]:
    """All of them, as (method, route)."""
    found = [(method, f"s3:{name}") for (method, _), names in _TABLE.items() for name in names.values()]
    return [*found, ("PUT", "s3:CopyObject")]
