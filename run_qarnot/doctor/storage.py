"""Checks of the storage that cost nothing: each behaviour that was measured on a Ceph gateway, in a bucket that is
removed at the end (`reference/storage-ceph.md`)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from run_qarnot.cloud.probe import StorageAnswer
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.doctor.observer import Observer
from run_qarnot.doctor.question import Check, NoAnswerError, Seen, asking, names

CHECKS: list[Check[Observer]] = []
_PART = 5 << 20  # bytes: the smallest size that S3 allows for any part but the last
_ORIGIN = "http://localhost:8866"  # of the page on a laptop: `run-qarnot page` prints this address
_WEEK = 7 * 24 * 3600  # seconds
_ODD = ["a\tb", "\x7f", "a:b", "a\\b", "/a", "a//b", " a ", "%41", "a+b&<>'\"", "e\u0301"]
_CONTROL = "a\x01"
_NEVER, _PERHAPS = ("{}-.b", "{}.-b"), ("{}_b", "{}B")  # the vendor's samples use names of the second kind


def _put(look: Observer, key: str, body: bytes = b"x", **more: Any) -> StorageAnswer:
    return look.store("put_object", Bucket=look.bucket, Key=key, Body=body, **more)


def _names(look: Observer, key: str) -> dict[str, str]:
    return {"Bucket": look.bucket, "Key": key}


def _begin(look: Observer, key: str) -> dict[str, str]:
    """Create a multipart upload; return the arguments of every request about it."""
    answer = look.store("create_multipart_upload", **_names(look, key))
    if not (upload_id := answer.values.get("UploadId")):
        raise NoAnswerError(f"a multipart upload is refused: {answer}")
    return {**_names(look, key), "UploadId": str(upload_id)}


def _send(look: Observer, upload: Mapping[str, str], parts: list[bytes]) -> list[dict[str, Any]]:
    """Upload parts; return the list that completes the upload."""
    sent = [
        look.store("upload_part", **upload, PartNumber=number, Body=data) for number, data in enumerate(parts, start=1)
    ]
    return [{"PartNumber": number, "ETag": each.values.get("ETag", "")} for number, each in enumerate(sent, start=1)]


def _complete(look: Observer, upload: Mapping[str, str], parts: list[dict[str, Any]], **more: str) -> StorageAnswer:
    return look.store("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **more)


def _etag(look: Observer, key: str) -> str:
    return str(look.store("head_object", **_names(look, key)).values.get("ETag", "")).strip('"')


@asking(
    CHECKS, "S1", "Can a bucket be created, tagged, and created again by its owner?", expected="made, tagged, 200",
    does="looks for a bucket before creating it; without tags, leftover buckets are not found",
    place="run_qarnot/cloud/s3/client.py",
)  # fmt: skip
def make(look: Observer) -> Seen:
    tagged = look.cloud.storage.owner(look.bucket) == look.name
    again = look.store("create_bucket", Bucket=look.bucket)
    return Seen(f"made, {'tagged' if tagged else 'without a tag'}, {again}", tagged and again.is_ok)


@asking(
    CHECKS, "S2", "Does the storage itself refuse to replace a file (If-None-Match: *)?",
    expected="412 PreconditionFailed",
    does="on NotImplemented, checks that the file is absent just before the upload; if ignored, set the switch",
    place="conditional-puts",
)  # fmt: skip
def conditional_put(look: Observer) -> Seen:
    _put(look, "condition", b"first")
    answer = _put(look, "condition", b"second", IfNoneMatch="*")
    kept = look.storage.read(look.bucket, "condition") == b"first"
    text = f"{answer}{'' if kept else '; the file was replaced'}"
    return Seen(text, answer.status == 412 and kept)


@asking(
    CHECKS, "S3", "Is the ETag of a file its MD5, and is Content-MD5 verified?", expected="MD5, 400 BadDigest",
    does="compares no checksums where the ETag is not an MD5", place="run_qarnot/cloud/s3/etag.py",
)  # fmt: skip
def checksum(look: Observer) -> Seen:
    _put(look, "sum", b"content")
    is_md5 = _etag(look, "sum") == hashlib.md5(b"content", usedforsecurity=False).hexdigest()
    wrong = base64.b64encode(bytes(16)).decode()
    answer = _put(look, "sum", b"content", ContentMD5=wrong)
    return Seen(f"{'MD5' if is_md5 else 'something else'}, {answer}", is_md5 and answer.code == "BadDigest")


@asking(
    CHECKS, "S4", "Is the ETag of a multipart upload made of those of its parts?", expected="MD5 of MD5s, with -2",
    does="compares only the size", place="run_qarnot/cloud/s3/multipart.py",
)  # fmt: skip
def parts(look: Observer) -> Seen:
    upload, data = _begin(look, "parts"), [bytes(_PART), b"end"]
    answer = _complete(look, upload, _send(look, upload, data))
    digests = b"".join(hashlib.md5(each, usedforsecurity=False).digest() for each in data)
    expected = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-2"
    found = _etag(look, "parts")
    return Seen("MD5 of MD5s, with -2" if found == expected else f"{answer}, ETag {found or 'none'}", found == expected)


@asking(
    CHECKS, "S5", "Which ETag does completing a multipart upload return, and can it be repeated?",
    expected="none (Ceph) or that of the file; the same",
    does="requests the file's ETag after each completion", place="run_qarnot/cloud/s3/multipart.py",
)  # fmt: skip
def completed_twice(look: Observer) -> Seen:
    upload = _begin(look, "twice")
    sent = _send(look, upload, [bytes(_PART), b"end"])
    first, second = _complete(look, upload, sent), _complete(look, upload, sent)
    told = str(first.values.get("ETag", "")).strip('"')
    is_right = told in {"", _etag(look, "twice")}
    text = f"{'none' if not told else 'that of the file' if is_right else 'another'}; second time {second}"
    return Seen(text, is_right and second.is_ok)


@asking(
    CHECKS, "S6", "Is If-None-Match respected when a multipart upload is completed?",
    expected="ignored (Ceph), or kept",
    does="checks that the file is absent just before completing it", place="run_qarnot/cloud/s3/multipart.py",
)  # fmt: skip
def conditional_complete(look: Observer) -> Seen:
    upload = _begin(look, "meanwhile")
    sent = _send(look, upload, [b"ours"])
    _put(look, "meanwhile", b"theirs")
    answer = _complete(look, upload, sent, IfNoneMatch="*")
    words = {200: "ignored", 412: "kept"}
    return Seen(words.get(answer.status, str(answer)), answer.status in words or answer.code == "NotImplemented")


@asking(
    CHECKS, "S7", "What happens to parts listed in another order?", expected="refused, or put in order",
    does="sends them in order, each once", place="run_qarnot/cloud/s3/upload.py",
)  # fmt: skip
def order(look: Observer) -> Seen:
    upload, data = _begin(look, "order"), [bytes(_PART), b"end"]
    sent = _send(look, upload, data)
    answer = _complete(look, upload, sent[::-1])
    content = look.storage.read(look.bucket, "order") if answer.is_ok else None
    return Seen(str(answer), not answer.is_ok or content == b"".join(data))


@asking(
    CHECKS, "S8", "Is an aborted multipart upload gone?", expected="NoSuchUpload or NoSuchKey",
    does="starts the upload of the file again", place="run_qarnot/cloud/s3/multipart.py",
)  # fmt: skip
def given_up(look: Observer) -> Seen:
    upload = _begin(look, "given-up")
    look.store("abort_multipart_upload", **upload)
    answer = look.store("list_parts", **upload)
    return Seen(str(answer), answer.code in {"NoSuchUpload", "NoSuchKey"})


@asking(
    CHECKS, "S9", "Can unfinished uploads be listed?", expected="listed, or unreadable",
    does="uploads the whole file again where they cannot be listed", place="run_qarnot/cloud/s3/client.py",
)  # fmt: skip
def unfinished(look: Observer) -> Seen:
    upload = _begin(look, "begun")
    found = look.cloud.storage.unfinished(look.bucket)
    look.store("abort_multipart_upload", **upload)
    return Seen("listed" if "begun" in found else f"not among {names(found)}", "begun" in found)


@asking(
    CHECKS, "S10", "Do files keep their names?", expected="all of them",
    does="refuses file names that are not safe everywhere, before the upload",
    place="run_qarnot/core/names.py",
)  # fmt: skip
def odd_names(look: Observer) -> Seen:
    for key in _ODD:
        _put(look, f"odd/{key}")
    look.check()
    found = {file.key for file in look.cloud.storage.files(look.bucket, "odd/")}
    lost = {f"odd/{key}" for key in _ODD} - found
    return Seen(f"not {names(map(ascii, lost))}" if lost else "all of them", not lost)


@asking(
    CHECKS, "S11", "Is a bulk delete refused if XML cannot represent a key in it?", expected="400, or deleted",
    does="deletes such files one by one", place="run_qarnot/cloud/s3/client.py",
)  # fmt: skip
def delete_control(look: Observer) -> Seen:
    _put(look, f"del/{_CONTROL}")
    listed = {"Objects": [{"Key": f"del/{_CONTROL}"}]}
    answer = look.store("delete_objects", Bucket=look.bucket, Delete=listed)
    look.store("delete_object", **_names(look, f"del/{_CONTROL}"))
    left = look.cloud.storage.files(look.bucket, "del/")
    text = f"{answer}; one by one: {'still there' if left else 'deleted'}"
    return Seen(text, not left and (answer.is_ok or answer.status == 400))


@asking(
    CHECKS, "S12", "Which bucket names are refused?", expected="a-.b and a.-b; a_b and aB perhaps",
    does="creates no bucket with such a name; uses existing ones as they are", place="run_qarnot/core/names.py",
)  # fmt: skip
def bucket_names(look: Observer) -> Seen:
    taken = []
    for form in (*_NEVER, *_PERHAPS):
        name = form.format(look.name)
        look.removes(f"the bucket {name}", lambda name=name: _forget_bucket(look, name))  # type: ignore[misc]
        if look.store("create_bucket", Bucket=name).is_ok:
            taken.append(form)
    text = f"takes {names([form.format('a') for form in taken])}" if taken else "all of them"
    return Seen(text, not set(_NEVER) & set(taken))


def _forget_bucket(look: Observer, name: str) -> None:
    with suppress(RunQarnotError):  # most were never created
        look.cloud.storage.delete_bucket(name)


@asking(
    CHECKS, "S13", "What is the response for a bucket that does not exist?", expected="404 NoSuchBucket",
    does="takes a 403 for another account's bucket, and chooses another name", place="run_qarnot/engine/account.py",
)  # fmt: skip
def no_bucket(look: Observer) -> Seen:
    answer = look.store("list_objects", Bucket=f"{look.name}-none")
    return Seen(str(answer), answer.code == "NoSuchBucket")


@asking(
    CHECKS, "S14", "Can a file be downloaded as an attachment by a presigned URL?",
    expected="200, as attachment; for over a week 403",
    does="serves downloads through the page", place="run_qarnot/page/downloads.py",
)  # fmt: skip
def presigned(look: Observer) -> Seen:
    _put(look, "signed", b"content")
    asked = {**_names(look, "signed"), "ResponseContentDisposition": "attachment"}
    answer = look.fetch("GET", look.storage.sign("get_object", 600, **asked))
    longer = look.fetch("GET", look.storage.sign("get_object", _WEEK + 60, **asked))
    kind = answer.headers.get("content-disposition", "shown")
    is_right = answer.status == 200 and answer.text == "content" and kind == "attachment" and longer.status == 403
    return Seen(f"{answer.status}, as {kind}; for over a week {longer.status}", is_right)


@asking(
    CHECKS, "S15", "Can a browser upload, by a bucket's CORS rules?",
    expected="200 for the page, 403 or no permission for another, and a part arrives",
    does="sends the browser's uploads through the page", place="run_qarnot/page/components/files.py",
)  # fmt: skip
def cors(look: Observer) -> Seen:
    rule = {"AllowedOrigins": [_ORIGIN], "AllowedMethods": ["PUT"], "MaxAgeSeconds": 3600}
    made = look.store("put_bucket_cors", Bucket=look.bucket, CORSConfiguration={"CORSRules": [rule]})
    if not made.is_ok:
        return Seen(f"rules: {made}", is_expected=False)
    upload = _begin(look, "browser")
    address = look.storage.sign("upload_part", 600, **upload, PartNumber=1)
    asked = {"Origin": _ORIGIN, "Access-Control-Request-Method": "PUT"}
    ours = look.fetch("OPTIONS", address, asked)
    other = look.fetch("OPTIONS", address, {**asked, "Origin": "http://example.org"})
    sent = look.fetch("PUT", address, {"Origin": _ORIGIN}, b"part")
    look.store("abort_multipart_upload", **upload)
    allowed = "access-control-allow-origin"
    is_right = ours.is_ok and ours.headers.get(allowed) in {_ORIGIN, "*"} and allowed not in other.headers
    is_right &= sent.is_ok and sent.headers.get(allowed) in {_ORIGIN, "*"}
    return Seen(f"page {ours.status}, another {other.status}, part {sent.status}", is_right)


@asking(
    CHECKS, "S16", "Can a byte range be read, and only of a given version (If-Match)?", expected="206, 412",
    does="reads files from the beginning; reports one that was replaced meanwhile",
    place="run_qarnot/cloud/s3/download.py",
)  # fmt: skip
def ranges(look: Observer) -> Seen:
    _put(look, "range", b"0123456789")
    some = look.store("get_object", **_names(look, "range"), Range="bytes=2-4")
    content = some.values["Body"].read() if some.is_ok else b""
    other = look.store("get_object", **_names(look, "range"), IfMatch='"00000000000000000000000000000000"')
    return Seen(f"{some}, {other.status}", some.status == 206 and content == b"234" and other.status == 412)


@asking(
    CHECKS, "S17", "Are CRC32 and SHA256 checksums accepted, as other programs send them?", expected="200, 200",
    does="sends only Content-MD5", place="run_qarnot/cloud/connection.py",
)  # fmt: skip
def other_checksums(look: Observer) -> Seen:
    answers = [_put(look, "sums", ChecksumAlgorithm=kind) for kind in ("CRC32", "SHA256")]
    return Seen(names([str(each) for each in answers]), all(each.is_ok for each in answers))


@asking(
    CHECKS, "S18", "Is a request signed with a time 16 minutes off refused?", expected="RequestTimeTooSkewed, or taken",
    does="signs by the cluster's clock", place="run_qarnot/cloud/s3/signing.py",
)  # fmt: skip
def skew(look: Observer) -> Seen:
    bucket, offset = look.bucket, look.cloud.clock_offset
    right = look.store("list_objects", Bucket=bucket)
    wrong = look.storage_by_clock(offset + timedelta(minutes=16)).call("list_objects", Bucket=bucket)
    is_right = right.is_ok and (wrong.is_ok or wrong.code == "RequestTimeTooSkewed")
    return Seen(f"right: {right}; off: {wrong}", is_right)


@asking(
    CHECKS, "S19", "Is deleting a bucket refused unless it is empty?", expected="BucketNotEmpty, deleted",
    does="empties a bucket before deleting it", place="run_qarnot/cloud/s3/client.py",
)  # fmt: skip
def delete_bucket(look: Observer) -> Seen:
    bucket = look.make_bucket("-gone")
    look.store("put_object", Bucket=bucket, Key="file", Body=b"x")
    full = look.store("delete_bucket", Bucket=bucket)
    look.store("delete_object", Bucket=bucket, Key="file")
    empty = look.store("delete_bucket", Bucket=bucket)
    text = f"{full}, {'deleted' if empty.is_ok else empty}"
    return Seen(text, full.code == "BucketNotEmpty" and empty.is_ok)
