"""Parts that a browser sends by itself: an address for each, and nothing of what it says is believed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hostile import HostileProxy, How, answer

from run_qarnot.cloud.s3.browser_upload import ADDRESS_SECONDS, DirectUpload
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.cloud.s3.etag import parts_of
from run_qarnot.core.errors import InputError, TransferError
from run_qarnot.core.redaction import redact
from run_qarnot.engine.part_buffer import PartBuffer
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.slow

PART = 8 << 20
SIZE = 2 * PART + 5
PAGE = "http://localhost:8866"


def digests(path: Path) -> list[str]:
    """What the browser says of a file."""
    content = path.read_bytes()
    pieces = [content[part.start : part.start + part.size] for part in parts_of(len(content))]
    return [hashlib.md5(piece, usedforsecurity=False).hexdigest() for piece in pieces]


def send(upload: DirectUpload, path: Path, numbers: set[int] | None = None) -> None:
    """As the browser does it: no header but those that every client sends."""
    with path.open("rb") as file:
        for part in parts_of(path.stat().st_size):
            if numbers is None or part.number in numbers:
                file.seek(part.start)
                answer = requests.put(upload.address(part.number), data=file.read(part.size), timeout=30)
                assert answer.status_code == 200, answer.text


def held(direct: Any, bucket: str, key: str) -> Any:
    return direct.get_object(Bucket=bucket, Key=key)["Body"].read()


def unfinished(direct: Any, bucket: str) -> Any:
    return direct.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def test_a_file_becomes_one_when_it_is_completed_with_the_etag_that_boto3_gives_it(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    upload = storage.direct(bucket, "data/täst", SIZE)
    assert upload.stored == {}
    send(upload, path)
    assert upload.check(digests(path))
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == [], "nobody sees it before"
    storage.complete(bucket, [upload])
    direct.upload_file(str(path), bucket, "theirs")
    assert held(direct, bucket, "data/täst") == path.read_bytes()
    etags = [direct.head_object(Bucket=bucket, Key=key)["ETag"] for key in ("data/täst", "theirs")]
    assert etags[0] == etags[1] == f'"{upload.etag}"'
    assert unfinished(direct, bucket) == []


def test_no_byte_of_it_passes_our_own_client(
    storage: Storage, proxy: HostileProxy, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    upload = storage.direct(bucket, "file", SIZE)
    asked = proxy.received("PUT")
    for part in parts_of(SIZE):
        upload.address(part.number)
    assert upload.check(digests(path)) is False
    assert proxy.received("PUT") == asked == 0


def test_an_address_is_good_for_one_part_of_one_upload_and_for_minutes(
    storage: Storage, direct: Any, bucket: str
) -> None:
    upload = storage.direct(bucket, "file", SIZE)
    address = upload.address(2)
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert 0 < int(query["Expires"]) - time.time() <= ADDRESS_SECONDS <= 900
    for other in (
        address.replace("partNumber=2", "partNumber=1"),
        address.replace("/file?", "/other?"),
        address.replace(f"Expires={query['Expires']}", "Expires=9999999999"),
        address.replace(query["uploadId"], "x" * len(query["uploadId"])),
    ):
        assert other != address
        assert requests.put(other, data=b"x", timeout=10).status_code == 403
    for method in ("GET", "DELETE", "POST", "HEAD"):
        assert requests.request(method, address, timeout=10).status_code == 403
    assert unfinished(direct, bucket), "and so nobody aborts it either"
    for number in (0, 4):
        with pytest.raises(TransferError, match="no part"):
            upload.address(number)


def test_an_address_says_nothing_when_it_is_logged(storage: Storage, bucket: str) -> None:
    address = storage.direct(bucket, "file", SIZE).address(1)
    query = parse_qs(urlsplit(address).query)
    shown = redact(f"PUT {address} failed")
    for name in ("Signature", "AWSAccessKeyId"):
        assert query[name][0] in address.replace("%40", "@").replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
        assert f"{name}=[hidden]" in shown


def test_what_arrived_is_known_again_after_everything_was_forgotten(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    send(storage.direct(bucket, "file", SIZE), path, {1, 3})
    assert storage.unfinished(bucket) == ["file"]
    upload = storage.direct(bucket, "file", SIZE)
    sums = digests(path)
    assert upload.stored == {1: sums[0], 3: sums[2]}
    assert upload.check(sums) is False
    send(upload, path, {2})
    assert upload.check(sums)
    storage.complete(bucket, [upload])
    assert held(direct, bucket, "file") == path.read_bytes()
    assert storage.unfinished(bucket) == []


def test_parts_of_a_file_of_another_size_do_not_count(
    storage: Storage, bucket: str, make_file: Callable[..., Path]
) -> None:
    send(storage.direct(bucket, "file", SIZE), make_file(SIZE))
    upload = storage.direct(bucket, "file", SIZE + 1)
    assert sorted(upload.stored) == [1, 2], "the last part has another size"
    upload = storage.direct(bucket, "file", PART)
    assert upload.stored == {}, "of one with more parts, not all would be completed: the storage refuses that"
    shorter = make_file(PART, "shorter")
    send(upload, shorter)
    assert upload.check(digests(shorter))
    storage.complete(bucket, [upload])


def test_what_the_storage_does_not_confirm_is_not_completed(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    upload = storage.direct(bucket, "file", SIZE)
    send(upload, path)
    sums = digests(path)
    assert upload.check(sums)
    for wrong in ([], sums[:2], sums[::-1], [*sums, sums[0]], ["0" * 32] * 3, ["../x"] * 3):
        assert upload.check(wrong) is False
        with pytest.raises(TransferError, match="some parts are missing"):
            storage.complete(bucket, [upload])
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == []


def test_a_file_of_that_name_is_replaced_only_when_asked(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    direct.put_object(Bucket=bucket, Key="file", Body=b"older")
    first, second = storage.direct(bucket, "first", SIZE), storage.direct(bucket, "file", SIZE)
    for upload in (first, second):
        send(upload, path)
        assert upload.check(digests(path))
    with pytest.raises(InputError) as caught:
        storage.complete(bucket, [first, second])
    assert caught.value.code == "input-exists"
    assert [entry["Key"] for entry in direct.list_objects(Bucket=bucket)["Contents"]] == ["file"], "nothing was made"
    storage.complete(bucket, [first, second], replace=True)
    assert held(direct, bucket, "file") == path.read_bytes()


def test_a_file_that_came_after_the_look_is_not_replaced(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    upload = storage.direct(bucket, "file", SIZE)
    send(upload, path)
    assert upload.check(digests(path))
    theirs = How(before=lambda: direct.put_object(Bucket=bucket, Key="file", Body=b"theirs"))
    proxy.trouble("HEAD", "/file", how=theirs)  # the last moment at which it is noticed
    with pytest.raises(InputError, match="already another file “file”"):
        storage.complete(bucket, [upload])
    assert held(direct, bucket, "file") == b"theirs"


def test_the_same_file_again_is_no_question_and_completing_twice_neither(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    storage.upload(bucket, [Upload(path, "file")])
    upload = storage.direct(bucket, "file", SIZE)
    send(upload, path)
    assert upload.check(digests(path))
    storage.complete(bucket, [upload])
    storage.complete(bucket, [upload])  # its answer may have been lost
    assert held(direct, bucket, "file") == path.read_bytes()


def test_one_that_is_given_up_leaves_nothing(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    upload = storage.direct(bucket, "file", SIZE)
    send(upload, make_file(SIZE), {1})
    upload.abort()
    upload.abort()
    storage.direct(bucket, "file", SIZE)
    storage.forget_unfinished(bucket, "file")
    assert unfinished(direct, bucket) == []


def test_a_page_is_allowed_to_send_and_other_rules_stay(storage: Storage, direct: Any, bucket: str) -> None:
    theirs = {"AllowedOrigins": ["https://theirs.example"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
    direct.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [theirs]})
    for _ in range(2):
        storage.allow_origin(bucket, PAGE)
    rules = direct.get_bucket_cors(Bucket=bucket)["CORSRules"]
    assert rules == [theirs, {"AllowedOrigins": [PAGE], "AllowedMethods": ["PUT"], "MaxAgeSeconds": 3600}]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_storage_without_such_rules_is_no_trouble_and_none_is_replaced_unseen(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, method: str
) -> None:
    proxy.trouble(method, r"\?cors", how=answer(403, "AccessDenied"))
    storage.allow_origin(bucket, PAGE)
    assert proxy.count(method, r"\?cors") == 1
    with pytest.raises(direct.exceptions.ClientError, match="NoSuchCORSConfiguration"):
        direct.get_bucket_cors(Bucket=bucket)


PIECE = 4 << 20


def pieces(path: Path) -> list[tuple[int, bytes]]:
    """As they come from a browser: each with its offset."""
    content = path.read_bytes()
    return [(offset, content[offset : offset + PIECE]) for offset in range(0, len(content), PIECE)]


@pytest.fixture
def begun(storage: Storage, bucket: str, make_file: Callable[..., Path]) -> tuple[DirectUpload, Path]:
    return storage.direct(bucket, "file", SIZE), make_file(SIZE)


def relay_all(relay: PartBuffer, path: Path) -> None:
    for offset, piece in pieces(path):
        for part in relay.take(offset, piece):
            relay.put(part)


def test_a_file_that_is_relayed_is_that_which_came(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    relay = PartBuffer(storage.direct(bucket, "file", SIZE))
    relay_all(relay, path)
    assert relay.is_sent
    assert relay.check()
    storage.complete(bucket, [relay.upload])
    assert held(direct, bucket, "file") == path.read_bytes()


@given(order=st.lists(st.integers(0, 4), max_size=20))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_that_come_twice_or_too_early_change_nothing(
    begun: tuple[DirectUpload, Path], order: tuple[int, ...]
) -> None:
    upload, path = begun
    relay = PartBuffer(upload)
    there = pieces(path)
    parts = [part for index in [*order, *range(5)] for part in relay.take(*there[index])]
    assert b"".join(part.data for part in parts) == path.read_bytes()
    assert [part.number for part in parts] == [1, 2, 3]
    assert relay.waiting == 3
    assert relay.take(SIZE, b"more") == []


@pytest.mark.parametrize("numbers", [(), (1,), (2,), (1, 2), (1, 2, 3)])
def test_a_relay_that_failed_goes_on_where_the_first_part_is_missing(
    begun: tuple[DirectUpload, Path], proxy: HostileProxy, numbers: tuple[int, ...]
) -> None:
    upload, path = begun
    relay = PartBuffer(upload)
    parts = [part for offset, piece in pieces(path) for part in relay.take(offset, piece)]
    for number in numbers:
        relay.put(parts[number - 1])
    again = relay.again()
    assert again.received == {(): 0, (1,): PART, (2,): 0}.get(numbers, 2 * PART)
    relay_all(again, path)
    assert proxy.received("PUT") == SIZE, "nothing is sent twice"
    assert again.check()


def test_what_an_earlier_page_had_sent_is_relayed_only_where_it_differs(
    storage: Storage, begun: tuple[DirectUpload, Path], proxy: HostileProxy, bucket: str
) -> None:
    upload, path = begun
    send(upload, path, {1, 2})
    path.write_bytes(b"another" + path.read_bytes()[7:])
    relay = PartBuffer(storage.direct(bucket, "file", SIZE))
    asked = proxy.received("PUT")
    relay_all(relay, path)
    assert proxy.received("PUT") - asked == PART + 5, "the first part, which is another one, and the last, which lacked"
    assert relay.check()
