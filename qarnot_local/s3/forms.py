"""Objects that a browser sends by a form (PostObject), with a policy that says what may be sent.

The policy is signed with the token; a user of the form needs no token. A form that complies with its policy is handled
as the equivalent PutObject.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from qarnot_local.s3.signatures import is_policy_signed

_FIELDS_BYTES = 20_000  # as S3 limits all that comes before the file
_BUFFER_BYTES = 1 << 20
_CHUNK = 1 << 16
_SIZE = "content-length-range"
_FREE = {"bucket", "file", "policy", "signature", "awsaccesskeyid", "x-amz-signature"}  # the policy need not name these
_HEADERS = {"cache-control", "content-disposition", "content-encoding", "content-type", "expires"}


class FormError(Exception):
    """The form is refused. `code` is S3's name of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class PostForm:
    """What was posted: the fields by their names in small letters, and how long the file is."""

    bucket: str
    fields: Mapping[str, str]
    size: int

    @property
    def key(self) -> str:
        return self.fields["key"]

    def is_signed(self, access_key: str, secret: str) -> bool:
        return is_policy_signed(self.fields, access_key, secret)

    def check(self) -> None:
        """Raise FormError unless the form complies with its policy, whose signature was verified."""
        expiration, conditions = _policy(self.fields["policy"])
        if expiration < datetime.now(UTC):
            raise FormError("AccessDenied", "Invalid according to Policy: Policy expired.")
        for operator, name, wanted in conditions:
            given = self.bucket if name == "bucket" else self.fields.get(name, "")
            if operator == _SIZE:
                self._check_size(*wanted)
            elif not (given == wanted or (operator == "starts-with" and given.startswith(wanted))):
                said = json.dumps([operator, f"${name}", wanted])
                raise FormError("AccessDenied", f"Invalid according to Policy: Policy Condition failed: {said}")
        named = {name for _, name, _ in conditions} | _FREE
        extra = [name for name in self.fields if name not in named and not name.startswith("x-ignore-")]
        if extra:
            raise FormError("AccessDenied", f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")

    def _check_size(self, least: int, most: int) -> None:
        if self.size < least:
            raise FormError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        if self.size > most:
            raise FormError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")

    def as_put(self, environ: Mapping[str, Any], file: IO[bytes]) -> dict[str, Any]:
        """The request that would put the same object, with what was read of the file."""
        own = {name: value for name, value in environ.items() if not name.startswith(("HTTP_X_AMZ_", "HTTP_CONTENT_"))}
        for name in ("HTTP_AUTHORIZATION", "HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
            own.pop(name, None)
        path = f"/{self.bucket}/{self.key}".encode("utf-8", "replace")
        own |= {"REQUEST_METHOD": "PUT", "PATH_INFO": path.decode("latin-1"), "QUERY_STRING": ""}
        own |= dict.fromkeys(("RAW_URI", "REQUEST_URI"), quote(path))
        own |= {"wsgi.input": file, "CONTENT_LENGTH": str(self.size)}
        for name, value in self.fields.items():
            if name in _HEADERS or name.startswith(("x-amz-meta-", "x-amz-storage-class")):
                own[f"HTTP_{name.upper().replace('-', '_')}"] = " ".join(value.split())
        own["CONTENT_TYPE"] = own.pop("HTTP_CONTENT_TYPE", "binary/octet-stream")
        return own

    def answer(self, etag: str, root: str) -> tuple[str, list[tuple[str, str]], bytes]:
        """The answer that the form asks for: 204 unless it says otherwise."""
        place = f"{root}/{quote(f'{self.bucket}/{self.key}')}"
        headers = [("ETag", etag), ("Location", place)]
        target = self.fields.get("success_action_redirect") or self.fields.get("redirect") or ""
        if _is_address(target):
            more = urlencode({"bucket": self.bucket, "key": self.key, "etag": etag})
            headers[1] = ("Location", f"{target}{'&' if urlsplit(target).query else '?'}{more}")
            return "303 See Other", headers, b""
        match self.fields.get("success_action_status"):
            case "200":
                return "200 OK", headers, b""
            case "201":
                about = {"Location": place, "Bucket": self.bucket, "Key": self.key, "ETag": etag}
                said = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in about.items())
                body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{said}</PostResponse>'
                return "201 Created", [*headers, ("Content-Type", "application/xml")], body.encode()
        return "204 No Content", headers, b""


def read_form(environ: Mapping[str, Any], bucket: str, file: IO[bytes]) -> PostForm:
    """Read the fields, and the file into `file`, which is rewound. Raises FormError when it is no such form."""
    kind, options = parse_options_header(environ.get("CONTENT_TYPE"))
    boundary = options.get("boundary", "") if kind == "multipart/form-data" else ""
    fields: dict[str, str] = {}
    try:
        _read_parts(_events(boundary.encode("latin-1"), environ["wsgi.input"]), fields, file)
    except (AttributeError, ValueError, RequestEntityTooLarge) as error:
        raise FormError("MalformedPOSTRequest", "The body is not well-formed multipart/form-data.") from error
    if "file" not in fields:
        raise FormError("InvalidArgument", "POST requires exactly one file upload per request.")
    if not fields.get("key"):
        raise FormError("InvalidArgument", "Bucket POST must contain a field named 'key'.")
    if not fields.get("policy"):
        raise FormError("AccessDenied", "A form needs a policy, and its signature.")
    fields["key"] = fields["key"].replace("${filename}", fields["file"])
    size = file.tell()
    file.seek(0)
    return PostForm(bucket, fields, size)


def _read_parts(events: Iterable[Event], fields: dict[str, str], file: IO[bytes]) -> None:
    name = ""
    length = 0
    for event in events:
        if isinstance(event, Field | File):
            name = event.name.lower()
            fields[name] = event.filename.rpartition("/")[2] if isinstance(event, File) else ""
        elif isinstance(event, Data) and name == "file":
            file.write(event.data)
            if not event.more_data:
                return  # what comes after the file is ignored, as S3 does
        elif isinstance(event, Data):
            length += len(event.data)
            if length > _FIELDS_BYTES:
                raise ValueError("The fields before the file are too long")
            fields[name] += event.data.decode()


def _events(boundary: bytes, stream: IO[bytes]) -> Iterator[Event]:
    """Parse a form while it arrives. Raises ValueError when it is malformed or incomplete."""
    if not boundary:
        raise ValueError("No boundary is named")
    decoder = MultipartDecoder(boundary, _BUFFER_BYTES)
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, NeedData):
            decoder.receive_data(stream.read(_CHUNK) or None)
        else:
            yield event


def _policy(text: str) -> tuple[datetime, list[tuple[str, str, Any]]]:
    """When it ends, and its conditions: (`eq` or `starts-with`, field, value) or (`content-length-range`, "", span)."""
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
        expiration = datetime.fromisoformat(policy["expiration"])
        conditions = [each for condition in policy["conditions"] for each in _conditions(condition)]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise FormError("InvalidPolicyDocument", f"Invalid Policy: {error}") from error
    if expiration.tzinfo is None:
        raise FormError("InvalidPolicyDocument", "Invalid Policy: Invalid 'expiration' value.")
    return expiration, conditions


def _conditions(condition: Any) -> list[tuple[str, str, Any]]:
    if isinstance(condition, dict):
        return [("eq", name.lower(), str(value)) for name, value in condition.items()]
    operator, first, second = condition
    if operator.lower() == _SIZE:
        return [(_SIZE, "", (int(first), int(second)))]
    if operator.lower() not in {"eq", "starts-with"} or not first.startswith("$"):
        raise ValueError(f"{operator!r} on {first!r} is no condition.")
    return [(operator.lower(), first[1:].lower(), str(second))]


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        return urlsplit(text).scheme in {"http", "https"} and text.isprintable()
    return False
