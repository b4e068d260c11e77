"""Does a request to the storage know the token? (`reference/qarnot-platform.md` §4.1)

Three ways of saying so: AWS signature version 4 in a header, the same in a presigned address, and version 2 in a
presigned address, which is what boto3 makes for a custom endpoint unless told otherwise.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from run_qarnot.cluster.s3_requests import is_number

_Environ = dict[str, Any]
_Pairs = list[tuple[str, str]]

_HEADER = re.compile(r"AWS4-HMAC-SHA256\s+Credential=(.+?),\s*SignedHeaders=(.+?),\s*Signature=([0-9a-f]{64})\s*$")
_UNSIGNED = "UNSIGNED-PAYLOAD"

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
    signing_key = f"AWS4{secret}".encode()
    for part in scope:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    own = hmac.digest(signing_key, text.encode(), "sha256").hex()
    return hmac.compare_digest(own.encode(), signature.encode("utf-8", "replace"))


def time_of(environ: _Environ) -> datetime | None:
    """When a request was signed, by the header that says so; presigned addresses have an end instead."""
    try:
        return datetime.strptime(environ.get("HTTP_X_AMZ_DATE", ""), "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _is_signed_v2(environ: _Environ, query: _Pairs, access_key: str, secret: str) -> bool:
    given = dict(query)
    expires = given.get("Expires", "")
    if given.get("AWSAccessKeyId") != access_key or not is_number(expires) or int(expires) < time.time():
        return False
    signed = sorted(pair for pair in query if pair[0] in _SIGNED_BY_V2)
    parameters = "&".join(f"{name}={value}" if value else name for name, value in signed)
    own = sorted(
        f"{name[5:].lower().replace('_', '-')}:{str(value).strip()}"
        for name, value in environ.items()
        if name.startswith("HTTP_X_AMZ_")
    )
    head = [environ["REQUEST_METHOD"], environ.get("HTTP_CONTENT_MD5", ""), environ.get("CONTENT_TYPE", ""), expires]
    path = _path(environ)
    is_bucket = path.count("/") == 1  # boto3 asks for `/bucket` and signs `/bucket/`
    for resource in (path, f"{path}/") if is_bucket else (path,):
        text = "\n".join([*head, *own, resource + (f"?{parameters}" if parameters else "")])
        signature = base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1"))
        if hmac.compare_digest(signature, given.get("Signature", "").encode()):
            return True
    return False


def _is_fresh(moment: str, expires: str) -> bool:
    try:
        start = calendar.timegm(time.strptime(moment, "%Y%m%dT%H%M%SZ"))
        return time.time() < start + int(expires)
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
