"""Names of sessions, buckets and files."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import names
from run_qarnot.core.errors import InputError
from run_qarnot.model.plan import TaskPlan


@given(st.text(max_size=90))
def test_a_name_that_passes_makes_valid_buckets_and_any_other_is_refused_with_one_that_passes(name):
    try:
        good = names.check_name(name)
    except InputError as error:
        good = names.check_name(str(error.facts["suggestion"]))
    assert all(names.is_bucket_name(bucket) for bucket in TaskPlan.bucket_names(good))


@pytest.mark.parametrize(
    ("name", "said"),
    [("Run 1", "a space"), ("été", "“é”"), ("", "is empty"), ("-a", "hyphen"), ("a" * 60, "60 characters")],
)
def test_what_is_wrong_with_a_name_is_said(name, said):
    with pytest.raises(InputError, match=re.escape(said)):
        names.check_name(name)


def test_made_names_are_valid_and_not_taken():
    made = {names.make_name() for _ in range(200)}
    assert all(names.check_name(name) for name in made)
    assert names.make_name(taken=made) not in made


def test_launch_ids_are_valid_short_names_and_unique():
    made = {names.make_launch_id() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]", launch_id) for launch_id in made)


@pytest.mark.parametrize(
    "key",
    [
        "../up",
        "/absolute",
        "a/../b",
        "C:/windows",
        "a\\b",
        "nul\0",
        "",
        "a//b",
        " leading",
        "x/trailing ",
        "é" * 501,
        "./a",
    ],
)
def test_unsafe_names_of_files_are_refused(key):
    with pytest.raises(InputError):
        names.check_key(key)


@given(st.text())
def test_a_key_that_passes_stays_inside_its_folder(key):
    try:
        names.check_key(key)
    except InputError:
        return
    assert not key.startswith("/")
    assert ".." not in key.split("/")
    assert len(key.encode()) <= 1000


def test_the_nearest_name_is_found():
    assert names.nearest("pytroch", ["base", "pytorch"]) == "pytorch"
    assert names.nearest("zzzz", ["base"]) is None
