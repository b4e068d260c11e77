"""Launch links: what is written is read back, and what strangers write does no harm."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image, Option
from run_qarnot.core import language
from run_qarnot.core.errors import InputError, NotFoundError
from run_qarnot.core.redaction import redact
from run_qarnot.model.links import (
    Filling,
    base_problems,
    is_local,
    is_mybinder,
    make_badge,
    make_link,
    read_link,
    shared_address,
)
from run_qarnot.model.repository import Repository

CHOICES = ("small", "a, b", "größer", "x&y=z", "50 %")
SEVERAL = tuple(choice for choice in CHOICES if "," not in choice)  # commas stand between them
IMAGE = Image(
    id="torch",
    title="PyTorch [GPU]_*",
    max_hours=24,
    options={
        "repo": Option(label="Repository", regex=r"\S+", message="No spaces."),
        "note": Option(),
        "workers": Option(type="int", min=1, max=8),
        "rate": Option(type="float"),
        "fast": Option(type="bool"),
        "size": Option(type="choice", choices=CHOICES),
        "parts": Option(type="multi", choices=SEVERAL),
        "password": Option(label="Password", type="secret"),
        "must": Option(regex=".+", message="Write something.", default=""),
    },
)
CATALOG = Catalog({"torch": IMAGE})
BASE = "https://page.example.org/team/"

text = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=50)
values = st.fixed_dictionaries(
    {},
    optional={
        "note": text,
        "workers": st.integers(1, 8).map(str),
        "rate": st.floats(allow_nan=False, allow_infinity=False).map(str),
        "fast": st.booleans(),
        "size": st.sampled_from(CHOICES),
        "parts": st.lists(st.sampled_from(SEVERAL), min_size=1, unique=True),
    },
)


def read(link: str) -> Any:
    return read_link(urlsplit(link).query, CATALOG)


def test_a_number_that_was_typed_with_a_comma_can_be_read_by_everybody() -> None:
    language.set_language("fr")
    try:
        link = make_link(BASE, IMAGE, options={"rate": "1,5"})
    finally:
        language.set_language("en")
    assert link == f"{BASE}?opt-image=torch&opt-rate=1.5"


@given(values, st.one_of(st.none(), st.integers(1, 24)), st.one_of(st.none(), st.integers(0, 600)))
def test_what_is_written_is_read_back(options: dict[str, object], hours: float | None, idle: float | None) -> None:
    filling = read(make_link(BASE, IMAGE, hours=hours, idle=idle, options=options))
    assert filling.image == "torch"
    assert filling.options == options
    assert filling.idle == ("" if idle is None else str(idle))
    assert filling.hours == ("" if hours is None else str(hours))
    assert filling.ignored == ()


@given(st.one_of(st.text(), st.text().map(lambda value: f"opt-image=torch&{value}")))
def test_no_query_makes_reading_fail(query: str) -> None:
    assert read_link(query, CATALOG).image in {"", "torch"}


KEYS = [f"opt-{name}" for name in [*IMAGE.options, "hours", "idle", "open", "other"]]


@given(st.dictionaries(st.sampled_from(KEYS), st.text()))
def test_only_values_that_pass_their_fields_check_come_through(pairs: dict[str, str]) -> None:
    filling = read_link(urlencode({"opt-image": "torch", **pairs}, errors="replace"), CATALOG)
    assert "password" not in filling.options
    for name, value in filling.options.items():
        IMAGE.options[name].check(name, value)
    left_out = {error.code for error in filling.ignored}
    of_options = {"option-value", "option-empty", "option-unknown", "link-secret"}
    assert left_out <= {"hours", "idle", "open-path", "link-clock", *of_options}
    said = len(filling.options) + len(filling.ignored) + (1 if filling.hours else 0) + (1 if filling.idle else 0)
    said += (1 if filling.opened else 0) + (pairs.get("opt-open", "x").strip().strip("/") == "")
    assert said + (pairs.get("opt-hours") == "") + (pairs.get("opt-idle", "x").strip() == "") == len(pairs)


def test_a_repository_and_what_is_opened_in_it_are_filled_in_and_shown_in_full() -> None:
    repository = Repository("https://github.com/team/project", "feature/more", "token-of-the-test")
    link = make_link(BASE, IMAGE, repository=repository, opened="a b/first.ipynb", options={})
    assert link == (
        f"{BASE}?opt-image=torch&opt-git=https%3A%2F%2Fgithub.com%2Fteam%2Fproject&opt-ref=feature%2Fmore"
        "&opt-open=a%20b%2Ffirst.ipynb"
    )
    filling = read(link)
    assert (filling.git, filling.opened) == ("https://github.com/team/project@feature/more", "a b/first.ipynb")
    assert filling.ignored == ()


def test_an_address_from_which_nothing_is_fetched_is_left_out_and_said() -> None:
    for git in ("file:///etc/passwd", "-uX", "http://10.0.0.1/x", "https://u:pw-of-the-test@x.org/y"):
        filling = read_link(urlencode({"opt-image": "torch", "opt-git": git, "opt-open": "../x"}), CATALOG)
        assert (filling.git, filling.opened) == ("", "")
        assert [error.code for error in filling.ignored] == ["git-address", "open-path"]
        assert "pw-of-the-test" not in str(filling.ignored)


def test_choices_may_be_written_by_hand() -> None:
    assert read_link("opt-image=torch&opt-parts=small,größer&opt-fast=yes", CATALOG).options == {
        "parts": ["small", "größer"],
        "fast": True,
    }


def test_keys_of_others_are_none_of_our_business() -> None:
    assert read_link("?utm_source=x&image=torch&opt=1", CATALOG) == read_link("", CATALOG)


@pytest.mark.parametrize(
    "query",
    [
        "opt-hours=3&amp;opt-image=torch&amp;opt-workers=3",
        "opt-hours=3&AMP;opt-image=torch&amp;amp;opt-workers=3",
        "OPT-HOURS=3&Opt-Image=torch&opt-Workers=3",
        "opt-image=torch&OPT-hours=3&opt-WORKERS=3",
    ],
)
def test_keys_count_without_case_and_an_escaped_and_is_one(query: str) -> None:
    filling = read_link(query, CATALOG)
    assert (filling.image, filling.hours, filling.options) == ("torch", "3", {"workers": "3"})
    assert filling.ignored == ()


@given(values, st.integers(1, 24), st.data())
def test_a_link_that_was_written_by_hand_or_copied_from_html_says_the_same(
    options: dict[str, object], hours: int, data: st.DataObject
) -> None:
    query = urlsplit(make_link(BASE, IMAGE, hours=hours, options=options)).query
    changed = [
        "=".join([data.draw(st.sampled_from([key, key.upper(), key.title()])), value])
        for key, _, value in (pair.partition("=") for pair in query.split("&"))
    ]
    assert read_link(data.draw(st.sampled_from(["&", "&amp;"])).join(changed), CATALOG) == read_link(query, CATALOG)


def test_a_secret_is_erased_however_its_key_is_written() -> None:
    filling = read_link("opt-image=torch&amp;OPT-Password=correct-horse&amp;token=a-secret-in-a-link", CATALOG)
    assert {key.lower() for key in filling.secrets} == {"opt-password", "token"}
    assert [error.code for error in filling.ignored] == ["link-secret"]


def test_options_that_differ_in_capitals_alone_are_told_apart() -> None:
    image = Image(id="two", options={"Size": Option(), "size": Option()})
    filling = read_link("opt-image=two&opt-Size=a&opt-size=b&opt-SIZE=c", Catalog({"two": image}))
    assert filling.options == {"Size": "a", "size": "b"}
    assert [error.code for error in filling.ignored] == ["option-unknown"]


def test_what_is_said_twice_or_cut_off_is_told() -> None:
    filling = read_link("opt-image=torch&opt-hours=2&opt-hours=3&opt-workers=3&opt-workers=3&OPT-IMAGE=x", CATALOG)
    assert (filling.image, filling.hours) == ("torch", "2")
    assert [error.facts["key"] for error in filling.ignored] == ["opt-image", "opt-hours"]
    (error,) = read_link(f"opt-image=torch&x={'y' * 30_000}&opt-hours=3", CATALOG).ignored
    assert error.code == "link-long"


@pytest.mark.parametrize(
    ("base", "codes"),
    [
        ("http://localhost:8866/", ["link-local"]),
        ("http://LOCALHOST/", ["link-local"]),
        ("http://page.localhost/", ["link-local"]),
        ("http://127.0.1.1/", ["link-local"]),
        ("http://[::1]:8866/", ["link-local"]),
        ("http://0.0.0.0:8866/", ["link-local"]),
        ("https://hub.example.org/user/anna/run-qarnot/?TOKEN=abc", ["link-session", "link-token"]),
        ("https://page.example.org/?token=abc", ["link-token"]),
        ("https://mybinder.org/v2/gh/a/b/HEAD?urlpath=voila%2Frender%2Fd.ipynb%3Ftoken%3Dabc", ["link-token"]),
        ("https://mybinder.org/v2/gh/a/b/HEAD?urlpath=voila%2Frender%2Fd.ipynb", []),
        ("https://page.example.org/users/", []),
        ("http://192.168.1.7:8866/", []),
    ],
)
def test_addresses_that_do_not_work_for_others_are_told(base: str, codes: list[str]) -> None:
    assert [error.code for error in base_problems(base)] == codes
    assert "abc" not in make_link(base, IMAGE, options={})


@pytest.mark.parametrize("key", ["token", "TOKEN", "Token"])
def test_a_token_is_not_used_but_hidden_and_said(key: str) -> None:
    filling = read_link(f"opt-image=torch&{key}=a-secret-in-a-link", CATALOG)
    assert filling.had_token
    assert filling.secrets == (key,)
    assert "a-secret-in-a-link" not in repr(filling)
    assert "a-secret-in-a-link" not in redact("I saw a-secret-in-a-link")


def test_a_secret_option_is_left_out_and_its_value_not_repeated() -> None:
    filling = read_link("opt-image=torch&opt-password=correct-horse", CATALOG)
    assert filling.options == {}
    assert filling.secrets == ("opt-password",)
    (error,) = filling.ignored
    assert "Password" in error.what
    assert "correct-horse" not in repr(filling) + error.what + error.todo
    assert "correct-horse" not in redact("correct-horse")


def test_an_unknown_image_is_said_with_the_nearest() -> None:
    filling = read_link("opt-image=torhc&opt-workers=3", CATALOG)
    assert filling.image == ""
    assert "torch" in filling.ignored[0].todo


def test_with_an_image_that_cannot_be_used_the_rest_is_said_to_be_left_out_too() -> None:
    filling = read_link("opt-image=torhc&opt-workers=3&opt-hours=2&opt-password=correct-horse&opt-workers=4", CATALOG)
    _, rest = filling.ignored
    assert "opt-workers, opt-hours, opt-password." in rest.what
    assert "correct-horse" not in rest.what
    assert [error.code for error in read_link("opt-image=", CATALOG).ignored] == ["image-unknown"]
    (rest,) = read_link("opt-hours=2", Catalog({})).ignored
    assert "opt-hours" in rest.what


def test_without_an_image_the_one_of_the_form_is_meant() -> None:
    filling = read_link("opt-hours=2&opt-workers=3", CATALOG, "torch")
    assert (filling.image, filling.hours, filling.options) == ("torch", "2", {"workers": "3"})
    nothing = read_link("opt-hours=99", CATALOG, "torch")
    assert nothing.image == "", "nothing of it was filled in"
    assert [error.code for error in nothing.ignored] == ["hours"]
    assert read_link("utm_source=x", CATALOG, "torch") == Filling()


@pytest.mark.parametrize("time", ["18:30", " 9h05", "7:5"])
def test_a_time_of_the_day_is_none_for_whoever_opens_the_link(time: str) -> None:
    filling = read_link(urlencode({"opt-image": "torch", "opt-hours": time}), CATALOG)
    assert filling.hours == ""
    (error,) = filling.ignored
    assert "a time of day" in error.what
    assert "hours" in error.todo


@pytest.mark.parametrize("options", [{"password": "x"}, {"workers": "99"}, {"wrokers": "3"}, {"parts": ["no"]}])
def test_what_a_form_would_refuse_makes_no_link(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        make_link(BASE, IMAGE, options=options)


@pytest.mark.parametrize("hours", [0, -1, 25, float("nan")])
def test_hours_that_the_image_does_not_allow_make_no_link(hours: float) -> None:
    with pytest.raises(InputError):
        make_link(BASE, IMAGE, hours=hours, options={})


@pytest.mark.parametrize("base", ["", "page.example.org", "javascript:alert(1)", "https://", "https://[", "http://a@b"])
def test_a_base_that_is_no_web_address_is_refused(base: str) -> None:
    with pytest.raises(InputError):
        make_link(base, IMAGE, options={})


def test_earlier_values_and_tokens_of_the_base_do_not_go_along() -> None:
    link = make_link(f"{BASE}?opt-image=old&opt-x=1&token=abcdef123&kept=1#top", IMAGE, options={})
    assert link == f"{BASE}?kept=1&opt-image=torch"


BINDER = {
    "BINDER_LAUNCH_HOST": "https://mybinder.org/",
    "BINDER_REQUEST": "v2/gh/a/b/HEAD",
    "BINDER_PERSISTENT_REQUEST": "v2/gh/a/b/0123456789",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/a-b-x1/",
}


def test_on_binder_the_values_stand_inside_the_path_of_a_fixed_commit() -> None:
    base = shared_address("https://hub.2i2c.mybinder.org/user/a-b-x1/run-qarnot/", BINDER)
    assert base == "https://mybinder.org/v2/gh/a/b/0123456789?urlpath=run-qarnot%2F"
    link = make_link(base, IMAGE, hours=2, options={"note": "a & b"})
    (inside,) = parse_qs(urlsplit(link).query)["urlpath"]
    path, _, query = inside.partition("?")
    assert path == "run-qarnot/"
    assert read_link(query, CATALOG).options == {"note": "a & b"}
    assert read_link(query, CATALOG).hours == "2"


def test_mybinder_org_is_told_from_the_binder_of_a_team() -> None:
    assert is_mybinder(BINDER)
    assert not is_mybinder({**BINDER, "BINDER_LAUNCH_HOST": "https://binder.example.org/"})
    assert not is_mybinder({})


@pytest.mark.parametrize(
    ("address", "shared"),
    [
        ("https://hub.example.org/user/anna/run-qarnot/", "https://hub.example.org/hub/user-redirect/run-qarnot/"),
        ("https://hub.example.org/user/anna/run-qarnot", "https://hub.example.org/hub/user-redirect/run-qarnot/"),
        ("https://e.org/jupyter/user/a%40b/gpu/run-qarnot/", "https://e.org/jupyter/hub/user-redirect/run-qarnot/"),
        ("https://e.org/user/anna/lab/tree/run-qarnot/", "https://e.org/user/anna/lab/tree/run-qarnot/"),
        ("https://e.org/team/", "https://e.org/team/"),
        ("http://localhost:8866/", "http://localhost:8866/"),
    ],
)
def test_in_a_hub_a_link_leads_everybody_to_their_own_server(address: str, shared: str) -> None:
    assert shared_address(address, {}) == shared
    assert make_link(f"{address}?token=secret-of-a-server", IMAGE, options={}) == f"{shared}?opt-image=torch"


def test_where_users_have_names_of_their_own_the_hub_has_another() -> None:
    address = "https://anna.hub.example.org/user/anna/run-qarnot/"
    environment = {"JUPYTERHUB_HOST": "https://hub.example.org"}
    assert shared_address(address, environment) == "https://hub.example.org/hub/user-redirect/run-qarnot/"


def test_a_server_on_binder_is_not_shared_because_it_ends() -> None:
    with pytest.raises(InputError) as caught:
        make_link("https://hub.2i2c.mybinder.org/user/a-b-x1/run-qarnot/?token=x", IMAGE, options={})
    assert "temporary server" in caught.value.what + caught.value.todo


@given(st.text())
def test_no_address_makes_sharing_fail(address: str) -> None:
    assert isinstance(shared_address(address, {}), str)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "page.localhost", "localhost.", "127.1", "2130706433", "0x7f.1",
     "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_an_address_of_this_computer_is_told(host: str) -> None:
    assert is_local(f"http://{host}:8866/?opt-image=torch")
    assert not is_local("https://page.example.org/")


def test_the_badge_is_markdown_that_a_title_cannot_break() -> None:
    link = make_link(BASE, IMAGE, options={"note": ") [x](http://evil)"})
    badge = make_badge(link, IMAGE)
    assert badge.endswith(f"]({link})")
    assert "(http://evil" not in badge
    assert r"PyTorch \[GPU\]\_\*" in badge
    assert " " not in link
    assert ")" not in link


def test_the_image_of_a_link_must_be_known() -> None:
    with pytest.raises(NotFoundError):
        CATALOG.get("nothing")


def test_the_badge_is_that_of_the_title() -> None:
    image = Image(id="x", title="Our-lab_2 / ü!", repo="a/b")
    assert make_badge("https://h/?opt-image=x", image) == (
        r"[![Run Our-lab\_2 / ü\! on Qarnot](https://img.shields.io/badge/run%20on%20Qarnot-"
        "Our--lab__2%20%2F%20%C3%BC%21-0E5A64)](https://h/?opt-image=x)"
    )
    untitled = Image(id="the-id", repo="a/b")
    assert make_badge("https://h/", untitled).startswith("[![Run the-id on Qarnot](")


def test_problems_of_a_base_name_its_host() -> None:
    (local,) = base_problems("http://localhost:8866/")
    assert "localhost" in str(local)
    assert local.facts["host"] == "localhost"
    (session,) = base_problems("https://hub.example/user/anna/run-qarnot/")
    assert session.facts["host"] == "hub.example"
    assert list(base_problems("no address")) == []
    assert [each.code for each in base_problems("https://h/v2?urlpath=x%3Fa%3F1%26token%3Dabc")] == ["link-token"]


def test_the_address_of_binder_needs_both_its_launcher_and_a_request() -> None:
    launcher, request = {"BINDER_LAUNCH_HOST": "https://b.example/"}, {"BINDER_REQUEST": "v2/gh/a/b/main"}
    shared = "https://b.example/v2/gh/a/b/main?urlpath=run-qarnot%2F"
    assert shared_address("https://x/", launcher | request) == shared
    fixed = {"BINDER_PERSISTENT_REQUEST": "v2/gh/a/b/1234"}
    assert shared_address("https://x/", launcher | request | fixed).startswith("https://b.example/v2/gh/a/b/1234?")
    for half in (launcher, request, {}):
        assert shared_address("https://x/", half) == "https://x/"
        assert shared_address("https://h/user/anna/run-qarnot/", half) == "https://h/hub/user-redirect/run-qarnot/"
    assert not is_mybinder({})
    assert not is_local("no address")


def test_machines_are_part_of_a_link_where_the_image_allows_them() -> None:
    image = Image(id="dask", max_machines=8)
    catalog = Catalog({"dask": image})
    link = make_link(BASE, image, machines=4, options={})
    assert "opt-machines=4" in link
    assert read_link(urlsplit(link).query, catalog).machines == 4
    for wrong in ("9", "0", "x", "4&opt-machines=5"):
        filling = read_link(f"opt-image=dask&opt-machines={wrong}", catalog)
        assert filling.ignored, wrong
    with pytest.raises(InputError):
        make_link(BASE, image, machines=9, options={})
