"""The switches for what the real cluster does otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.model.compat import Compat, read_compat, switches
from run_qarnot.model.settings import Settings, read_settings


def test_without_the_variable_everything_is_as_expected(tmp_path: Path) -> None:
    assert read_settings({}, tmp_path).compat == Settings().compat == Compat()
    assert Compat().changed == {}


def test_one_line_turns_switches(tmp_path: Path) -> None:
    line = {"RUN_QARNOT_COMPAT": "conditional-puts=no, upload-on-cancel=yes results-as-resource=no"}
    compat = read_settings(line, tmp_path).compat
    assert compat == Compat(conditional_puts=False, results_as_resource=False)
    assert compat.changed == {"conditional-puts": False, "results-as-resource": False}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("conditional-put=no", "Did you mean “conditional-puts”?"),
        ("zzz=no", "There are: "),
        ("upload-on-cancel=maybe", "Write upload-on-cancel=yes or upload-on-cancel=no."),
        ("upload-on-cancel", "Write upload-on-cancel=yes"),
    ],
)
def test_what_is_no_switch_is_said_with_the_nearest(text: str, hint: str) -> None:
    with pytest.raises(InputError, match="RUN_QARNOT_COMPAT") as caught:
        read_compat(text)
    assert hint in caught.value.todo


def test_every_switch_says_what_happens_without_it_and_where() -> None:
    assert list(switches()) == ["conditional-puts", "results-as-resource", "upload-on-cancel"]
