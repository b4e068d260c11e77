"""The offset protocol, with what a browser and what an attacker sends."""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repository import ROOT

from run_qarnot.core.errors import InputError, TransferError
from run_qarnot.page import room
from run_qarnot.page.room import SPARE_BYTES
from run_qarnot.page.uploads import LONGEST_PART, Arrival, Trouble, Uploads

DATA = bytes(range(256)) * 40


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def send(uploads: Uploads, number: int, name: str, data: bytes, step: int = 1000) -> None:
    uploads.begin(number, name, len(data))
    for offset in range(0, len(data), step):
        uploads.part(number, offset, data[offset : offset + step])


def test_a_file_arrives_whole_in_a_private_folder(uploads: Uploads) -> None:
    send(uploads, 1, "data/täst.csv", DATA)
    (incoming,) = uploads
    assert incoming.arrival is Arrival.HERE
    assert incoming.key == "data/täst.csv"
    assert incoming.path.read_bytes() == DATA
    assert incoming.path.parent == uploads.folder
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700


def test_an_empty_file_arrives(uploads: Uploads) -> None:
    send(uploads, 1, "empty", b"")
    assert [incoming.arrival for incoming in uploads] == [Arrival.HERE]


def test_an_empty_file_that_the_disk_does_not_take_is_refused(uploads: Uploads) -> None:
    (uploads.folder / "1").symlink_to(uploads.folder / "no such folder" / "x")
    with pytest.raises(TransferError, match="could not be uploaded"):
        uploads.begin(1, "empty", 0)
    assert list(uploads) == []
    uploads.begin(1, "empty", 0)
    assert [incoming.arrival for incoming in uploads] == [Arrival.HERE]


@given(order=st.lists(st.integers(0, 9), max_size=60))
def test_parts_in_any_order_and_number_never_spoil_a_file(order: list[int]) -> None:
    uploads = Uploads()
    data = bytes(range(100))
    uploads.begin(1, "x", len(data))
    for part in [*order, *range(10)]:
        assert uploads.part(1, part * 10, data[part * 10 : part * 10 + 10]) % 10 == 0
    (incoming,) = uploads
    assert incoming.path.read_bytes() == data
    uploads.close()


@pytest.mark.parametrize("offset", [1, 5, 2**53])
def test_gaps_are_not_filled(uploads: Uploads, offset: int) -> None:
    uploads.begin(1, "x", 10)
    assert uploads.part(1, offset, b"abc") == 0


@pytest.mark.parametrize("part", [b"", b"x" * 11, b"x" * (LONGEST_PART + 1)])
def test_parts_of_a_wrong_size_are_dropped(uploads: Uploads, part: bytes) -> None:
    uploads.begin(1, "x", 10)
    assert uploads.part(1, 0, part) == 0


def test_an_unknown_file_is_not_expected(uploads: Uploads) -> None:
    assert uploads.part(7, 0, b"abc") == -1
    uploads.remove(7)
    assert list(uploads) == []
    assert list(uploads.folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "C:x", "a\x00b", "a\nb", " x", "x" * 1001, "\ud800"]
)
def test_unsafe_names_are_refused(uploads: Uploads, name: str) -> None:
    with pytest.raises(InputError):
        uploads.begin(1, name, 1)
    assert list(uploads) == []


def test_one_name_and_one_number_come_once(uploads: Uploads) -> None:
    send(uploads, 1, "x", b"first")
    for number, name in ((1, "y"), (2, "x")):
        with pytest.raises(InputError):
            uploads.begin(number, name, 3)
    (incoming,) = uploads
    assert incoming.path.read_bytes() == b"first"


def test_more_than_the_disk_holds_is_refused_at_once(uploads: Uploads) -> None:
    with pytest.raises(TransferError, match="no disk space"):
        uploads.begin(1, "x", 2**53 - 1)
    assert list(uploads) == []


def test_half_a_file_is_not_here_and_a_broken_one_takes_no_more(uploads: Uploads) -> None:
    uploads.begin(1, "x", 10)
    uploads.part(1, 0, b"abc")
    (incoming,) = uploads
    assert incoming.arrival is Arrival.COMING
    uploads.fail(1, Trouble.UNREADABLE)
    assert uploads.part(1, 3, b"defghij") == -1


def test_thousands_of_files_are_expected_without_one_being_open(uploads: Uploads) -> None:
    uploads.begin(5000, "first", 1)  # from then on the page keeps room on the disk
    before = psutil.Process().num_fds()
    for number in range(2000):
        uploads.begin(number, f"{number}", 1)
    assert psutil.Process().num_fds() <= before


def test_a_broken_file_is_tried_again_and_what_arrived_is_kept(uploads: Uploads) -> None:
    uploads.begin(1, "x", 10)
    uploads.part(1, 0, b"abc")
    uploads.fail(1, Trouble.UNREADABLE)
    uploads.retry(1)
    (incoming,) = uploads
    assert (incoming.arrival, incoming.trouble, uploads.received(1)) == (Arrival.COMING, Trouble.NONE, 3)
    assert uploads.part(1, 3, b"defghij") == 10
    assert incoming.arrival is Arrival.HERE
    assert incoming.path.read_bytes() == b"abcdefghij"


def test_only_a_broken_file_is_tried_again(uploads: Uploads) -> None:
    send(uploads, 1, "x", b"abc")
    for number in (1, 2):
        uploads.retry(number)
        uploads.fail(number, Trouble.UNREADABLE)
    (incoming,) = uploads
    assert incoming.arrival is Arrival.HERE
    assert incoming.path.read_bytes() == b"abc"


def test_a_full_disk_breaks_the_file_and_is_said(uploads: Uploads) -> None:
    incoming = uploads.begin(1, "x", 10)

    class Full:
        """Takes a piece of what it is given, as a disk does that gets full."""

        def write(self, data: bytes) -> int:
            incoming.path.write_bytes(data[:2])
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    incoming.close()
    incoming.stream = Full()  # type: ignore[assignment]
    with pytest.raises(TransferError, match="No space left"):
        uploads.part(1, 0, b"abc")
    assert (incoming.arrival, incoming.trouble) == (Arrival.BROKEN, Trouble.DISK)
    uploads.retry(1)
    assert uploads.part(1, 0, b"0123456789") == 10
    assert incoming.path.read_bytes() == b"0123456789"


def test_what_a_session_reads_is_kept_when_the_list_is_cleared(uploads: Uploads) -> None:
    send(uploads, 1, "x", b"abc")
    files = tuple(uploads)
    uploads.keep(files)
    uploads.clear()
    send(uploads, 2, "y", b"def")
    assert [incoming.key for incoming in uploads] == ["y"]
    uploads.restore(files)
    assert [incoming.key for incoming in uploads] == ["y", "x"], "what is in the list stays there"
    uploads.clear()
    assert [path.read_bytes() for path in uploads.folder.iterdir()] == [b"abc"]


def test_of_two_of_a_name_the_one_in_the_list_stays(uploads: Uploads) -> None:
    send(uploads, 1, "x", b"old")
    files = tuple(uploads)
    uploads.keep(files)
    uploads.clear()
    send(uploads, 2, "x", b"newer")
    uploads.restore(files)
    assert [(incoming.key, incoming.size) for incoming in uploads] == [("x", 5)]


def test_a_list_that_is_full_says_so(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run_qarnot.page.uploads.MOST_FILES", 1)
    send(uploads, 1, "x", b"abc")
    with pytest.raises(InputError, match="one file too many: the list can have 1"):
        uploads.begin(2, "y", 1)


def test_the_folder_goes_with_its_owner(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    send(uploads, 1, "x", b"abc")
    del uploads
    assert list(tmp_path.iterdir()) == []


# room on the disk


class OtherPage:
    """A page of the same server: a process of its own, which expects bytes until it is ended."""

    def __init__(self, folder: Path, size: int) -> None:
        program = (
            "import sys, pathlib; from run_qarnot.page.uploads import Uploads\n"
            "uploads = Uploads(pathlib.Path(sys.argv[1])); uploads.begin(1, 'other', int(sys.argv[2]))\n"
            "print('expects', flush=True); sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(size)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "expects\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def free(folder: Path) -> int:
    return shutil.disk_usage(folder).free - SPARE_BYTES


def test_files_that_are_announced_together_need_room_together(uploads: Uploads, tmp_path: Path) -> None:
    size = free(tmp_path) * 6 // 10
    uploads.begin(1, "first", size)
    with pytest.raises(TransferError, match="no disk space"):
        uploads.begin(2, "second", size)
    assert [incoming.key for incoming in uploads] == ["first"]
    uploads.remove(1)
    uploads.begin(2, "second", size)


def test_files_of_other_pages_need_room_too_until_those_pages_end(uploads: Uploads, tmp_path: Path) -> None:
    size = free(tmp_path) * 6 // 10
    other = OtherPage(tmp_path, size)
    try:
        with pytest.raises(TransferError, match="no disk space"):
            uploads.begin(1, "ours", size)
    finally:
        other.kill()
    uploads.begin(1, "ours", size)


def test_writing_stops_before_the_disk_is_full(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads.begin(1, "x", 2000)
    assert uploads.part(1, 0, b"x" * 1000) == 1000
    monkeypatch.setattr(room, "SPARE_BYTES", 2**60)  # others have filled the disk meanwhile
    with pytest.raises(TransferError, match="no disk space"):
        uploads.part(1, 1000, b"x" * 1000)
    (incoming,) = uploads
    assert (incoming.arrival, incoming.trouble, incoming.received) == (Arrival.BROKEN, Trouble.DISK, 1000)
    with pytest.raises(TransferError, match="no disk space"):
        uploads.retry(1)
    monkeypatch.undo()
    uploads.retry(1)
    assert uploads.part(1, 1000, b"x" * 1000) == 2000
    assert incoming.arrival is Arrival.HERE


@given(
    steps=st.lists(st.tuples(st.sampled_from(["begin", "part", "fail", "retry", "remove", "here"]), st.integers(1, 3)))
)
def test_what_is_reserved_is_what_is_still_to_come(steps: list[tuple[str, int]]) -> None:
    uploads = Uploads()
    for step, number in steps:
        incoming = uploads.find(number)
        with contextlib.suppress(InputError):
            match step:
                case "begin":
                    uploads.begin(number, f"{number}", 100)
                case "part" if incoming is not None:
                    uploads.part(number, incoming.received, b"x" * 30)
                    uploads.part(number, incoming.received, b"x" * (100 - incoming.received))
                case "fail":
                    uploads.fail(number, Trouble.UNREADABLE)
                case "retry":
                    uploads.retry(number)
                case "remove":
                    uploads.remove(number)
                case "here" if incoming is not None:
                    uploads.take_here(incoming)
        coming = [each for each in uploads if each.arrival is Arrival.COMING]
        assert uploads.room._expected == sum(each.size - each.received for each in coming)
    uploads.close()
