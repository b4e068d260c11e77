"""Which files of the web can come along together, and with what else."""

from __future__ import annotations

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.engine.web_input import check_names
from run_qarnot.model.web_file import WebFile


def files(*keys: str) -> list[WebFile]:
    return [WebFile(f"https://example.org/{key}", key) for key in keys]


def test_files_of_other_names_come_along() -> None:
    check_names(files("a.csv", "b.csv"), {"c.csv", "folder/a.csv"})


@pytest.mark.parametrize(
    ("keys", "others", "code"),
    [
        (("a.csv", "a.csv"), (), "file-twice"),
        (("a.csv",), ("a.csv",), "file-twice"),
        (("folder",), ("folder/a.csv",), "file-and-folder"),
    ],
)
def test_no_file_is_lost_in_silence(keys: tuple[str, ...], others: tuple[str, ...], code: str) -> None:
    with pytest.raises(InputError) as caught:
        check_names(files(*keys), others)
    assert caught.value.code == code
