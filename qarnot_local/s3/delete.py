"""DeleteObjects. moto's own answer ignores `Quiet`.

A list with a key that XML cannot hold is refused as a whole, as a Ceph gateway does (`reference/storage-ceph.md`).
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import ParseError

from qarnot_local.s3.xml import Fields, document, parse, text_of

_MOST = 1000


def delete_objects(backend: Any, bucket: str, body: bytes) -> bytes | None:
    """Delete, and return the answer; None when what was asked cannot be read."""
    try:
        asked = parse(body)
    except (ParseError, ValueError):
        return None
    objects = [child for child in asked if child.tag.rpartition("}")[2] == "Object"]
    names = [(text_of(each, "Key"), text_of(each, "VersionId")) for each in objects]
    if not 1 <= len(names) <= _MOST or not all(key for key, _ in names):
        return None
    deleted, locked = backend.delete_objects(bucket, [{"Key": key, "VersionId": version} for key, version in names])
    answer: Fields = []
    if (text_of(asked, "Quiet") or "").lower() != "true":
        answer += [("Deleted", _deleted(*each)) for each in deleted]
    answer += [("Error", [("Key", key), ("Code", "AccessDenied"), ("Message", "Locked")]) for key in locked]
    return document("DeleteResult", answer)


def _deleted(key: str, version: str | None, marker: str | None) -> Fields:
    fields: Fields = [("Key", key)]
    fields += [("VersionId", version)] if version else []
    return fields + ([("DeleteMarker", True), ("DeleteMarkerVersionId", marker)] if marker else [])
