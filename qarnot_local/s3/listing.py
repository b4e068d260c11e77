"""Lists of a bucket's objects and of unfinished uploads, in pages, as S3 has them.

moto's own repeat all common prefixes on each page of the older list, break at names with control characters, and give
out tokens for pages that it never forgets; uploads it lists all at once, each begun in the year 2010.

As on a Ceph gateway, what was asked for (prefix, marker) is repeated as it is, though the client wants names encoded.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from moto.s3.models import FakeDeleteMarker

from qarnot_local.s3.operations import Asked
from qarnot_local.s3.xml import Fields, document

_LARGEST = 1000
_OWNER = [("ID", "local"), ("DisplayName", "local")]
_TOKEN = "after:"  # noqa: S105 - a page's beginning, no secret


def listing(backend: Any, asked: Asked) -> bytes:
    """The answer to ListObjects and its like on a bucket that there is."""
    kind, make = _KINDS[asked.name]
    return document(kind, make(backend, asked))


def _objects(backend: Any, asked: Asked) -> Fields:
    after = asked.first("marker")
    entries, last = _page(backend, asked, after)
    following = [("NextMarker", _spelling(asked)(last))] if last else []
    return [*_head(asked), ("Marker", after), *following, *_body(asked, entries, last)]


def _objects_v2(backend: Any, asked: Asked) -> Fields:
    token, start = asked.first("continuation-token"), asked.first("start-after")
    entries, last = _page(backend, asked, _from_token(token) if token else start)
    more: Fields = [("KeyCount", len(entries))]
    more += [("ContinuationToken", token)] if token else []
    more += [("StartAfter", start)] if start else []
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


def _versions(backend: Any, asked: Asked) -> Fields:
    """Versions, the newest of a name first. moto's own list copies all objects, with all that is in them."""
    marker, version, spelt = asked.first("key-marker"), asked.first("version-id-marker"), _spelling(asked)
    each = _each_version(backend.get_bucket(asked.bucket).keys, asked.first("prefix"), asked.first("delimiter"))
    entries = list(islice(_after(each, marker, version), _limit(asked) + 1))
    is_more = len(entries) > _limit(asked) > 0
    entries = entries[: _limit(asked)]
    following: Fields = []
    if is_more:
        name, key, _ = entries[-1]
        following = [("NextKeyMarker", spelt(name)), ("NextVersionIdMarker", _id(key) if key else "")]
    return [
        *_head(asked),
        ("KeyMarker", marker),
        ("VersionIdMarker", version),
        *following,
        ("IsTruncated", is_more),
        *(_version(spelt(name), key, is_latest) for name, key, is_latest in entries),
    ]


_Version = tuple[str, Any, bool]  # name, moto's record or None for a common prefix, whether it is the latest


def _each_version(stored: Any, prefix: str, delimiter: str) -> Iterator[_Version]:
    last = ""
    for name in sorted(name for name in list(stored) if name.startswith(prefix)):
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        folder = name[: end + len(delimiter)] if end >= 0 else ""
        if not folder:
            versions = reversed(stored.getlist(name, []))
            yield from ((name, key, place == 0) for place, key in enumerate(versions))
        elif folder != last:
            yield folder, None, False
        last = folder


def _after(versions: Iterable[_Version], marker: str, version: str) -> Iterator[_Version]:
    """Those behind the last one of the page before."""
    is_behind = not marker
    for name, key, is_latest in versions:
        if is_behind or name > marker:
            yield name, key, is_latest
        is_behind = is_behind or bool(name == marker and key and version and _id(key) == version)


def _version(name: str, key: Any, is_latest: bool) -> tuple[str, Any]:
    if key is None:
        return "CommonPrefixes", [("Prefix", name)]
    about = [("Key", name), ("VersionId", _id(key)), ("IsLatest", is_latest), ("Owner", _OWNER)]
    if _is_there(key):
        return "Version", [*about, *_content(key)]
    return "DeleteMarker", [*about, ("LastModified", key.last_modified_ISO8601)]


def _id(key: Any) -> str:
    return str(key.version_id or "null")


def _uploads(backend: Any, asked: Asked) -> Fields:
    """By name, of one name the oldest first."""
    marker, last_id, spelt = asked.first("key-marker"), asked.first("upload-id-marker"), _spelling(asked)
    uploads = [each for each in list(backend.get_bucket(asked.bucket).multiparts.values()) if each.key_name >= marker]
    uploads = sorted(uploads, key=lambda each: each.key_name)  # they come in the order in which they were begun
    if marker:
        same = [each.id for each in uploads if each.key_name == marker]
        behind = same[same.index(last_id) + 1 :] if last_id in same else []
        uploads = [each for each in uploads if each.key_name > marker or each.id in behind]
    prefix, delimiter = asked.first("prefix"), asked.first("delimiter")
    entries: dict[str, Any] = {}  # an upload by its id, None for a common prefix
    for each in uploads:
        end = each.key_name.find(delimiter, len(prefix)) if delimiter else -1
        if each.key_name.startswith(prefix):
            entries |= {each.key_name[: end + len(delimiter)]: None} if end >= 0 else {each.id: each}
    limit = min(int(asked.first("max-uploads") or _LARGEST), _LARGEST)
    page = list(entries.items())[:limit]
    following: Fields = []
    if is_more := len(entries) > limit > 0:
        last, upload = page[-1]
        following = [("NextKeyMarker", spelt(upload.key_name if upload else last))]
        following += [("NextUploadIdMarker", last if upload else "")]
    return [
        ("Bucket", asked.bucket),
        ("KeyMarker", marker),
        ("UploadIdMarker", last_id),
        *following,
        *([("Delimiter", delimiter)] if delimiter else []),
        ("Prefix", prefix),
        *([("EncodingType", "url")] if asked.first("encoding-type") == "url" else []),
        ("MaxUploads", limit),
        ("IsTruncated", is_more),
        *(("Upload", _upload(each, spelt)) for _, each in page if each),
        *(("CommonPrefixes", [("Prefix", spelt(name))]) for name, each in page if not each),
    ]


def _upload(upload: Any, spelt: Callable[[str], str]) -> Fields:
    return [
        ("Key", spelt(upload.key_name)),
        ("UploadId", upload.id),
        ("Initiator", _OWNER),
        ("Owner", _OWNER),
        ("StorageClass", "STANDARD"),
        ("Initiated", f"{begun_at(upload):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"),
    ]


def begun_at(upload: Any) -> datetime:
    """When moto's record of an upload was first seen: by `begun_at` itself, right after it was made."""
    if not hasattr(upload, "begun"):
        upload.begun = datetime.now(UTC)
    begun: datetime = upload.begun
    return begun


def _head(asked: Asked) -> Fields:
    delimiter = asked.first("delimiter")
    fields: Fields = [("Name", asked.bucket), ("Prefix", asked.first("prefix")), ("MaxKeys", _limit(asked))]
    fields += [("Delimiter", delimiter)] if delimiter else []
    return fields + ([("EncodingType", "url")] if asked.first("encoding-type") == "url" else [])


def _body(asked: Asked, entries: dict[str, Any], last: str) -> Fields:
    spelt = _spelling(asked)
    has_owner = asked.name == "ListObjects" or asked.first("fetch-owner") == "true"
    owner = [("Owner", _OWNER)] if has_owner else []
    found = [(spelt(name), key) for name, key in entries.items()]
    return [
        ("IsTruncated", bool(last)),
        *(("Contents", [("Key", name), *_content(key), *owner]) for name, key in found if key),
        *(("CommonPrefixes", [("Prefix", name)]) for name, key in found if not key),
    ]


def _content(key: Any) -> Fields:
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


_KINDS: dict[str, tuple[str, Callable[[Any, Asked], Fields]]] = {
    "ListObjects": ("ListBucketResult", _objects),
    "ListObjectsV2": ("ListBucketResult", _objects_v2),
    "ListObjectVersions": ("ListVersionsResult", _versions),
    "ListMultipartUploads": ("ListMultipartUploadsResult", _uploads),
}
_PARAMETERS = set(
    """prefix delimiter marker max-keys encoding-type list-type continuation-token start-after fetch-owner versions
    key-marker version-id-marker uploads max-uploads upload-id-marker""".split()
)


def is_list(asked: Asked) -> bool:
    """Whether it is one of ours: there are many other things that can be asked of a bucket."""
    return asked.name in _KINDS and asked.has_only(_PARAMETERS)
