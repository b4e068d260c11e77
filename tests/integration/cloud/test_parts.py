"""Parts and checksums, compared with what boto3 and S3 say of them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.s3.etag import PART_BYTES, Checksum, etag_of_parts, has_parts, part_size, parts_of
from run_qarnot.model.files import MOST_PARTS

pytestmark = pytest.mark.slow

MIB = 1 << 20
sizes = st.one_of(
    st.integers(0, 5 << 40),
    st.integers(0, 200).flatmap(lambda count: st.integers(-1, 1).map(lambda more: max(0, count * PART_BYTES + more))),
    st.integers(-1, 1).map(lambda more: MOST_PARTS * PART_BYTES + more),
)


@given(sizes)
def test_parts_cover_a_file_without_gaps_and_are_not_too_many(size: int) -> None:
    parts = parts_of(size)
    assert sum(part.size for part in parts) == size
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert all(part.start == (part.number - 1) * part_size(size) for part in parts)
    assert all(0 < part.size <= part_size(size) for part in parts)
    assert len(parts) <= MOST_PARTS


@given(sizes)
def test_parts_are_those_of_boto3(size: int) -> None:
    from boto3.s3.transfer import TransferConfig
    from s3transfer.utils import ChunksizeAdjuster

    config = TransferConfig()
    assert has_parts(size) == (size >= config.multipart_threshold)
    if size <= 5_000_000_000_000:
        assert part_size(size) == ChunksizeAdjuster().adjust_chunksize(config.multipart_chunksize, size)


def etag(content: bytes, step: int | None) -> str:
    if step is None:
        return hashlib.md5(content).hexdigest()
    return etag_of_parts([hashlib.md5(content[at : at + step]).digest() for at in range(0, len(content), step)])


@pytest.mark.parametrize("step", [None, 5 * MIB, 8 * MIB, 16 * MIB, 1 << 30])
@pytest.mark.parametrize("size", [1, 5 * MIB + 1, 16 * MIB])
def test_a_checksum_confirms_the_content_and_notices_one_wrong_byte(size: int, step: int | None) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    for pieces in (1 << 18, 3 * MIB + 1):
        right, wrong = (Checksum(f'"{etag(content, step)}"', size) for _ in range(2))
        for at in range(0, size, pieces):
            right.update(content[at : at + pieces])
            wrong.update(content[at : at + pieces])
        assert right.matches() is True
    wrong = Checksum(etag(content, step), size)
    wrong.update(b"\xff" + content[1:])
    assert wrong.matches() is False


@given(st.binary(max_size=40), st.integers(1, 12), st.lists(st.integers(1, 9)))
def test_a_checksum_does_not_depend_on_how_the_content_comes(content: bytes, step: int, cuts: list[int]) -> None:
    from run_qarnot.cloud.s3.etag import _InParts

    running, rest = _InParts(step), content
    for cut in [*cuts, len(content)]:
        running.update(rest[:cut])
        rest = rest[cut:]
    assert running.etag() == (etag(content, step) if content else etag_of_parts([hashlib.md5(b"").digest()]))


@pytest.mark.parametrize("tag", ["", "abc", "d41d8cd98f00b204e9800998ecf8427e-0", "x" * 32, "0" * 32 + "-7-7"])
def test_an_etag_that_is_no_checksum_proves_nothing(tag: str) -> None:
    checksum = Checksum(tag, 10)
    checksum.update(b"0123456789")
    assert checksum.matches() is None


def test_an_etag_in_parts_of_an_unusual_size_proves_nothing() -> None:
    checksum = Checksum("0" * 32 + "-1000", 1000 * 1_000_000)  # parts of 1 MB: no whole MiB
    assert checksum.matches() is None
