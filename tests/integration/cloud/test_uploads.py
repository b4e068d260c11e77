"""Uploads through a network that goes wrong: nothing is lost, little is sent twice, all is compared."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.command import clean_environment
from support.hostile import HostileProxy, How, answer
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import InputError, RefusedError, TransferError
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.slow

MIB = 1 << 20
PART = 8 * MIB
IN_FLIGHT = 4 * PART  # what may be under way, and lost, when the network goes


def held(direct: Any, bucket: str, key: str) -> Any:
    return direct.get_object(Bucket=bucket, Key=key)["Body"].read()


def unfinished(direct: Any, bucket: str) -> Any:
    return direct.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 5])
def test_a_file_arrives_whole_with_the_etag_that_boto3_gives_it(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path], size: int
) -> None:
    path, told = make_file(size), list[Any]()
    storage.upload(bucket, [Upload(path, "ours")], told.append)
    direct.upload_file(str(path), bucket, "theirs")
    ours, theirs = (direct.head_object(Bucket=bucket, Key=key) for key in ("ours", "theirs"))
    assert held(direct, bucket, "ours") == path.read_bytes()
    assert ours["ETag"] == theirs["ETag"]
    assert sum(told) == size
    assert unfinished(direct, bucket) == []


def test_what_is_there_already_is_not_sent_again(
    storage: Storage, proxy: HostileProxy, bucket: str, make_file: Callable[..., Path]
) -> None:
    uploads = [Upload(make_file(size, name), name) for name, size in {"a": 100, "b": 2 * PART + 1}.items()]
    storage.upload(bucket, uploads)
    proxy.heal()
    told: list[Any] = []
    storage.upload(bucket, uploads, told.append)
    assert proxy.received("PUT") == proxy.received("POST") == 0
    assert proxy.count("PUT") == proxy.count("POST") == 0
    assert sum(told) == 2 * PART + 101


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_an_upload_that_is_interrupted_goes_on_with_the_parts_that_arrived(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path], percent: int
) -> None:
    size = 10 * PART + 12345
    path, told = make_file(size), list[Any]()
    proxy.cut_after(size * percent // 100)
    with pytest.raises(TransferError, match=r"file\.bin.*could not be uploaded"):
        storage.upload(bucket, [Upload(path, "file.bin")], told.append)
    assert sum(told) <= size
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == []
    upload = unfinished(direct, bucket)[0]
    parts = direct.list_parts(Bucket=bucket, Key="file.bin", UploadId=upload["UploadId"]).get("Parts", [])
    arrived = sum(part["Size"] for part in parts)
    assert arrived >= size * percent // 100 - IN_FLIGHT
    proxy.heal()
    told = []
    storage.upload(bucket, [Upload(path, "file.bin")], told.append)
    assert proxy.received("PUT", "partNumber") == size - arrived
    assert sum(told) == size
    assert held(direct, bucket, "file.bin") == path.read_bytes()
    assert unfinished(direct, bucket) == []


def test_an_upload_whose_process_is_killed_goes_on_in_the_next(
    storage: Storage,
    cluster: LocalCluster,
    proxy: HostileProxy,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
) -> None:
    size = 9 * PART
    path = make_file(size)
    program = (
        "import sys; from pathlib import Path; from qarnot.connection import Connection\n"
        "from run_qarnot.cloud.s3.client import Storage; from run_qarnot.model.files import Upload\n"
        "storage = Storage(Connection(show_bucket_warnings=False).s3client, '')\n"
        "storage.upload(sys.argv[1], [Upload(Path(sys.argv[2]), 'file.bin')])\n"
    )
    proxy.trouble("PUT", "partNumber", how=How(hang=True), times=99, skip=5)
    environment = clean_environment(
        QARNOT_CLUSTER_URL=cluster.cluster_url, QARNOT_STORAGE_URL=proxy.url, QARNOT_CLIENT_TOKEN=cluster.token
    )
    process = subprocess.Popen([sys.executable, "-c", program, bucket, str(path)], env=environment)
    try:
        wait_until(lambda: proxy.count("PUT", "partNumber") >= 9, "parts", 30)
    finally:
        process.kill()
        process.wait()
    proxy.heal()
    storage.upload(bucket, [Upload(path, "file.bin")])
    assert proxy.received("PUT", "partNumber") == 4 * PART
    assert held(direct, bucket, "file.bin") == path.read_bytes()


def test_of_several_broken_attempts_one_is_gone_on_with_and_the_others_are_aborted(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(2 * PART)
    for _ in range(3):
        direct.create_multipart_upload(Bucket=bucket, Key="file.bin")
    other = direct.create_multipart_upload(Bucket=bucket, Key="somebody-elses")["UploadId"]
    storage.upload(bucket, [Upload(path, "file.bin")])
    assert [each["UploadId"] for each in unfinished(direct, bucket)] == [other]
    assert held(direct, bucket, "file.bin") == path.read_bytes()


def test_parts_of_another_content_are_not_taken_for_ours(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    proxy.cut_after(3 * PART)
    with pytest.raises(TransferError):
        storage.upload(bucket, [Upload(make_file(6 * PART, seed=1), "file.bin")])
    proxy.heal()
    path = make_file(4 * PART, seed=2)
    storage.upload(bucket, [Upload(path, "file.bin")])
    assert held(direct, bucket, "file.bin") == path.read_bytes()


@pytest.mark.parametrize(
    "how",
    [
        answer(503, "SlowDown"),
        answer(500, "InternalError"),
        answer(400, "RequestTimeout"),
        How(cut_request_at=MIB),
        How(lose_answer=True),
        How(flip_request_at=4 * MIB),
        How(flip_request_at=100),
    ],
    ids=str,
)
def test_trouble_that_passes_is_overcome(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path], how: How
) -> None:
    path, told = make_file(4 * PART), list[Any]()
    proxy.trouble("PUT", "partNumber", how=how, times=2)
    storage.upload(bucket, [Upload(path, "file.bin")], told.append)
    assert held(direct, bucket, "file.bin") == path.read_bytes()
    assert sum(told) == 4 * PART


def test_a_small_file_that_is_changed_on_the_way_is_sent_again(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(5000)
    proxy.trouble("PUT", "small", how=How(flip_request_at=4321))
    storage.upload(bucket, [Upload(path, "small")])
    assert held(direct, bucket, "small") == path.read_bytes()


def test_bytes_that_are_always_changed_on_the_way_are_noticed_and_said(
    storage: Storage, proxy: HostileProxy, bucket: str, make_file: Callable[..., Path]
) -> None:
    proxy.trouble("PUT", "partNumber=2", how=How(flip_request_at=4 * MIB), times=99)
    with pytest.raises(TransferError, match=r"its checksum in the storage is not that of the file\."):
        storage.upload(bucket, [Upload(make_file(4 * PART), "file.bin")])


@pytest.mark.parametrize("method_and_path", [("POST", "uploads"), ("POST", "uploadId")])
def test_an_answer_that_gets_lost_makes_no_difference(
    storage: Storage,
    proxy: HostileProxy,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
    method_and_path: tuple[str, str],
) -> None:
    path = make_file(2 * PART)
    proxy.trouble(*method_and_path, how=How(lose_answer=True))
    if method_and_path[1] == "uploadId":  # asked again, a storage knows of no such upload: it is completed
        proxy.trouble(*method_and_path, how=answer(404, "NoSuchUpload"))
    storage.upload(bucket, [Upload(path, "file.bin")])
    assert held(direct, bucket, "file.bin") == path.read_bytes()


def test_a_full_bucket_in_the_middle_is_said_and_what_arrived_is_kept(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(6 * PART)

    def three_arrived() -> bool:
        return sum(call.is_of("PUT", "partNumber") and call.is_answered for call in proxy.calls) == 3

    full = How(status=403, code="QuotaExceeded", before=lambda: wait_until(three_arrived, "three parts to arrive"))
    proxy.trouble("PUT", "partNumber", how=full, times=99, skip=3)
    with pytest.raises(RefusedError, match="The storage of the account is full") as error:
        storage.upload(bucket, [Upload(make_file(10, "first"), "first"), Upload(path, "file.bin")])
    assert "what was stored before is kept" in error.value.todo
    assert held(direct, bucket, "first")
    assert proxy.count("PUT", "partNumber") <= 3 + 4  # nobody tries again what is refused
    proxy.heal()
    storage.upload(bucket, [Upload(make_file(10, "first"), "first"), Upload(path, "file.bin")])
    assert proxy.received("PUT", "partNumber") == 3 * PART
    assert held(direct, bucket, "file.bin") == path.read_bytes()


@pytest.mark.parametrize("how", [How(hang=True), How(seconds=0.2)], ids=["dead network", "slow network"])
def test_cancel_acts_at_once(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path], how: How
) -> None:
    path, cancelled = make_file(6 * PART), threading.Event()
    proxy.trouble("PUT", "partNumber", how=how, times=99)

    def give_up() -> None:
        wait_until(lambda: proxy.count("PUT", "partNumber"), "a part")
        cancelled.set()

    threading.Thread(target=give_up, daemon=True).start()
    with pytest.raises(TransferError, match="cancelled"):
        storage.upload(bucket, [Upload(path, "file.bin")], cancelled=cancelled.is_set)
    asked = time.monotonic()
    assert cancelled.is_set()
    assert time.monotonic() - asked < 1
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == []


def test_cancel_acts_at_once_while_another_attempt_is_waited_for(
    client: Any, proxy: HostileProxy, bucket: str, make_file: Callable[..., Path]
) -> None:
    from run_qarnot.cloud.s3.client import Storage

    cancelled = threading.Event()
    proxy.trouble("PUT", "small", how=answer(503, "SlowDown"), times=99)

    def give_up() -> None:
        wait_until(lambda: proxy.count("PUT", "small"), "the first")
        cancelled.set()

    threading.Thread(target=give_up, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(TransferError, match="cancelled"):
        Storage(client, "", (60.0,)).upload(bucket, [Upload(make_file(10), "small")], cancelled=cancelled.is_set)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("size", [PART - 100, 3 * PART])
def test_a_file_that_changes_on_the_way_is_noticed_and_not_stored(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path], size: int
) -> None:
    path = make_file(size)

    def change() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    proxy.trouble("PUT", "file", how=How(before=change, status=503, code="SlowDown"))
    with pytest.raises(TransferError, match="changed while it was uploaded"):
        storage.upload(bucket, [Upload(path, "file.bin")])
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == []


def test_a_file_that_changes_behind_the_last_part_is_not_completed(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(PART)
    proxy.trouble("PUT", "partNumber", how=How(before=lambda: os.utime(path, ns=(1, 1))))
    with pytest.raises(TransferError, match="changed while it was uploaded"):
        storage.upload(bucket, [Upload(path, "file.bin")])
    assert direct.list_objects(Bucket=bucket).get("Contents", []) == []


def test_a_file_that_vanishes_is_said(storage: Storage, bucket: str, make_file: Callable[..., Path]) -> None:
    path = make_file(10)
    upload = Upload(path, "file.bin")
    path.unlink()
    with pytest.raises(TransferError, match=r"file\.bin.*No such file"):
        storage.upload(bucket, [upload])


def test_another_file_of_the_same_name_is_not_replaced_unless_that_is_wanted(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    old, new, other = make_file(10, "old", 1), make_file(10, "new", 2), make_file(10, "other", 3)
    storage.upload(bucket, [Upload(old, "data")])
    proxy.heal()
    with pytest.raises(InputError, match="already another file “data”"):
        storage.upload(bucket, [Upload(other, "other"), Upload(new, "data")])
    assert proxy.count("PUT") == 0
    assert held(direct, bucket, "data") == old.read_bytes()
    storage.upload(bucket, [Upload(other, "other"), Upload(new, "data")], replace=True)
    assert held(direct, bucket, "data") == new.read_bytes()


@pytest.mark.parametrize(("size", "last"), [(10, ("PUT", "/data")), (PART, ("HEAD", "/data"))])
def test_a_file_that_came_while_ours_travelled_stays(
    storage: Storage,
    proxy: HostileProxy,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
    size: int,
    last: tuple[str, str],
) -> None:
    theirs = lambda: direct.put_object(Bucket=bucket, Key="data", Body=b"theirs")  # noqa: E731
    proxy.trouble(*last, how=How(before=theirs))
    with pytest.raises(InputError, match="already another file “data”"):
        storage.upload(bucket, [Upload(make_file(size), "data")])
    assert held(direct, bucket, "data") == b"theirs"


def test_a_storage_that_does_not_tell_of_unfinished_uploads_gets_the_whole_file(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    proxy.trouble("GET", r"\?uploads", how=answer(403, "AccessDenied"), times=9)
    path = make_file(2 * PART)
    storage.upload(bucket, [Upload(path, "file.bin")])
    assert held(direct, bucket, "file.bin") == path.read_bytes()


def test_a_deleted_bucket_leaves_no_unfinished_uploads(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str
) -> None:
    direct.create_multipart_upload(Bucket=bucket, Key="a")
    storage.delete_bucket(bucket)
    assert proxy.count("DELETE", r"/a\?uploadId=") == 1
    direct.create_bucket(Bucket=bucket)
    assert unfinished(direct, bucket) == []


def test_of_many_small_files_none_is_lost(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    uploads = [Upload(make_file(number, f"d/{number}"), f"d/{number}") for number in range(200)]
    storage.upload(bucket, uploads)
    listed = {each["Key"]: each["ETag"].strip('"') for each in direct.list_objects(Bucket=bucket)["Contents"]}
    assert listed == {each.key: hashlib.md5(each.path.read_bytes()).hexdigest() for each in uploads}


def test_a_list_that_fails_for_a_moment_is_asked_again_and_never_empty(
    storage: Storage, proxy: HostileProxy, direct: Any, bucket: str
) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: direct.put_object(Bucket=bucket, Key=f"{n:04} é&+", Body=b""), range(1005)))
    for skip in (0, 1):  # the first page, and the second
        proxy.trouble("GET", "prefix=", how=answer(503, "SlowDown"), skip=skip)
        assert [file.key for file in storage.files(bucket)] == [f"{number:04} é&+" for number in range(1005)]
    proxy.trouble("GET", "prefix=", how=answer(503, "SlowDown"))
    assert storage.files(bucket)
