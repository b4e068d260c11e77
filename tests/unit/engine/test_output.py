"""What a container printed."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.apps import BUILTIN
from run_qarnot.core import visible
from run_qarnot.core.errors import NotFoundError, RefusedError
from run_qarnot.core.messages import Message
from run_qarnot.engine import output

PATTERN = BUILTIN["jupyterlab"].ready_pattern or ""


def test_the_prefix_of_the_instance_is_taken_off() -> None:
    assert output.plain("0> hello\n0> world\n") == "hello\nworld\n"


@given(st.text(), st.text())
def test_what_was_added_is_found(before: str, added: str) -> None:
    assert output.new_text(before, before + added) == added


def test_after_rotation_only_what_is_new_is_told() -> None:
    lines = [f"line {number}\n" for number in range(100)]
    assert output.new_text("".join(lines[:60]), "".join(lines[30:70])) == "".join(lines[60:70])


PRINTED = st.text(st.characters(exclude_categories=["Cc", "Cs", "Nd"]))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;12mblue\x1b[m", "red and blue"),
        ("10 %\r0> 50 %\r0> 100 %\r", "100 %"),
        ("\x1b]0;a window's title\x07after", "after"),
        ("bell\x07 tab\t", "bell tab\t"),
        ("[31m is text", "[31m is text"),
        ("\x9b31mred\x9d0;title\x9c \x1bPdevice\x1b\\\x1b(B\x1bcafter", "red after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;cm0gLXJmIH4K", "]52;c;cm0gLXJmIH4K"),
        ("safe\u202egnp.exe \u200bx", "safe\\u202egnp.exe \\u200bx"),
        ("⚠️ 👩\u200d💻", "⚠️ 👩\u200d💻"),
    ],
)
def test_a_line_is_shown_as_a_terminal_leaves_it(line: str, shown: str) -> None:
    assert output.as_shown(line) == shown


@given(st.lists(PRINTED, max_size=8), PRINTED)
def test_an_unfinished_line_waits_for_its_rest(lines: list[str], rest: str) -> None:
    text = "".join(f"{line}\n" for line in lines) + rest
    assert output.complete_lines(text) == (list(map(visible.lines, lines)), rest)


def found(pattern: str, text: str) -> re.Match[str]:
    match = output.find_link(pattern, text)
    assert match is not None
    return match


@pytest.mark.parametrize(
    ("printed", "base"),
    [
        ("http://localhost:8888/lab?token=0123456789", ""),
        ("http://localhost:8888/rq-0123456789ab/lab?token=0123456789", "/rq-0123456789ab"),
        ("http://127.0.0.1:8888/team/jupyter/lab?token=0123456789", "/team/jupyter"),
    ],
)
def test_the_link_says_under_which_path_the_app_answers(printed: str, base: str) -> None:
    assert found(PATTERN, f"{printed}\n")["base"] == base


def test_a_link_of_a_stranger_leads_nowhere_else() -> None:
    for path in ("/../x", "/.", "/a b", "//evil", "/%2e", "/a" * 9, '/"><b>', "/@evil"):
        assert output.find_link(PATTERN, f"http://localhost:8888{path}/lab?token=0123456789\n") is None


ONE, TWO = f"SHA256:{'a' * 43}", f"SHA256:{'B/+' * 14}c"
SAID = "Run Qarnot: SSH host key"


@pytest.mark.parametrize("prefix", ["", "0> ", "0>"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_host_keys_of_the_last_attempt_are_found(prefix: str, end: str) -> None:
    lines = ["hello", f"{SAID} {ONE}", "Run Qarnot: more", f"{SAID} {TWO}", f"{SAID} {ONE}", "the app's own output"]
    text = "".join(f"{prefix}{line}{end}" for line in lines)
    assert output.find_host_keys(text) == {ONE, TWO}
    assert output.find_host_keys(text + f"{prefix}{SAID} {TWO}{end}{prefix}and goes on") == {TWO}


@pytest.mark.parametrize(
    "line",
    [
        f"1> {SAID} {ONE}",  # another machine of the run
        f"0> 0> {SAID} {ONE}",
        f"x {SAID} {ONE}",
        f"{SAID} {ONE} and more",
        f"{SAID} {ONE[:-1]}",
        f"{SAID} {ONE}a",
        f"{SAID} MD5:{'a' * 43}",
        f"{SAID} {ONE}\x00",
        f" {SAID} {ONE}",
        f"{SAID.upper()} {ONE}",
        "\n".join(f"{SAID} SHA256:{number:043}" for number in range(9)),
    ],
)
def test_what_only_looks_like_a_host_key_is_none(line: str) -> None:
    assert output.find_host_keys(f"{line}\n") == set()


@given(st.text(), st.text())
def test_whatever_is_printed_around_them_host_keys_are_found(before: str, after: str) -> None:
    text = f"{before}\n{SAID} {ONE}\n{after}"
    assert output.find_host_keys(text) == {ONE}
    assert output.find_host_keys(before + after) == set()


def test_half_a_line_is_no_host_key() -> None:
    assert output.find_host_keys(f"{SAID} {ONE}\n{SAID} {TWO}") == {ONE}


def test_the_newest_link_counts_and_half_a_link_is_none() -> None:
    text = "http://localhost:8888/lab?token=old-12345\nagain\nhttp://127.0.0.1:8888/lab?token=new-12345\n"
    assert found(PATTERN, text)["token"] == "new-12345"
    assert output.find_link(PATTERN, "http://127.0.0.1:8888/lab?token=...") is None, "Jupyter's masked line"
    for half in ("http://localhost:8888/lab?tok", "http://localhost:8888/lab?token=half-123"):
        assert output.find_link(PATTERN, half) is None
        assert found(PATTERN, f"{text}{half}")["token"] == "new-12345"


def test_following_the_output_of_a_session_that_was_deleted_ends() -> None:
    async def fetch() -> tuple[str, str]:
        raise NotFoundError("session-unknown", text="gone")

    async def listen() -> None:
        follower = output.Follower(fetch, lambda: False)
        follower.subscribe(lambda lines: None)
        await asyncio.wait_for(follower.finished(), 5)

    asyncio.run(listen())


def test_a_call_that_is_refused_for_a_while_does_not_end_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_FETCH_SECONDS", 0)
    refusal = RefusedError("token-refused", cluster="here")
    looks: Iterator[str | Exception] = iter([refusal, "a\n", refusal, "a\nb\n", refusal])
    over = iter([False] * 4 + [True])

    async def fetch() -> tuple[str, str]:
        if isinstance(look := next(looks), Exception):
            raise look
        return look, ""

    async def listen() -> list[str]:
        follower, heard = output.Follower(fetch, lambda: next(over)), list[str]()
        follower.subscribe(heard.extend, troubles.append)
        with pytest.raises(RefusedError):  # it is over, and refused all the same
            await asyncio.wait_for(follower.finished(), 5)
        return heard

    troubles: list[Message] = []
    assert asyncio.run(listen()) == ["a", "b"]
    assert list(map(str, troubles)) == [f"{refusal.what} Trying again; the session goes on."] * 2


def test_who_listens_again_at_once_is_told_all_the_same() -> None:
    async def fetch() -> tuple[str, str]:
        return "hello\n", ""

    async def listen() -> list[str]:
        follower, heard = output.Follower(fetch, lambda: True), list[str]()
        follower.subscribe(lambda lines: None)()
        follower.subscribe(heard.extend)
        await asyncio.wait_for(follower.finished(), 5)
        return heard

    assert asyncio.run(listen()) == ["hello"]


def test_both_streams_are_told_whole_though_one_grows_after_the_other() -> None:
    looks, over = iter([("a\n", "x\n"), ("a\nb\n", "x\ny\n")]), iter([False, True])

    async def fetch() -> tuple[str, str]:
        return next(looks)

    async def listen() -> list[str]:
        follower, heard = output.Follower(fetch, lambda: next(over)), list[str]()
        follower.subscribe(heard.extend)
        await asyncio.wait_for(follower.finished(), 5)
        return heard

    assert sorted(asyncio.run(listen())) == ["a", "b", "x", "y"]
