"""Lists of a bucket's objects, in pages, as S3 has them.

moto's own repeat all common prefixes on each page of the older list, break at names with control characters, and give
out tokens for pages that it never forgets.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3.models import FakeDeleteMarker

from run_qarnot.cluster.s3_operations import Asked

_LARGEST = 1000
_OWNER = [("ID", "local"), ("DisplayName", "local")]
_TOKEN = "after:"  # noqa: S105 - a page's beginning, no secret
_Fields = list[tuple[str, Any]]
_NO_XML = re.compile(r"[\x00-\x1f\x7f]")


def listing(backend: Any, asked: Asked) -> bytes:
    """The answer to ListObjects, ListObjectsV2 or ListObjectVersions on a bucket that there is."""
    kind, make = _KINDS[asked.name]
    body = _element(kind, make(backend, asked), ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode("utf-8", "replace")


def _objects(backend: Any, asked: Asked) -> _Fields:
    after = asked.first("marker")
    entries, last = _page(backend, asked, after)
    following = [("NextMarker", _spelling(asked)(last))] if last else []
    return [*_head(asked), ("Marker", _spelling(asked)(after)), *following, *_body(asked, entries, last)]


def _objects_v2(backend: Any, asked: Asked) -> _Fields:
    token, start = asked.first("continuation-token"), asked.first("start-after")
    entries, last = _page(backend, asked, _from_token(token) if token else start)
    more: _Fields = [("KeyCount", len(entries))]
    more += [("ContinuationToken", token)] if token else []
    more += [("StartAfter", _spelling(asked)(start))] if start else []
    more += [("NextContinuationToken", _to_token(last))] if last else []
    return [*_head(asked), *more, *_body(asked, entries, last)]


def _page(backend: Any, asked: Asked, after: str) -> tuple[dict[str, Any], str]:
    """moto's records by name, None for common prefixes; and where the next page begins, if there is one."""
    keys, prefix, delimiter = backend.get_bucket(asked.bucket).keys, asked.first("prefix"), asked.first("delimiter")
    names = sorted(name for name, key in keys.items() if name.startswith(prefix) and _is_there(key))
    entries: dict[str, Any] = {}
    for name in names[bisect_right(names, after) :]:
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        entry = name if end < 0 else name[: end + len(delimiter)]
        if entry == after or entry in entries:
            continue
        if len(entries) == _limit(asked):
            return entries, next(reversed(entries), "")
        entries[entry] = keys.get(name) if end < 0 else None
    return entries, ""


def _is_there(key: Any) -> bool:
    return not isinstance(key, FakeDeleteMarker)


def _versions(backend: Any, asked: Asked) -> _Fields:
    """What versions there are, moto knows."""
    marker, version = asked.first("key-marker"), asked.first("version-id-marker")
    delimiter = asked.first("delimiter") or None
    versions, prefixes, deleted, last, last_version = backend.list_object_versions(
        asked.bucket, delimiter, marker or None, _limit(asked), asked.first("prefix"), version or None
    )
    spelt = _spelling(asked)
    following = [("NextKeyMarker", spelt(last)), ("NextVersionIdMarker", last_version)] if last is not None else []
    return [
        *_head(asked),
        ("KeyMarker", spelt(marker)),
        ("VersionIdMarker", version),
        *following,
        ("IsTruncated", last is not None),
        *(("Version", [*_version(key, spelt), *_content(key)]) for key in versions),
        *(("DeleteMarker", _version(key, spelt)) for key in deleted),
        *(("CommonPrefixes", [("Prefix", spelt(name))]) for name in prefixes),
    ]


def _version(key: Any, spelt: Callable[[str], str]) -> _Fields:
    about = [("Key", spelt(key.name)), ("VersionId", key.version_id or "null")]
    return [*about, ("IsLatest", getattr(key, "is_latest", False)), ("Owner", _OWNER)]


def _head(asked: Asked) -> _Fields:
    spelt, delimiter = _spelling(asked), asked.first("delimiter")
    fields: _Fields = [("Name", asked.bucket), ("Prefix", spelt(asked.first("prefix"))), ("MaxKeys", _limit(asked))]
    fields += [("Delimiter", spelt(delimiter))] if delimiter else []
    return fields + ([("EncodingType", "url")] if asked.first("encoding-type") == "url" else [])


def _body(asked: Asked, entries: dict[str, Any], last: str) -> _Fields:
    spelt = _spelling(asked)
    has_owner = asked.name == "ListObjects" or asked.first("fetch-owner") == "true"
    owner = [("Owner", _OWNER)] if has_owner else []
    found = [(spelt(name), key) for name, key in entries.items()]
    return [
        ("IsTruncated", bool(last)),
        *(("Contents", [("Key", name), *_content(key), *owner]) for name, key in found if key),
        *(("CommonPrefixes", [("Prefix", name)]) for name, key in found if not key),
    ]


def _content(key: Any) -> _Fields:
    return [
        ("LastModified", key.last_modified_ISO8601),
        ("ETag", key.etag),
        ("Size", key.size),
        ("StorageClass", key.storage_class),
    ]


def _limit(asked: Asked) -> int:
    return min(int(asked.first("max-keys") or _LARGEST), _LARGEST)


def _spelling(asked: Asked) -> Callable[[str], str]:
    """How the client wants names: as in an address, or as they are."""
    return quote if asked.first("encoding-type") == "url" else str


def _to_token(name: str) -> str:
    return base64.urlsafe_b64encode(f"{_TOKEN}{name}".encode()).decode()


def _from_token(token: str) -> str:
    name = base64.b64decode(token, b"-_", validate=True).decode()
    if not name.startswith(_TOKEN):
        raise ValueError("This is no token of ours")
    return name.removeprefix(_TOKEN)


def _element(tag: str, value: Any, attributes: str = "") -> str:
    if isinstance(value, list):
        return f"<{tag}{attributes}>{_elements(value)}</{tag}>"
    text = str(value).lower() if isinstance(value, bool) else _text(str(value))
    return f"<{tag}>{text}</{tag}>"


def _elements(fields: Iterable[tuple[str, Any]]) -> str:
    return "".join(_element(tag, value) for tag, value in fields)


def _text(text: str) -> str:
    return _NO_XML.sub(lambda found: f"&#{ord(found[0])};", escape(text))


_KINDS: dict[str, tuple[str, Callable[[Any, Asked], _Fields]]] = {
    "ListObjects": ("ListBucketResult", _objects),
    "ListObjectsV2": ("ListBucketResult", _objects_v2),
    "ListObjectVersions": ("ListVersionsResult", _versions),
}
_PARAMETERS = set(
    """prefix delimiter marker max-keys encoding-type list-type continuation-token start-after fetch-owner versions
    key-marker version-id-marker""".split()
)


def is_list(asked: Asked) -> bool:
    """Whether it is one of ours: there are many other things that can be asked of a bucket."""
    return asked.name in _KINDS and asked.has_only(_PARAMETERS)
