"""Downloads and zips through a network that goes wrong: whole and compared, or not there at all."""

from __future__ import annotations

import errno
import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.hostile import HostileProxy, How, answer
from support.waiting import wait_until

from run_qarnot.cloud.s3 import download, etag
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import InputError, TransferError
from run_qarnot.model.files import StoredFile

pytestmark = pytest.mark.slow

MIB = 1 << 20
PART = 8 * MIB

Put = Callable[..., Any]


@pytest.fixture
def put(direct: Any, bucket: str, make_file: Callable[..., Path]) -> Put:
    """Put an object into the bucket past the proxy; return its content."""

    def put(key: str, size: int, seed: int = 0) -> bytes:
        path = make_file(size, "put", seed)
        direct.upload_file(str(path), bucket, key)
        return path.read_bytes()

    return put


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]


def unzipped(pieces: Iterator[bytes]) -> dict[str, bytes]:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    return {name: archive.read(name) for name in archive.namelist()}


def test_files_arrive_whole_in_folders_and_in_a_zip(storage: Storage, bucket: str, put: Put, tmp_path: Path) -> None:
    contents = {key: put(key, size) for key, size in {"e": 0, "a/b": 1, "c": PART - 1, "d": 2 * PART + 7}.items()}
    told: list[Any] = []
    assert storage.download(bucket, storage.files(bucket), tmp_path / "out", told.append) == []
    assert {key: (tmp_path / "out" / key).read_bytes() for key in contents} == contents
    assert files_in(tmp_path / "out") == set(contents)
    assert sum(told) == 3 * PART + 7
    assert unzipped(storage.zip(bucket, storage.files(bucket))) == contents


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_download_that_is_interrupted_goes_on_with_what_arrived(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path, percent: int
) -> None:
    size = 6 * PART + 321
    content = put("file.bin", size)
    part, within = divmod(size * percent // 100, PART)
    proxy.trouble("GET", "file.bin", how=How(cut_answer_at=within), skip=part)
    proxy.trouble("GET", "file.bin", how=answer(503, "SlowDown"), times=99, skip=part)
    told: list[Any] = []
    with pytest.raises(TransferError, match=r"file\.bin.*could not be downloaded"):
        storage.download(bucket, storage.files(bucket), tmp_path, told.append)
    (partial,) = tmp_path.glob(".partial-*")
    assert not (tmp_path / "file.bin").exists()
    have = partial.stat().st_size
    assert sum(told) <= have
    assert have >= part * PART - 3 * PART
    wait_until(lambda: not readers(), "the threads that read ahead for the first attempt to end")
    proxy.heal()
    told = []
    storage.download(bucket, storage.files(bucket), tmp_path, told.append)
    assert proxy.answered("GET", "file.bin") == size - have
    assert sum(told) == size
    assert (tmp_path / "file.bin").read_bytes() == content
    assert list(tmp_path.glob(".partial-*")) == []


@pytest.mark.parametrize(
    "how", [answer(503, "SlowDown"), answer(500, "InternalError"), How(cut_answer_at=MIB)], ids=str
)
def test_trouble_that_passes_is_overcome(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path, how: How
) -> None:
    content = put("file.bin", 3 * PART)
    proxy.trouble("GET", "file.bin", how=how, times=3)
    storage.download(bucket, storage.files(bucket), tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == content
    proxy.trouble("GET", "file.bin", how=how, times=2)
    assert unzipped(storage.zip(bucket, storage.files(bucket))) == {"file.bin": content}


def test_a_body_that_breaks_off_again_and_again_is_gone_on_with_as_long_as_it_comes_further(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    content = put("file.bin", 5 * MIB)
    proxy.trouble(
        "GET", "file.bin", how=How(cut_answer_at=MIB // 2, gently=True), times=9
    )  # more often than a dead storage is asked
    assert unzipped(storage.zip(bucket, storage.files(bucket))) == {"file.bin": content}


def test_what_an_earlier_attempt_brought_is_not_read_again(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    contents = {key: put(key, size, size) for key, size in {"a": 10, "b": PART + 1, "c": 30}.items()}
    storage.download(bucket, [file for file in storage.files(bucket) if file.key != "c"], tmp_path)
    files = storage.files(bucket)
    proxy.heal()
    told: list[Any] = []
    storage.download(bucket, files, tmp_path, told.append)
    assert proxy.answered("GET") == 30
    assert sum(told) == PART + 41
    assert {key: (tmp_path / key).read_bytes() for key in contents} == contents


@pytest.mark.parametrize("what", ["other content", "folder", "dangling link"])
def test_what_is_there_is_not_overwritten_and_nothing_is_written(
    storage: Storage, bucket: str, put: Put, tmp_path: Path, what: str
) -> None:
    put("a", 10)
    put("b", 10)
    out = tmp_path / "out"
    out.mkdir()
    make: Callable[[], object] = {
        "other content": lambda: (out / "b").write_bytes(b"0123456789"),
        "folder": lambda: (out / "b").mkdir(),
        "dangling link": lambda: (out / "b").symlink_to(tmp_path / "nowhere"),
    }[what]
    make()
    with pytest.raises(InputError, match="already exists"):
        storage.download(bucket, storage.files(bucket), out)
    assert [path.name for path in out.iterdir()] == ["b"]
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_appears_while_ours_is_under_way_is_not_overwritten(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    put("a", 10)
    proxy.trouble("GET", "/a$", how=How(before=lambda: (tmp_path / "a").write_text("theirs")))
    with pytest.raises(InputError, match="already exists"):
        storage.download(bucket, storage.files(bucket), tmp_path)
    assert (tmp_path / "a").read_text() == "theirs"


def test_a_plain_file_with_wrong_bytes_is_brought_again_and_refused_when_that_does_not_help(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    content = put("a", 5000)
    proxy.trouble("GET", "/a$", how=How(flip_answer_at=1234))
    told: list[Any] = []
    storage.download(bucket, storage.files(bucket), tmp_path, told.append)
    assert (tmp_path / "a").read_bytes() == content
    assert sum(told) == 5000
    (tmp_path / "a").unlink()
    proxy.trouble("GET", "/a$", how=How(flip_answer_at=1234), times=99)
    with pytest.raises(TransferError, match="not have the checksum"):
        storage.download(bucket, storage.files(bucket), tmp_path)
    assert list(tmp_path.glob("*")) == [tmp_path / "put"]
    assert not list(tmp_path.glob(".partial*"))
    with pytest.raises(TransferError, match="not have the checksum"):
        unzipped(storage.zip(bucket, storage.files(bucket)))


def test_a_file_in_parts_with_wrong_bytes_is_brought_again(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    content = put("file.bin", 3 * PART)
    proxy.trouble("GET", "file.bin", how=How(flip_answer_at=MIB))
    assert storage.download(bucket, storage.files(bucket), tmp_path) == []
    assert (tmp_path / "file.bin").read_bytes() == content


def test_a_file_in_parts_whose_checksum_stays_wrong_is_kept_and_said(
    storage: Storage, direct: Any, bucket: str, tmp_path: Path
) -> None:
    """Perhaps it was uploaded in parts of a size that nobody guesses; a result must not be out of reach for that."""
    upload = direct.create_multipart_upload(Bucket=bucket, Key="odd")["UploadId"]
    parts = []
    for number, size in enumerate([6 * MIB + 1, 6 * MIB + 1, 4 * MIB], start=1):
        names = {"Bucket": bucket, "Key": "odd", "UploadId": upload, "PartNumber": number}
        parts.append({"PartNumber": number, "ETag": direct.upload_part(**names, Body=b"x" * size)["ETag"]})
    names = {"Bucket": bucket, "Key": "odd", "UploadId": upload}
    direct.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    assert storage.download(bucket, storage.files(bucket), tmp_path) == ["odd"]
    assert (tmp_path / "odd").read_bytes() == b"x" * (16 * MIB + 2)


@pytest.mark.parametrize("size", [1000, 4 * PART])
def test_a_file_that_is_replaced_meanwhile_arrives_in_one_version(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path, size: int
) -> None:
    put("other", 10)
    put("file.bin", size, seed=1)
    new = []
    proxy.trouble(
        "GET", "file.bin", how=How(before=lambda: new.append(put("file.bin", size + 5, seed=2))), skip=size > PART
    )
    told: list[Any] = []
    storage.download(bucket, storage.files(bucket), tmp_path / "out", told.append)
    assert (tmp_path / "out/file.bin").read_bytes() == new[0]
    assert sum(told) == size + 15
    assert files_in(tmp_path / "out") == {"file.bin", "other"}


def test_what_was_begun_of_an_older_version_is_not_gone_on_with(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path
) -> None:
    put("file.bin", 3 * PART, seed=1)
    proxy.trouble("GET", "file.bin", how=answer(403, "AccessDenied"), times=99, skip=2)
    with pytest.raises(TransferError):
        storage.download(bucket, storage.files(bucket), tmp_path / "out")
    proxy.heal()
    content = put("file.bin", 3 * PART, seed=2)
    storage.download(bucket, storage.files(bucket), tmp_path / "out")
    assert (tmp_path / "out/file.bin").read_bytes() == content
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file.bin"]


def test_in_a_zip_a_file_that_changed_since_the_list_is_the_new_one(storage: Storage, bucket: str, put: Put) -> None:
    put("log", 10, seed=1)
    files = storage.files(bucket)
    assert unzipped(storage.zip(bucket, files)) != {"log": (new := put("log", 20, seed=2))}
    assert unzipped(storage.zip(bucket, files)) == {"log": new}


@pytest.mark.parametrize(
    "how", [How(cut_answer_at=3 * MIB), answer(404, "NoSuchKey"), answer(403, "AccessDenied")], ids=str
)
def test_a_zip_that_cannot_be_completed_raises_in_the_middle(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, how: How
) -> None:
    put("a", 100)
    put("b", 5 * MIB)
    proxy.trouble("GET", "/b$", how=how)
    proxy.trouble("GET", "/b$", how=answer(503, "SlowDown"), times=99)
    pieces: list[bytes] = []
    with pytest.raises(TransferError, match="“b” could not be downloaded"):
        pieces.extend(storage.zip(bucket, storage.files(bucket)))
    assert not zipfile.is_zipfile(io.BytesIO(b"".join(pieces)))


def test_a_file_replaced_while_a_zip_reads_it_again_is_no_mixture(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put
) -> None:
    put("b", 5 * MIB, seed=1)
    proxy.trouble("GET", "/b$", how=How(cut_answer_at=3 * MIB))
    proxy.trouble("GET", "/b$", how=How(before=lambda: put("b", 5 * MIB, seed=2)))
    with pytest.raises(TransferError, match="replaced while it was read"):
        list(storage.zip(bucket, storage.files(bucket)))


@pytest.mark.parametrize("way", ["download", "zip"])
def test_cancel_acts_at_once(
    storage: Storage, proxy: HostileProxy, bucket: str, put: Put, tmp_path: Path, way: str
) -> None:
    put("file.bin", 3 * PART)
    files, cancelled = storage.files(bucket), threading.Event()
    proxy.trouble("GET", "file.bin", how=How(hang=True), times=99)

    def give_up() -> None:
        wait_until(lambda: proxy.count("GET", "file.bin"), "it")
        cancelled.set()

    threading.Thread(target=give_up, daemon=True).start()
    started = time.monotonic()
    move: Callable[[], object] = {
        "download": lambda: storage.download(bucket, files, tmp_path / "out", cancelled=cancelled.is_set),
        "zip": lambda: list(storage.zip(bucket, files, cancelled=cancelled.is_set)),
    }[way]
    with pytest.raises(TransferError, match="cancelled"):
        move()
    assert time.monotonic() - started < 5
    assert not (tmp_path / "out/file.bin").exists()


def test_a_zip_that_nobody_takes_any_more_stops_its_readers(storage: Storage, bucket: str, put: Put) -> None:
    for number in range(12):
        put(f"{number}", 5 * MIB)
    pieces: Any = storage.zip(bucket, storage.files(bucket))  # a generator: it can be closed
    next(pieces)
    wait_until(lambda: [each for each in threading.enumerate() if each.name.startswith("reader-")], "readers")
    pieces.close()
    wait_until(lambda: not [each for each in threading.enumerate() if each.name.startswith("reader-")], "their end")


def test_a_full_disk_is_said_and_not_kept_full(
    storage: Storage, bucket: str, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("file.bin", 2 * PART)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(etag.Checksum, "update", full)  # where the disk would be written to
    with pytest.raises(TransferError, match=r"could not be written: No space left on device\."):
        storage.download(bucket, storage.files(bucket), tmp_path / "out")
    assert files_in(tmp_path / "out") == set()


def test_hostile_names_stay_inside_and_apart(storage: Storage, direct: Any, bucket: str, tmp_path: Path) -> None:
    keys = [
        "../../up", "/absolute", "C:\\windows\\x", "a", "a/b", "Data", "data", "con.txt", "dots...", "é" * 400,
        "x/../../y", ".partial-0", "trailing ", "colon:stream", "~root/x",
    ]  # fmt: skip
    for key in keys:
        direct.put_object(Bucket=bucket, Key=key, Body=key.encode())
    direct.put_object(Bucket=bucket, Key="folder/", Body=b"")
    direct.put_object(Bucket=bucket, Key="folder/inside", Body=b"folder/inside")
    out = tmp_path / "deep/er/out"
    storage.download(bucket, storage.files(bucket), out)
    wanted = sorted(key.encode() for key in [*keys, "folder/inside"])
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) == wanted
    assert len(files_in(out)) == len(wanted)
    assert (out / "folder/inside").exists()
    zipped = unzipped(storage.zip(bucket, storage.files(bucket)))
    assert sorted(zipped.values()) == wanted
    for name in zipped:
        assert not name.startswith("/")
        assert not {"..", ""} & set(name.split("/"))


def test_a_name_that_pretends_to_be_our_partial_file_mixes_nothing(
    storage: Storage, direct: Any, bucket: str, put: Put, tmp_path: Path
) -> None:
    content = put("a", 1000)
    etag = hashlib.md5(content).hexdigest()
    pretender = f".partial-{download._short('a')}-{download._short(f'{etag} 1000')}"
    direct.put_object(Bucket=bucket, Key=pretender, Body=b"hostile")
    storage.download(bucket, storage.files(bucket), tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == content
    assert (tmp_path / "out" / pretender).read_bytes() == b"hostile"


class Zeros(io.RawIOBase):
    """A body of so many zeros. A real storage in this process cannot hold five thousand million of them."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, count: int = -1) -> bytes:
        count = min(count, self._left)
        self._left -= count
        return bytes(count)


class EndlessClient:
    """As much of boto3\'s client as a download asks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.meta = self
        self.events = self

    def unregister(self, *_: Any, **__: Any) -> None: ...
    def register(self, *_: Any, **__: Any) -> None: ...
    def register_last(self, *_: Any, **__: Any) -> None: ...

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": Zeros(self._size), "ContentLength": self._size, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _storage_of(size: int) -> Storage:
    client: Any = EndlessClient(size)
    return Storage(client, "")


def test_a_zip_may_hold_files_over_4_gib_and_many_of_them(tmp_path: Path) -> None:
    size = (4 << 30) + 10
    files = [StoredFile("large", size, datetime.now(UTC))]
    path = tmp_path / "large.zip"
    with path.open("wb") as archive:  # a sparse file: zeros are skipped
        for piece in _storage_of(size).zip("bucket", files):
            archive.seek(len(piece), io.SEEK_CUR) if len(piece) == 1 << 18 else archive.write(piece)
    assert [(entry.filename, entry.file_size) for entry in zipfile.ZipFile(path).infolist()] == [("large", size)]


def test_a_zip_may_hold_more_than_65535_files() -> None:
    files = [StoredFile(f"{number}", 0, datetime.now(UTC)) for number in range(65_600)]
    pieces = io.BytesIO(b"".join(_storage_of(0).zip("bucket", files)))
    assert len(zipfile.ZipFile(pieces).namelist()) == 65_600
