"""Names of sessions, buckets and files."""

import posixpath
import re
from pathlib import PureWindowsPath
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import names
from run_qarnot.core.errors import InputError
from run_qarnot.model.plan import TaskPlan


@given(st.text(max_size=90))
def test_a_name_that_passes_makes_valid_buckets_and_any_other_is_refused_with_one_that_passes(name: str) -> None:
    try:
        good = names.check_name(name)
    except InputError as error:
        good = names.check_name(str(error.facts["suggestion"]))
    assert all(names.is_bucket_name(bucket) for bucket in TaskPlan.bucket_names(good))


@pytest.mark.parametrize(
    ("name", "said"),
    [("Run 1", "a space"), ("été", "“é”"), ("", "is empty"), ("-a", "hyphen"), ("a" * 60, "60 characters")],
)
def test_what_is_wrong_with_a_name_is_said(name: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        names.check_name(name)


def test_made_names_are_valid_and_not_taken() -> None:
    made = {names.make_name() for _ in range(200)}
    assert all(names.check_name(name) for name in made)
    assert names.make_name(taken=made) not in made


def test_launch_ids_are_valid_short_names_and_unique() -> None:
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
        "/",
        "//",
        "a/",
        "a/./b",
        ".",
        "..",
        "a\ufffe",
        "\uffff/b",
        "a\nb",
        "a\ud800",
    ],
)
def test_unsafe_names_of_files_are_refused(key: str) -> None:
    with pytest.raises(InputError):
        names.check_key(key)


parts = st.text(st.sampled_from("ab./\\: ~-\t") | st.characters(), min_size=1, max_size=8)


@given(st.text(st.sampled_from("/.a\\: ")) | st.text() | st.lists(parts, max_size=5).map("/".join))
def test_a_key_that_passes_is_one_file_below_its_folder_on_every_side(key: str) -> None:
    try:
        names.check_key(key)
    except InputError:
        return
    assert posixpath.normpath(posixpath.join("/folder", key)) == f"/folder/{key}", "itself, and nothing else"
    assert key == "/".join(part.strip() for part in key.split("/") if part), "as the SDK sends it"
    assert ET.fromstring(f"<Key>{escape(key)}</Key>").text == key, "as S3 lists it"
    assert len(key.encode()) <= 1000
    assert PureWindowsPath(key).parts == tuple(key.split("/"))


@given(st.lists(st.from_regex(r"[A-Za-zé0-9_-]{1,9}(\.[a-z0-9]{1,5})?", fullmatch=True), min_size=1, max_size=5))
def test_usual_names_of_files_pass(parts: list[str]) -> None:
    assert names.check_key("/".join(parts)) == "/".join(parts)


BUCKET = re.compile(
    r"(?!\d+\.\d+\.\d+\.\d+$)(?=.{3,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
session_names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,57}[a-z0-9])?", fullmatch=True)


@given(session_names, st.sampled_from(names.BUCKET_SUFFIXES))
def test_buckets_have_names_that_every_storage_takes_and_tell_their_session(session: str, suffix: str) -> None:
    candidates = names.bucket_candidates(names.check_name(session), suffix)
    assert candidates[0] == session + suffix
    assert len(set(candidates)) == len(candidates)
    for bucket in candidates:
        assert BUCKET.fullmatch(bucket)
        assert names.session_of_bucket(bucket) == session
        assert names.is_bucket_of(session, bucket)


@given(session_names, session_names)
def test_no_two_sessions_share_a_bucket(one: str, other: str) -> None:
    buckets = [
        {each for end in names.BUCKET_SUFFIXES for each in names.bucket_candidates(s, end)} for s in (one, other)
    ]
    assert one == other or not buckets[0] & buckets[1]


@pytest.mark.parametrize("name", ["a_b", "My_Bucket", "a.b", "x" * 63, "a-.b"])
def test_buckets_that_are_there_may_have_other_names(name: str) -> None:
    assert names.is_bucket_name(name)
    assert not names.is_bucket_name(f"{name}/")


@given(st.text())
def test_what_xml_can_hold_is_what_a_parser_takes(text: str) -> None:
    try:
        ET.fromstring(f"<a>{escape(text)}</a>")
    except (ET.ParseError, UnicodeEncodeError):
        assert not names.fits_xml(text)
    else:
        assert names.fits_xml(text)


def test_the_nearest_name_is_found() -> None:
    assert names.nearest("pytroch", ["base", "pytorch"]) == "pytorch"
    assert names.nearest("zzzz", ["base"]) is None
