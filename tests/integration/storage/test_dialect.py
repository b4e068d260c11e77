"""What the product relies on, and what it must not: the same tests for the local cluster and for a Ceph gateway.

Each row of `reference/storage-ceph.md` has a test here. Where the two differ all the same, `docs/cluster.md` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hostile import HostileProxy, How
from support.storages import Place, connect

from run_qarnot.cloud.s3.browser_upload import DirectUpload
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.cloud.s3.signing import sign_by
from run_qarnot.core.errors import InputError, RefusedError, TransferError
from run_qarnot.core.names import BUCKET_SUFFIXES, LONGEST_NAME, bucket_candidates, fits_xml
from run_qarnot.engine.part_buffer import PartBuffer
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.storage
PART = 8 << 20
SIZE = PART + 5
NO_XML = [chr(number) for number in range(1, 32) if chr(number) not in "\t\n\r"] + ["\ufffe", "\uffff"]
ODD_KEYS = ["a\tb", "a\nb", "a\r\nb", "\x7f", "\x85", "a:b", "a\\b", "/a", "a//b", " a ", "%41", "a+b&<>'\"", "e\u0301"]

Put = Callable[..., Any]


def content(size: int = SIZE, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def held(direct: Any, bucket: str, key: str) -> Any:
    return direct.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(direct: Any, bucket: str) -> list[str]:
    pages = direct.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


def refusal(call: Callable[..., object], **arguments: Any) -> str:
    """The storage's own code for a call that it refuses."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def begin(direct: Any, bucket: str, key: str) -> None:
    """Begin an upload; of a key that XML cannot hold boto3 cannot read the answer."""
    with contextlib.suppress(ClientError):
        direct.create_multipart_upload(Bucket=bucket, Key=key)


def send(direct: Any, bucket: str, key: str, parts: list[bytes]) -> tuple[dict[str, str], list[dict[str, object]]]:
    """Send an upload's parts, and say what completes it."""
    names = {"Bucket": bucket, "Key": key}
    names["UploadId"] = direct.create_multipart_upload(**names)["UploadId"]
    sent = [direct.upload_part(**names, PartNumber=number, Body=data) for number, data in enumerate(parts, start=1)]
    listed = [{"PartNumber": number, "ETag": answer["ETag"]} for number, answer in enumerate(sent, start=1)]
    return names, listed


@pytest.fixture
def put(direct: Any, bucket: str) -> Put:
    def put(*keys: Any, body: bytes = b"x") -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: direct.put_object(Bucket=bucket, Key=key, Body=body), keys))

    return put


@pytest.fixture
def large(tmp_path: Path) -> Upload:
    path = tmp_path / "large.bin"
    path.write_bytes(content())
    return Upload(path, "large.bin")


@pytest.fixture
def sent(storage: Storage, bucket: str, large: Upload) -> DirectUpload:
    """An upload in parts, as the browser sends it, that waits to be completed."""
    upload = storage.direct(bucket, large.key, SIZE)
    relay = PartBuffer(upload)
    for part in relay.take(0, content()):
        relay.put(part)
    assert relay.check()
    return upload


# — keys —


def test_files_of_any_name_are_listed_read_and_deleted(storage: Storage, direct: Any, bucket: str, put: Put) -> None:
    names = [*(f"col{mark}.log" for mark in NO_XML), *ODD_KEYS]
    put(*names)
    assert {file.key for file in storage.files(bucket)} == set(names)
    assert {file.key for file in storage.files(bucket, "col\x01")} == {"col\x01.log"}
    assert all(b"".join(storage.read(bucket, name)) == b"x" for name in names)
    zipped = zipfile.ZipFile(io.BytesIO(b"".join(storage.zip(bucket, storage.files(bucket)))))
    assert len(zipped.namelist()) == len(set(zipped.namelist())) == len(names)
    storage.delete(bucket, names)
    assert keys(direct, bucket) == []


@given(st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), max_size=8))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_is_called_it_can_be_deleted(storage: Storage, bucket: str, put: Put, names: set[str]) -> None:
    names -= {".", ".."}  # which clients take for folders of the address
    put(*names)
    assert {file.key for file in storage.files(bucket)} == names
    storage.delete(bucket, sorted(names))
    assert storage.files(bucket) == []


def test_a_list_goes_on_behind_a_name_that_xml_cannot_hold(storage: Storage, bucket: str, put: Put) -> None:
    names = [f"\x01{number:04}" for number in range(1003)]
    put(*names)
    assert [file.key for file in storage.files(bucket)] == names
    storage.delete_bucket(bucket)
    assert bucket not in storage.buckets()


def test_unfinished_uploads_of_any_name_are_found_and_freed(
    storage: Storage, direct: Any, bucket: str, large: Upload
) -> None:
    odd = ["a\x01", "\ufffe", *ODD_KEYS]
    for key in (*odd, large.key, "another"):
        begin(direct, bucket, key)
    assert set(storage.unfinished(bucket)) == {*odd, large.key, "another"}
    assert storage.last_upload(bucket) is None, "nothing of them has come"
    for key in odd:
        storage.forget_unfinished(bucket, key)
    assert storage.unfinished(bucket) == ["another", large.key]
    storage.upload(bucket, [large])
    assert storage.unfinished(bucket) == ["another"]
    storage.delete_bucket(bucket)
    assert bucket not in storage.buckets()


def test_the_last_part_of_an_upload_is_known_whatever_it_is_called(storage: Storage, direct: Any, bucket: str) -> None:
    begin(direct, bucket, "a\x01")
    upload_id = storage._unfinished(bucket, storage._quick).of("a\x01")[0]
    direct.upload_part(Bucket=bucket, Key="a\x01", UploadId=upload_id, PartNumber=1, Body=b"part")
    assert storage.last_upload(bucket) is not None


def test_a_list_of_uploads_that_is_no_xml_is_one_that_cannot_be_had(
    storage: Storage, proxy: HostileProxy, bucket: str, large: Upload
) -> None:
    proxy.trouble("GET", r"\?uploads", how=How(flip_answer_at=0), times=99)
    storage.upload(bucket, [large])
    with pytest.raises(RefusedError, match="ListMultipartUploads"):
        storage.last_upload(bucket)
    storage.delete_bucket(bucket)
    assert bucket not in storage.buckets()


def test_a_list_to_delete_is_refused_as_a_whole_if_xml_cannot_hold_one_of_it(
    direct: Any, bucket: str, put: Put
) -> None:
    put("a\x01", "b")
    wanted = {"Objects": [{"Key": "b"}, {"Key": "a\x01"}]}
    with pytest.raises(ClientError) as caught:
        direct.delete_objects(Bucket=bucket, Delete=wanted)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert keys(direct, bucket) == ["a\x01", "b"]


@pytest.mark.parametrize("key", ["a\0b", "x" * 1025])
def test_what_can_be_no_key_is_refused(direct: Any, bucket: str, key: str) -> None:
    with pytest.raises(ClientError) as caught:
        direct.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


# — completing —


def test_the_storage_ignores_the_condition_and_says_no_etag_when_an_upload_is_completed(
    direct: Any, bucket: str, put: Put
) -> None:
    names, listed = send(direct, bucket, "key", [content(PART), b"end"])
    put("key", body=b"theirs")
    assert refusal(direct.put_object, Bucket=bucket, Key="key", Body=b"x", IfNoneMatch="*") == "PreconditionFailed"
    answer = direct.complete_multipart_upload(**names, MultipartUpload={"Parts": listed}, IfNoneMatch="*")
    assert answer["ETag"] == ""
    assert len(held(direct, bucket, "key")) == PART + 3


def test_a_file_that_came_meanwhile_is_a_conflict_for_the_command(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, large: Upload, put: Put
) -> None:
    proxy.trouble("HEAD", large.key, how=How(before=lambda: put(large.key, body=b"theirs")))
    with pytest.raises(InputError) as caught:
        storage.upload(bucket, [large])
    assert caught.value.code == "input-exists"
    assert held(direct, bucket, large.key) == b"theirs"
    proxy.heal()
    storage.upload(bucket, [large], replace=True)
    assert proxy.received("PUT") == 0, "its parts are there"
    assert held(direct, bucket, large.key) == content()


@pytest.mark.parametrize("size", [5, SIZE])
def test_a_file_that_came_meanwhile_is_a_conflict_for_the_browser(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, sent: DirectUpload, put: Put, size: int
) -> None:
    theirs = content(size, seed=1)
    proxy.trouble("HEAD", sent.key, how=How(before=lambda: put(sent.key, body=theirs)))
    with pytest.raises(InputError) as caught:
        storage.complete(bucket, [sent])
    assert caught.value.code == "input-exists"
    assert held(direct, bucket, sent.key) == theirs
    storage.complete(bucket, [sent], replace=True)
    assert held(direct, bucket, sent.key) == content()


def test_the_same_file_that_came_meanwhile_is_none(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, sent: DirectUpload, large: Upload
) -> None:
    theirs = How(before=lambda: direct.upload_file(str(large.path), bucket, sent.key))
    proxy.trouble("HEAD", sent.key, how=theirs)
    storage.complete(bucket, [sent])
    assert held(direct, bucket, sent.key) == content()
    assert storage.unfinished(bucket) == [], "ours is freed"


@pytest.mark.parametrize("replace", [False, True])
def test_an_answer_that_is_lost_makes_no_difference(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, sent: DirectUpload, replace: bool
) -> None:
    proxy.trouble("POST", "uploadId", how=How(lose_answer=True))
    storage.complete(bucket, [sent], replace=replace)
    storage.complete(bucket, [sent], replace=replace)
    assert held(direct, bucket, sent.key) == content()


def test_an_upload_that_is_completed_twice_is_the_same_object(direct: Any, bucket: str) -> None:
    names, listed = send(direct, bucket, "key", [content(PART), b"end"])
    answers = [direct.complete_multipart_upload(**names, MultipartUpload={"Parts": listed}) for _ in range(2)]
    assert answers[1]["ETag"].strip('"') == direct.head_object(Bucket=bucket, Key="key")["ETag"].strip('"')


@pytest.mark.parametrize("replace", [False, True])
def test_an_upload_that_somebody_gave_up_is_said_at_once(
    storage: Storage, proxy: HostileProxy, bucket: str, sent: DirectUpload, replace: bool
) -> None:
    storage.forget_unfinished(bucket, sent.key)
    with pytest.raises(TransferError, match="another program completed or cancelled it"):
        storage.complete(bucket, [sent], replace=replace)
    assert proxy.count("POST", "uploadId") == 1


def test_nothing_is_completed_while_nobody_knows_what_is_there(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, sent: DirectUpload, put: Put
) -> None:
    put(sent.key, body=b"theirs")
    storage._there = lambda *_: {}  # type: ignore[method-assign]  # the list of a moment before
    proxy.trouble("HEAD", sent.key, how=How(status=403, code="AccessDenied"), times=99)
    with pytest.raises(TransferError, match="refused HeadObject"):
        storage.complete(bucket, [sent])
    assert held(direct, bucket, sent.key) == b"theirs"


def test_the_whole_object_is_compared_with_what_was_sent(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, sent: DirectUpload, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_bytes(content(seed=1))
    theirs = How(before=lambda: direct.upload_file(str(tmp_path / "theirs"), bucket, sent.key))
    proxy.trouble("HEAD", sent.key, how=theirs, skip=1)
    with pytest.raises(TransferError, match="checksum"):
        storage.complete(bucket, [sent])


def test_parts_are_all_to_be_named_and_of_their_size(direct: Any, bucket: str) -> None:
    names, listed = send(direct, bucket, "key", [content(PART), content(PART), b"end"])

    def completed(parts: list[dict[str, object]]) -> str:
        return refusal(direct.complete_multipart_upload, **names, MultipartUpload={"Parts": parts})

    assert completed(listed[:2]) == "InvalidPart"
    assert completed([*listed, {"PartNumber": 4, "ETag": listed[0]["ETag"]}]) == "InvalidPart"
    assert completed([*listed[:2], {"PartNumber": 3, "ETag": listed[0]["ETag"]}]) == "InvalidPart"
    direct.complete_multipart_upload(**names, MultipartUpload={"Parts": listed})
    names, listed = send(direct, bucket, "small", [b"too small", b"end"])
    assert completed(listed) == "EntityTooSmall"


def test_parts_in_another_order_make_no_other_file(direct: Any, bucket: str) -> None:
    """AWS, the local cluster and the measured gateway refuse it, or put them in order; nobody joins them as named."""
    parts = [content(PART), content(PART, seed=1), b"end"]
    names, listed = send(direct, bucket, "key", parts)
    for wrong in (listed[::-1], [listed[0], listed[0]]):
        with contextlib.suppress(ClientError):
            direct.complete_multipart_upload(**names, MultipartUpload={"Parts": wrong})
    for key in keys(direct, bucket):
        assert held(direct, bucket, key) == b"".join(parts)


def test_a_file_that_got_shorter_is_not_gone_on_with(
    storage: Storage, direct: Any, bucket: str, tmp_path: Path
) -> None:
    upload = Upload(tmp_path / "file", "file")
    upload.path.write_bytes(content(PART))
    send(direct, bucket, "file", [content(PART), b"of the longer one"])
    storage.upload(bucket, [upload])
    assert held(direct, bucket, "file") == content(PART)
    assert storage.unfinished(bucket) == []


# — buckets —


def test_the_bucket_of_another_account_is_not_made_and_not_taken_for_ours(
    storage: Storage, place: Place, direct: Any
) -> None:
    place.take_name("theirs-in")
    assert refusal(direct.create_bucket, Bucket="theirs-in") == "BucketAlreadyExists"
    assert refusal(direct.list_objects, Bucket="theirs-in") == "AccessDenied"
    assert storage.is_foreign("theirs-in")
    assert not storage.is_foreign("nobodys-in")
    assert "theirs-in" not in storage.buckets()
    with pytest.raises(InputError) as caught:
        storage.create("theirs-in", "theirs")
    assert caught.value.code == "bucket-foreign"


def test_a_bucket_that_is_there_is_not_made_again_when_there_are_as_many_as_may_be(
    storage: Storage, place: Place, direct: Any, bucket: str
) -> None:
    place.limit(buckets=len(storage.buckets()))
    try:
        assert refusal(direct.create_bucket, Bucket=bucket) == "TooManyBuckets"
        storage.create(bucket, "owner")
        assert storage.owner(bucket) == "owner"
        with pytest.raises(RefusedError) as caught:
            storage.create("one-more", "owner")
        assert caught.value.code == "quota-buckets"
    finally:
        place.limit()


def test_a_bucket_that_was_made_by_a_call_whose_answer_was_lost_is_fine(
    storage: Storage, proxy: HostileProxy, place: Place
) -> None:
    place.limit(buckets=len(storage.buckets()) + 1)
    try:
        proxy.trouble("PUT", "/lost-answer", how=How(lose_answer=True))
        storage.create("lost-answer", "owner")
        storage.delete_bucket("lost-answer")
    finally:
        place.limit()


@pytest.mark.parametrize("name", ["a-.b", "a.-b", "a..b", "ab", "-ab", "ab-", "192.168.1.1", "x" * 64])
def test_names_that_no_storage_takes_are_refused(direct: Any, name: str) -> None:
    assert refusal(direct.create_bucket, Bucket=name) == "InvalidBucketName"


@pytest.mark.parametrize("session_name", ["a", "0", "a--b", "x" * LONGEST_NAME, "x" * (LONGEST_NAME - 2)])
def test_every_bucket_that_we_make_has_a_name_that_the_storage_takes(storage: Storage, session_name: str) -> None:
    for suffix in BUCKET_SUFFIXES:
        for name in bucket_candidates(session_name, suffix)[:2]:
            storage.create(name, session_name)
            storage.delete_bucket(name)


def test_a_bucket_with_unfinished_uploads_can_be_deleted(direct: Any) -> None:
    direct.create_bucket(Bucket="begun-in")
    begin(direct, "begun-in", "key")
    direct.delete_bucket(Bucket="begun-in")


# — limits —


def test_an_address_is_signed_for_a_week_at_most(
    storage: Storage, place: Place, boto: boto3.session.Session, bucket: str, put: Put
) -> None:
    put("key")
    client = connect(place.url, place.email, place.secret, boto)
    sign_by(client, timedelta())  # as our own clients do it
    week = 7 * 24 * 3600
    answer = requests.get(Storage(client, "").presign(bucket, "key", 30 * week), timeout=10)
    assert (answer.content, answer.headers["Content-Disposition"]) == (b"x", "attachment"), "a page in it is not shown"
    for seconds in (week + 1, 0):
        parameters = {"Bucket": bucket, "Key": "key"}
        address = client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)
        assert requests.get(address, timeout=10).status_code == 403


def test_an_upload_that_meets_a_full_quota_goes_on_when_there_is_room(
    storage: Storage, proxy: HostileProxy, place: Place, direct: Any, bucket: str, tmp_path: Path
) -> None:
    upload = Upload(tmp_path / "file", "file")
    upload.path.write_bytes(content(4 * PART))
    names = {"Bucket": bucket, "Key": "file", "UploadId": ""}
    names["UploadId"] = direct.create_multipart_upload(Bucket=bucket, Key="file")["UploadId"]
    for number in (1, 2):
        direct.upload_part(**names, PartNumber=number, Body=content(4 * PART)[(number - 1) * PART : number * PART])
    place.limit(size=PART)
    try:
        with pytest.raises(RefusedError) as caught:
            storage.upload(bucket, [upload])
        assert caught.value.code == "quota-bytes"
    finally:
        place.limit()
    assert len(direct.list_parts(**names)["Parts"]) == 2
    proxy.heal()
    storage.upload(bucket, [upload])
    assert proxy.received("PUT") == 2 * PART
    assert hashlib.md5(held(direct, bucket, "file")).digest() == hashlib.md5(upload.path.read_bytes()).digest()


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_wrong_clock_is_said_to_be_one(place: Place, boto: boto3.session.Session, bucket: str, minutes: int) -> None:
    client = connect(place.url, place.email, place.secret, boto)
    sign_by(client, timedelta(minutes=minutes))
    with pytest.raises(RefusedError) as caught:
        Storage(client, "http://cluster", (0.01,)).files(bucket)
    assert caught.value.code == "storage-clock"
    sign_by(client, timedelta(minutes=minutes * 14 / 16))
    assert Storage(client, "http://cluster", (0.01,)).files(bucket) == []


# — what the rest relies on —


def test_a_page_is_let_in_by_the_buckets_own_rules(storage: Storage, place: Place, bucket: str) -> None:
    page = "http://localhost:8866"
    asked = {"Origin": page, "Access-Control-Request-Method": "PUT"}
    address = storage.direct(bucket, "key", SIZE).address(1)
    assert requests.options(address, headers=asked, timeout=10).status_code == 403
    storage.allow_origin(bucket, page)
    answer = requests.options(address, headers=asked, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] == page
    assert requests.options(address, headers={**asked, "Origin": "http://other"}, timeout=10).status_code == 403


@pytest.mark.parametrize(
    "config",
    [
        {"request_checksum_calculation": "when_supported"},
        {"signature_version": "s3"},
        {"signature_version": "s3v4"},
    ],
    ids=str,
)
def test_other_programs_checksums_and_signatures_are_taken(
    place: Place, boto: boto3.session.Session, bucket: str, config: dict[str, str]
) -> None:
    client = connect(place.url, place.email, place.secret, boto, **config)
    client.put_object(Bucket=bucket, Key="key", Body=content(100))
    assert held(client, bucket, "key") == content(100)
    assert refusal(client.put_object, Bucket=bucket, Key="key", Body=b"x", ContentMD5="A" * 22 + "==") == "BadDigest"


def test_what_is_not_there_is_said_by_the_same_names(direct: Any, bucket: str) -> None:
    upload = {"Bucket": bucket, "Key": "key", "UploadId": "2~none"}
    assert refusal(direct.upload_part, **upload, PartNumber=1, Body=b"x") == "NoSuchUpload"
    assert refusal(direct.abort_multipart_upload, **upload) == "NoSuchUpload"
    assert refusal(direct.list_parts, **upload) == "NoSuchKey"
    parts = {"Parts": [{"PartNumber": 1, "ETag": "0" * 32}]}
    assert refusal(direct.complete_multipart_upload, **upload, MultipartUpload=parts) == "InternalError"
    assert refusal(direct.get_object, Bucket=bucket, Key="none") == "NoSuchKey"
    assert refusal(direct.head_object, Bucket=bucket, Key="none") == "404"
    assert refusal(direct.list_objects, Bucket="none-in") == "NoSuchBucket"
    assert refusal(direct.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    assert refusal(direct.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"


def test_what_xml_can_hold_is_known() -> None:
    assert not any(map(fits_xml, NO_XML))
    assert all(map(fits_xml, ODD_KEYS))
