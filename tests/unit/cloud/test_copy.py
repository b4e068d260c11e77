"""In how many parts the storage copies a file."""

from __future__ import annotations

from itertools import pairwise

import pytest

from run_qarnot.cloud.s3.copy import LARGE_BYTES, PART_BYTES, _parts_of


@pytest.mark.parametrize("size", [0, 1, LARGE_BYTES - 1])
def test_what_is_not_large_is_copied_at_once(size: int) -> None:
    assert _parts_of(size) == []


@pytest.mark.parametrize("size", [LARGE_BYTES, LARGE_BYTES + 1, 3 * PART_BYTES - 1, 5 << 40])
def test_the_parts_of_a_large_file_are_the_whole_of_it(size: int) -> None:
    parts = _parts_of(size)
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert sum(part.size for part in parts) == size
    assert all(part.start == before.start + before.size for before, part in pairwise(parts))
    assert max(part.size for part in parts) <= 5 << 30
