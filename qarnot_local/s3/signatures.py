"""Verifies the signatures of storage requests (`reference/qarnot-platform.md` §4.1)

AWS signature version 4 or 2, each in a header or in a presigned address. Version 2 is what boto3 puts into an address
for a custom endpoint unless told otherwise, and what older clients send to a storage that is not Amazon's.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from qarnot_local.s3.operations import bucket_of_host
from qarnot_local.s3.requests import is_number

_Environ = dict[str, Any]
_Pairs = list[tuple[str, str]]

_HEADER = re.compile(r"AWS4-HMAC-SHA256\s+Credential=(.+?),\s*SignedHeaders=(.+?),\s*Signature=([0-9a-f]{64})\s*$")
_HEADER_V2 = re.compile(r"AWS (.+):([A-Za-z0-9+/=]+)")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_LONGEST_SECONDS = 7 * 24 * 3600  # for which an address may be signed by version 4

# The parameters that version 2 signs.
_SIGNED_BY_V2 = set(
    """accelerate acl cors defaultObjectAcl delete lifecycle location logging notification partNumber policy replication
    requestPayment restore storageClass tagging torrent uploadId uploads versionId versioning versions website
    response-cache-control response-content-disposition response-content-encoding response-content-language
    response-content-type response-expires""".split()
)


def is_signed(environ: _Environ, access_key: str, secret: str) -> bool:
    """True when the request was signed with this key and secret, and a presigned address is not too old."""
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    given = dict(query)
    if found := _HEADER.match(environ.get("HTTP_AUTHORIZATION", "")):
        credential, signed, signature = found.groups()
        payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256", _UNSIGNED)
        moment = environ.get("HTTP_X_AMZ_DATE", "")
    elif "X-Amz-Signature" in given:
        credential, signed = given.get("X-Amz-Credential", ""), given.get("X-Amz-SignedHeaders", "")
        signature, payload, moment = given["X-Amz-Signature"], _UNSIGNED, given.get("X-Amz-Date", "")
        query = [pair for pair in query if pair[0] != "X-Amz-Signature"]
        if not _is_fresh(moment, given.get("X-Amz-Expires", "")):
            return False
    else:
        return _is_signed_v2(environ, query, access_key, secret)
    key, *scope = credential.rsplit("/", 4)  # the key is an e-mail address and may hold anything
    if key != access_key or len(scope) != 4:
        return False
    canonical = "\n".join(
        [environ["REQUEST_METHOD"], _path(environ), _query(query), *_headers(environ, signed), "", signed, payload]
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{'/'.join(scope)}\n{digest}"
    return _is_by_v4(text, scope, secret, signature)


def is_policy_signed(fields: Mapping[str, str], access_key: str, secret: str) -> bool:
    """Whether the policy among a form's fields was signed with this key and secret, by version 4 or 2."""
    policy = fields.get("policy", "")
    if "x-amz-signature" in fields:
        key, *scope = fields.get("x-amz-credential", "").rsplit("/", 4)
        is_ours = key == access_key and len(scope) == 4
        return is_ours and _is_by_v4(policy, scope, secret, fields["x-amz-signature"])
    own = base64.b64encode(hmac.digest(secret.encode(), policy.encode("utf-8", "replace"), "sha1"))
    given = fields.get("signature", "").encode("utf-8", "replace")
    return fields.get("awsaccesskeyid") == access_key and hmac.compare_digest(own, given)


def _is_by_v4(text: str, scope: list[str], secret: str, signature: str) -> bool:
    """Whether this is version 4's signature of a text."""
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode("utf-8", "replace"), "sha256")
    own = hmac.digest(key, text.encode("utf-8", "replace"), "sha256").hex()
    return hmac.compare_digest(own.encode(), signature.encode("utf-8", "replace"))


def time_of(environ: _Environ) -> datetime | None:
    """When a request was signed, by the header that says so; presigned addresses have an end instead."""
    try:
        return datetime.strptime(environ.get("HTTP_X_AMZ_DATE", ""), "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _is_signed_v2(environ: _Environ, query: _Pairs, access_key: str, secret: str) -> bool:
    given = dict(query)
    if found := _HEADER_V2.fullmatch(environ.get("HTTP_AUTHORIZATION", "")):
        key, signature = found.groups()
        moment = "" if "HTTP_X_AMZ_DATE" in environ else environ.get("HTTP_DATE", "")
    else:
        key, signature, moment = (given.get(name, "") for name in ("AWSAccessKeyId", "Signature", "Expires"))
        if not is_number(moment) or int(moment) < time.time():
            return False
    if key != access_key:
        return False
    signed = sorted(pair for pair in query if pair[0] in _SIGNED_BY_V2)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in signed)
    own = sorted(
        f"{name[5:].lower().replace('_', '-')}:{str(value).strip()}"
        for name, value in environ.items()
        if name.startswith("HTTP_X_AMZ_")
    )
    head = [environ["REQUEST_METHOD"], environ.get("HTTP_CONTENT_MD5", ""), environ.get("CONTENT_TYPE", ""), moment]
    host_bucket = bucket_of_host(environ)
    path = (f"/{host_bucket}" if host_bucket else "") + _path(environ)
    is_bucket = path.count("/") == 1  # boto3 asks for `/bucket` and signs `/bucket/`
    for resource in (path, f"{path}/") if is_bucket else (path,):
        text = "\n".join([*head, *own, resource + (f"?{parameters}" if parameters else "")])
        right = base64.b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "replace"), "sha1"))
        if hmac.compare_digest(right, signature.encode("utf-8", "replace")):
            return True
    return False


def _is_fresh(moment: str, expires: str) -> bool:
    try:
        start = calendar.timegm(time.strptime(moment, "%Y%m%dT%H%M%SZ"))
        return 0 < int(expires) <= _LONGEST_SECONDS and time.time() < start + int(expires)
    except ValueError:
        return False


def _path(environ: _Environ) -> str:
    """The path as it was sent, encoded as S3 wants it: each byte but the unreserved ones and the slash."""
    raw = (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    plain = unquote_to_bytes(raw) if raw.startswith("/") else environ["PATH_INFO"].encode("latin-1")
    return quote(plain, safe="/-_.~")


def _query(pairs: _Pairs) -> str:
    encoded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _headers(environ: _Environ, signed: str) -> list[str]:
    special = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
    lines = []
    for name in signed.split(";"):
        value = environ.get(special.get(name, "HTTP_" + name.upper().replace("-", "_")), "")
        lines.append(f"{name}:{' '.join(value.split())}")
    return lines
