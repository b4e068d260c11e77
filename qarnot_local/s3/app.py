"""The S3 application around moto's: signatures, quotas, answers in which moto differs from a Ceph gateway, disk."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, unquote
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError

from moto.moto_server import werkzeug_app
from moto.moto_server.utilities import RegexConverter
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import get_canned_acl

from qarnot_local.access import Access
from qarnot_local.control.faults import Fault
from qarnot_local.s3 import operations
from qarnot_local.s3.cors import CorsRule, by_rules, preflight
from qarnot_local.s3.disk import Disk
from qarnot_local.s3.forms import FormError, read_form
from qarnot_local.s3.listing import is_list
from qarnot_local.s3.operations import Asked
from qarnot_local.s3.parts import LARGE, Parts, etag_of_parts
from qarnot_local.s3.payload import CutShortError, DigestError, Payload
from qarnot_local.s3.read import read_object
from qarnot_local.s3.requests import broken, complaint
from qarnot_local.s3.server import CutError
from qarnot_local.s3.signatures import is_signed, time_of
from qarnot_local.s3.xml import as_references, document

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]
# What moto is told: who asks was looked at here, in any form and for any region (§0.9), and moto has other ideas of it.
_LET_IN = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_WRITES = {"PutObject", "CopyObject", "UploadPart"}
_NO_UPLOAD = {
    "UploadPart": "NoSuchUpload",
    "AbortMultipartUpload": "NoSuchUpload",
    "ListParts": "NoSuchKey",
    "CompleteMultipartUpload": "InternalError",  # with the message that one is in progress
}
_REPEAT_NAMES = {"CreateMultipartUpload", "CompleteMultipartUpload", "ListParts"}
_LOCATION = re.compile(rb"<Location>[^<]*</Location>")
_ETAG = re.compile(rb"<ETag>[^<]*</ETag>")
_NULL_VERSION = re.compile(r"(^|[?&])versionId=null(?:&|$)")
_SPAN = re.compile(r"bytes=(\d+)-(\d+)")
_BREAKS = (ArithmeticError, AssertionError, AttributeError, ExpatError, LookupError, TypeError, ValueError)
_log = logging.getLogger(__name__)


class _AnyCharacter(RegexConverter):
    """Replaces moto's own converter, whose paths end at a line feed. A key may hold one."""

    def __init__(self, url_map: Any, *items: Any) -> None:
        super().__init__(url_map, *items)
        self.regex = f"(?s:{self.regex})"


werkzeug_app.RegexConverter = _AnyCharacter  # type: ignore[attr-defined]  # it is imported there


class _Stock(Protocol):
    """What the application uses of the storage."""

    def find(self, bucket: str, key: str) -> Any: ...

    def cors_of(self, bucket: str) -> list[CorsRule]: ...

    def upload(self, bucket: str, name: str) -> Any: ...

    def has_bucket(self, name: str) -> bool: ...

    def is_foreign(self, bucket: str) -> bool: ...

    def has_room(self, size: int) -> bool: ...

    def has_versions(self, bucket: str) -> bool: ...

    def may_have_another_bucket(self) -> bool: ...

    def make_bucket(self, name: str) -> None: ...

    def listing(self, asked: Asked) -> bytes: ...

    def delete(self, bucket: str, body: bytes) -> bytes | None: ...

    def note_uploads(self, bucket: str) -> None: ...

    def usage_of(self, bucket: str) -> tuple[int, int]: ...


@dataclass(frozen=True)
class Request:
    """What is known of a request before it is answered.

    Arguments:
        is_known: it is signed with the account's token. Forms are signed in another way.
        rules: of the bucket, for pages of other origins.
    """

    asked: Asked
    is_known: bool
    rules: list[CorsRule]


class StorageApp:
    """A WSGI application around moto's."""

    def __init__(self, stock: _Stock, account: str, access: Access, disk: Disk | None, parts: Parts) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._stock = stock
        self._account = account
        self._access = access
        self._disk = disk
        self._parts = parts

    def read(self, environ: _Environ) -> Request:
        """Read who asks for what. A bucket in the host's name is moved into the path of `environ`."""
        is_known = is_signed(environ, self._access.email, self._access.token) and not self._access.is_expired
        _into_path(environ)
        asked = operations.read(environ)
        return Request(asked, is_known, self._stock.cors_of(asked.bucket))

    def answer(self, request: Request, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """Answer a request, as WSGI has it."""
        asked, begin = request.asked, by_rules(request.rules, environ, start_response)
        if asked.method == "OPTIONS":
            return _answer_preflight(request.rules, environ, start_response)
        if asked.name == "PostObject":  # signed in another way
            return self._posted(environ, begin, asked.bucket)
        if not request.is_known:
            return _refuse(begin, 403, "SignatureDoesNotMatch")
        if self._access.is_skewed(time_of(environ)):
            return _refuse(begin, 403, "RequestTimeTooSkewed")
        if self._stock.is_foreign(asked.bucket) and not asked.makes_bucket:
            return _refuse(begin, 403, "AccessDenied")
        if refusal := complaint(asked, environ) or self._full(asked, environ) or self._missing(asked):
            return _refuse(begin, operations.STATUSES[refusal], refusal)
        return self._serve(environ, begin, asked)

    def refuse(
        self, request: Request, fault: Fault, environ: _Environ, start_response: _StartResponse
    ) -> Iterable[bytes]:
        """Answer with the status of a scripted fault."""
        begin = by_rules(request.rules, environ, start_response)
        return _refuse(begin, fault.status or 500, fault.code or "InternalError", fault.headers, fault.body)

    def _posted(self, environ: _Environ, start_response: _StartResponse, bucket: str) -> Iterable[bytes]:
        """Serve what a form stands for: an object is put."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        with self._parts.scratch() as file:
            try:
                form = read_form(environ, bucket, file)
                if self._access.is_expired or not form.is_signed(self._access.email, self._access.token):
                    return _refuse(start_response, 403, "SignatureDoesNotMatch")
                form.check()
            except FormError as error:
                return _refuse(start_response, operations.STATUSES[error.code], error.code, message=str(error))
            put = form.as_put(environ, file)
            asked = operations.read(put)
            if refusal := complaint(asked, put) or self._full(asked, put):
                return _refuse(start_response, operations.STATUSES[refusal], refusal)
            response = self._serve(put, lambda status, headers, *_: begun.append((status, headers)), asked)
        status, headers = begun[-1]
        if not status.startswith("200"):
            start_response(status, headers)
            return response
        etag = next(value for name, value in headers if name.lower() == "etag")
        status, headers, body = form.answer(etag, _place(environ))
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _serve(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> Iterable[bytes]:
        """Answer. An exception of moto means a malformed request; moto answers other errors itself."""
        if not self._stock.has_versions(asked.bucket):
            start_response = _only_version(environ, start_response)
        try:
            own = self._own_answer(environ, start_response, asked)
            response = own or self._by_moto(environ, start_response, asked)
        except CutShortError:
            raise CutError from None
        except DigestError as error:
            return _refuse(start_response, operations.STATUSES[error.code], error.code)
        except _BREAKS:
            _log.debug("The storage broke at %s", asked.name, exc_info=True)
            code = broken(asked)
            return _refuse(start_response, operations.STATUSES[code], code)
        if self._disk and asked.method in {"PUT", "POST", "DELETE"}:
            self._disk.follow(asked.bucket, asked.key)
        return response

    def _own_answer(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> Iterable[bytes] | None:
        """Answer where moto differs from S3 or needs too much memory. None when moto should answer."""
        if asked.bucket == "moto-api":  # moto's own remote control is none of S3
            return _refuse(start_response, 404, "NoSuchBucket")
        if asked.makes_bucket and self._stock.is_foreign(asked.bucket):
            return _refuse(start_response, 409, "BucketAlreadyExists")
        if asked.makes_bucket:  # in any region, §4.1; one's own again too
            self._stock.make_bucket(asked.bucket)
            start_response("200 OK", [("Location", f"/{asked.bucket}"), ("Content-Length", "0")])
            return [b""]
        if is_list(asked) and self._stock.has_bucket(asked.bucket):
            return _tell(start_response, self._stock.listing(asked))
        is_completed = asked.name == "CompleteMultipartUpload" and self._stock.has_bucket(asked.bucket)
        if is_completed and self._stock.upload(asked.bucket, asked.first("uploadId")) is None:
            return self._completed_again(environ, start_response, asked)
        if asked.name == "DeleteObjects" and self._stock.has_bucket(asked.bucket):
            deleted = self._stock.delete(asked.bucket, Payload(environ).whole())
            return _tell(start_response, deleted) if deleted else _refuse(start_response, 400, "MalformedXML")
        if asked.key and (stored := self._stock.find(asked.bucket, asked.key)):
            if stored.acl is None:  # moto sets none for objects made of parts or by a task, and fails without
                stored.set_acl(get_canned_acl("private"))
            return read_object(environ, stored, start_response)
        return None

    def _by_moto(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> Iterable[bytes]:
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account
        environ["HTTP_AUTHORIZATION"] = _LET_IN
        if asked.name == "HeadBucket":
            start_response = self._with_usage(asked.bucket, start_response)
        payload = Payload(environ)
        if _is_large_object(environ):
            return self._in_one_piece(environ, payload, start_response, asked)
        if payload.must_be_read:
            environ["wsgi.input"] = io.BytesIO(payload.whole())
        if asked.name == "CompleteMultipartUpload":
            environ.pop("HTTP_IF_NONE_MATCH", None)  # which a Ceph gateway ignores
        if asked.name in _REPEAT_NAMES:
            return self._as_the_gateway(environ, start_response, asked)
        return self._in_parts(environ, start_response, asked)

    def _as_the_gateway(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> Iterable[bytes]:
        """moto's answer about a multipart upload, in the form of a Ceph gateway: a completed upload has no ETag."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        response = self._in_parts(environ, lambda status, headers, *_: begun.append((status, headers)), asked)
        body = as_references(b"".join(response))
        if asked.name == "CompleteMultipartUpload":
            body = _ETAG.sub(b"<ETag></ETag>", body)
        place = f"<Location>{escape(_place(environ))}/{quote(f'{asked.bucket}/{asked.key}')}</Location>"
        body = _LOCATION.sub(place.encode(), body)
        status, headers = begun[-1]
        others = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*others, ("Content-Length", str(len(body)))])
        self._stock.note_uploads(asked.bucket)
        return [body]

    def _with_usage(self, bucket: str, start_response: _StartResponse) -> _StartResponse:
        """Add the headers with the usage of a bucket that Ceph sends and C# reads (§4.1)."""
        count, size = self._stock.usage_of(bucket)
        more = [("X-RGW-Object-Count", str(count)), ("X-RGW-Bytes-Used", str(size))]
        return lambda status, headers, *rest: start_response(
            status, [*headers, *(more if status.startswith("200") else [])], *rest
        )

    def _in_parts(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> Iterable[bytes]:
        """moto's answer; of an upload in parts, the parts and the whole are kept in files."""
        upload = self._stock.upload(asked.bucket, asked.first("uploadId"))
        if upload is None or asked.method not in {"PUT", "POST"}:
            untouched: Iterable[bytes] = self._moto(environ, start_response)
            return untouched
        joined = self._parts.prepare(upload)
        response: Iterable[bytes] = self._moto(environ, start_response)
        if joined:
            self._parts.finish(self._stock.find(asked.bucket, asked.key), joined, upload)
        else:
            self._parts.put_away(upload, int(asked.first("partNumber") or 0))
        return response

    def _in_one_piece(
        self, environ: _Environ, payload: Payload, start_response: _StartResponse, asked: Asked
    ) -> Iterable[bytes]:
        """moto's answer; what was put is kept in a file, and moto gets nothing of it but its length and ETag."""
        content = self._parts.receive(payload, payload.length)
        stored = False

        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal stored
            stored = status.startswith("200")
            kept = [(name, value) for name, value in headers if not stored or name.lower() != "etag"]
            return start_response(status, [*kept, *([("ETag", f'"{content.md5}"')] if stored else [])], *more)

        try:
            payload.check()
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(), "0"
            response: Iterable[bytes] = self._moto(environ, begin)
        finally:
            if not stored:
                content.path.unlink()
        if stored:
            found = self._stock.find(asked.bucket, asked.key)
            found._etag = content.md5
            content.put_into(found)
        return response

    def _missing(self, asked: Asked) -> str | None:
        """The error code when the request names an unknown multipart upload."""
        is_there = self._stock.upload(asked.bucket, asked.first("uploadId")) is not None
        is_answered = asked.name == "CompleteMultipartUpload"  # by `_completed_again`
        if is_there or is_answered or not self._stock.has_bucket(asked.bucket):
            return None
        return _NO_UPLOAD.get(asked.name)

    def _completed_again(self, environ: _Environ, start_response: _StartResponse, asked: Asked) -> list[bytes]:
        """Answer to the completion of an upload that there is not (any more), as a Ceph gateway does.

        It is a success if the object is the one that these parts make: then the first answer was lost.
        """
        try:
            etag = etag_of_parts(Payload(environ).whole())
        except ParseError:
            return _refuse(start_response, 400, "MalformedXML")
        stored = self._stock.find(asked.bucket, asked.key)
        if stored is None or stored.etag.strip('"') != etag:
            message = "This multipart completion is already in progress"
            return _refuse(start_response, 500, "InternalError", message=message)
        fields = [("Bucket", asked.bucket), ("Key", asked.key), ("ETag", etag)]
        return _tell(start_response, document("CompleteMultipartUploadResult", fields))

    def _full(self, asked: Asked, environ: _Environ) -> str | None:
        """The error code when a quota is exceeded."""
        if asked.makes_bucket and not self._stock.may_have_another_bucket():  # one's own, too
            return "TooManyBuckets"
        size = int(environ.get("HTTP_X_AMZ_DECODED_CONTENT_LENGTH") or environ.get("CONTENT_LENGTH") or 0)
        size += self._copied(environ)
        return "QuotaExceeded" if asked.name in _WRITES and size and not self._stock.has_room(size) else None

    def _copied(self, environ: _Environ) -> int:
        """How many bytes are to be copied from another object."""
        source = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "").partition("?")[0]).lstrip("/")
        bucket, _, key = source.partition("/")
        stored = self._stock.find(bucket, key)
        span = _SPAN.fullmatch(environ.get("HTTP_X_AMZ_COPY_SOURCE_RANGE", ""))
        return int(span[2]) - int(span[1]) + 1 if span else stored.size if stored else 0


def _answer_preflight(rules: list[CorsRule], environ: _Environ, start_response: _StartResponse) -> list[bytes]:
    """Answer a CORS preflight. It needs no signature."""
    headers = preflight(rules, environ)
    if headers is None:
        return _refuse(start_response, operations.STATUSES["AccessForbidden"], "AccessForbidden")
    start_response("200 OK", [*headers, ("Content-Length", "0")])
    return [b""]


def _place(environ: _Environ) -> str:
    """The address of the storage as the client wrote it."""
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}"


def _tell(start_response: _StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _is_large_object(environ: _Environ) -> bool:
    """Whether the request uploads a large object in one piece."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return (
        environ["REQUEST_METHOD"] == "PUT"
        and int(environ.get("CONTENT_LENGTH") or 0) > LARGE
        and not {"partNumber", "uploadId"} & query.keys()
        and "HTTP_X_AMZ_COPY_SOURCE" not in environ
    )


def _into_path(environ: _Environ) -> None:
    """`bucket.localhost/key` becomes `/bucket/key`: some clients have the bucket in the host's name (§4.1)."""
    bucket = operations.bucket_of_host(environ)
    if not bucket:
        return
    _, colon, port = environ["HTTP_HOST"].partition(":")
    environ["HTTP_HOST"] = f"127.0.0.1{colon}{port}"
    environ["PATH_INFO"] = f"/{bucket}{environ['PATH_INFO']}"
    for name in ("RAW_URI", "REQUEST_URI"):
        if environ.get(name, "").startswith("/"):
            environ[name] = f"/{bucket}{environ[name]}"


def _only_version(environ: _Environ, start_response: _StartResponse) -> _StartResponse:
    """In a bucket without versions, the only version is `null`: it may be asked for, but is not answered."""
    for name in ("QUERY_STRING", "RAW_URI", "REQUEST_URI"):
        if "versionId=null" in environ.get(name, ""):
            environ[name] = _NULL_VERSION.sub(r"\1", environ[name]).rstrip("?&")

    def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        others = [(name, value) for name, value in headers if (name.lower(), value) != ("x-amz-version-id", "null")]
        return start_response(status, others, *more)

    return begin


def _refuse(
    start_response: _StartResponse,
    status: int,
    code: str,
    headers: dict[str, str] | None = None,
    text: Any = None,
    message: str = "",
) -> list[bytes]:
    said = escape(message or code)
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{said}</Message></Error>".encode()
    body = str(text).encode() if text is not None else body
    own = [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), *(headers or {}).items()]
    start_response(f"{status} {code}", own)
    return [body]
