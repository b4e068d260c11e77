"""Checks of S3 requests on which moto would fail; errors have S3's own codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from qarnot_local.s3.operations import Asked

# Operations whose body is XML: what cannot be read there is MalformedXML, elsewhere InvalidArgument.
_XML = {"CompleteMultipartUpload", "DeleteObjects", "PutBucketTagging", "PutBucketCors"}
_NUMBERS = ("max-keys", "max-uploads", "max-parts", "part-number-marker", "partNumber")
_MAX_PARTS = 10_000
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_BUCKET = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_KEY = 1024
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def complaint(asked: Asked, environ: Mapping[str, Any]) -> str | None:
    """The error's name, or None when nothing is wrong."""
    numbers = [asked.first(name) for name in _NUMBERS if asked.first(name)]
    sizes = [environ["HTTP_X_AMZ_DECODED_CONTENT_LENGTH"]] if "HTTP_X_AMZ_DECODED_CONTENT_LENGTH" in environ else []
    source = environ.get("HTTP_X_AMZ_COPY_SOURCE", "x/x").lstrip("/")
    if asked.name == "Other":
        return "MethodNotAllowed"
    if asked.makes_bucket and not _may_be_bucket(asked.bucket):
        return "InvalidBucketName"
    if not all(map(is_number, numbers + sizes)) or int(asked.first("partNumber") or 1) not in range(1, _MAX_PARTS + 1):
        return "InvalidArgument"
    if not all(source.partition("/")):
        return "InvalidArgument"
    return None if _may_be_key(asked.key) else "InvalidObjectName"


def broken(asked: Asked) -> str:
    """The error code when moto failed on a request that passed the checks."""
    return "MalformedXML" if asked.name in _XML else "InvalidArgument"


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _may_be_key(key: str) -> bool:
    return "\0" not in key and len(key.encode("utf-8", "replace")) <= _LONGEST_KEY


def _may_be_bucket(name: str) -> bool:
    """Capitals and underscores pass: buckets of many programs have them, and Qarnot's storage took them once."""
    return 3 <= len(name) <= 63 and bool(_BUCKET.fullmatch(name)) and not _ADDRESS.fullmatch(name)
