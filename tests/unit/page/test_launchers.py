"""A file that opens a session from the person's own computer: what is in it. It is run in `tests/sessions`.

The one for Windows cannot be run here: neither Debian nor PyPI has PowerShell. It is parsed, by the grammar that
editors use for PowerShell, and what varies in it is read back by PowerShell's rules of quoting.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import language
from run_qarnot.model.connections import TunnelSpec
from run_qarnot.model.keys import derive_session_key
from run_qarnot.page.launchers import System, _literal, can_launch, command_for, make_launcher
from run_qarnot.page.words import section

COMMAND = (
    "ssh -N -L 8888:localhost:8888 -4 -o ExitOnForwardFailure=yes -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ServerAliveInterval=30 -p 41022 root@forward.example.org"
)
KEY = derive_session_key("token", "rq-0123456789abcdef")
SPEC = TunnelSpec(
    name="calm-heron-42",
    user="root",
    host="forward.example.org",
    port=41022,
    app_port=8888,
    local_port=23456,
    url="http://127.0.0.1:23456/lab?token=a%2Fb&x=1",
    private_key=KEY.private,
    host_key=" ".join(KEY.public.split()[:2]),
    fingerprints=("SHA256:" + "a" * 43,),
)
SPECS = {
    "key and host key": SPEC,
    "the visitor's key": replace(SPEC, private_key=None),
    "fingerprint": replace(SPEC, host_key=None),
    "nothing known": replace(SPEC, host_key=None, fingerprints=()),
}
SCRIPTS = (System.LINUX, System.MACOS)
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))


def text_for(system: System, spec: TunnelSpec = SPEC) -> str:
    launcher = make_launcher(system, spec)
    assert launcher is not None
    return launcher.text


def test_the_line_is_that_of_the_system() -> None:
    assert command_for(System.LINUX, COMMAND) == command_for(System.MACOS, COMMAND) == COMMAND
    assert command_for(System.WINDOWS, COMMAND) == COMMAND.replace("/dev/null", "NUL")
    assert command_for(System.LINUX, COMMAND.replace("/dev/null", "NUL")) == COMMAND, "the page may run on Windows"


def test_windows_asks_because_it_has_no_program_that_prints_the_host_key() -> None:
    pin = "-o IgnoreUnknown=KnownHostsCommand -o 'KnownHostsCommand=/bin/echo [h]:1 ssh-ed25519 AAAA' "
    pinned = COMMAND.replace("-o UserKnownHostsFile", pin + "-o UserKnownHostsFile")
    assert command_for(System.LINUX, pinned) == pinned
    assert command_for(System.WINDOWS, pinned) == command_for(System.WINDOWS, COMMAND)


@pytest.mark.parametrize(
    ("system", "name"),
    [
        (System.LINUX, "calm-heron-42.sh"),
        (System.MACOS, "calm-heron-42.command"),
        (System.WINDOWS, "calm-heron-42.bat"),
    ],
)
def test_it_is_called_after_the_session(system: System, name: str) -> None:
    launcher = make_launcher(system, SPEC)
    assert launcher is not None
    assert launcher.name == name


HOSTILE = (
    "x\ntouch PWNED",
    "$(touch x)",
    "'; touch x; '",
    "`touch x`",
    '"',
    "a b",
    "%PATH%",
    "x\0",
    "",
    "’",
    "&",
    "END\n",
)


@pytest.mark.parametrize("field", ["name", "user", "host", "private_key", "host_key", "fingerprints"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_has_another_form_than_it_must_have_is_in_no_launcher(field: str, hostile: str) -> None:
    for value in (hostile, f"{getattr(SPEC, field)}{hostile}"):
        if value == getattr(SPEC, field) or (not value and field in {"private_key", "host_key"}):
            continue  # as it is, or none
        changes: dict[str, Any] = {field: (value,) if field == "fingerprints" else value}
        spec = replace(SPEC, **changes)
        assert not can_launch(spec)
        assert [make_launcher(system, spec) for system in System] == [None] * len(System)


@pytest.mark.parametrize("url", ["http://localhost:8888/lab", "https://x.example/", "http://127.0.0.1:1/'", "x", ""])
def test_it_opens_nothing_but_its_own_tunnel(url: str) -> None:
    assert not can_launch(replace(SPEC, url=url))
    assert not can_launch(replace(SPEC, url=f"{SPEC.url}\n"))


@given(st.text(), st.sampled_from(["name", "user", "host", "url", "private_key", "host_key"]))
def test_free_text_is_in_no_launcher(text: str, field: str) -> None:
    """Whatever is not left out holds no character with a meaning to a shell."""
    changes: dict[str, Any] = {field: text}
    spec = replace(SPEC, **changes)
    if can_launch(spec) and text and field != "url":
        assert re.fullmatch(r"[\w.:@+/= -]+", text, re.ASCII)


@each_spec
@pytest.mark.parametrize("system", SCRIPTS)
def test_the_script_is_one_for_every_shell(system: System, spec: TunnelSpec) -> None:
    text = text_for(system, spec)
    for shell in ("dash", "bash"):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)
    ignored = "SC1003"  # a backslash that is meant
    subprocess.run([SHELLCHECK, f"--exclude={ignored}", "--shell=sh", "-"], input=text, text=True, check=True)


@each_spec
@pytest.mark.parametrize("system", SCRIPTS)
def test_the_script_shows_secrets_to_nobody(system: System, spec: TunnelSpec) -> None:
    (ssh,) = [line for line in text_for(system, spec).splitlines() if " ssh " in f" {line} " and "-N" in line]
    assert "token" not in ssh
    assert ("-i key -o IdentitiesOnly=yes" in ssh) == ("BEGIN OPENSSH PRIVATE KEY" in text_for(system, spec))
    assert "-L 127.0.0.1:23456:localhost:8888 -a -x" in ssh
    checks = "no" if spec == SPECS["nothing known"] else "yes"
    assert f"StrictHostKeyChecking={checks} -o UserKnownHostsFile=known_hosts" in ssh


def parsed(text: str) -> tree_sitter.Node:
    language = tree_sitter.Language(tree_sitter_powershell.language())
    return tree_sitter.Parser(language).parse(text.encode()).root_node


def nodes(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield root
    for child in root.children:
        yield from nodes(child)


def program_of(spec: TunnelSpec) -> str:
    """What the batch file gives to PowerShell."""
    return re.split(r"(?m)^#PowerShell", text_for(System.WINDOWS, spec))[1]


@each_spec
@pytest.mark.parametrize("spoken", list(language.LANGUAGES))
def test_the_windows_one_is_a_powershell_program(spec: TunnelSpec, spoken: str) -> None:
    language.set_language(spoken)
    try:
        tree = parsed(program_of(spec))
    finally:
        language.set_language("en")
    assert not tree.has_error, [node for node in nodes(tree) if node.is_error or node.is_missing]
    kinds = {node.type for node in nodes(tree)}
    assert {"try_statement", "finally_clause", "while_statement"} <= kinds


def test_the_grammar_finds_errors() -> None:
    assert parsed(program_of(SPEC).replace("} finally {", "} finally", 1)).has_error


def test_nothing_varies_in_what_cmd_reads() -> None:
    heads = {text_for(System.WINDOWS, spec).partition("#PowerShell\r\n")[0] for spec in SPECS.values()}
    assert len(heads) == 1
    (head,) = heads
    assert head.startswith("@echo off\r\nchcp 65001 >nul\r\n")
    assert head.endswith("\r\nexit /b\r\n"), "cmd.exe reads no further"
    assert head.count('"') % 2 == 0


def read_literal(text: str) -> str:
    """Read a text in single quotes as PowerShell does (language specification, §2.3.5.2.1)."""
    quotes = "'‘’‚‛"
    assert text[0] in quotes
    found, rest = "", text[1:]
    while rest[0] not in quotes or rest[1:2] in tuple(quotes):
        if rest[0] in quotes:
            rest = rest[1:]
        found, rest = found + rest[0], rest[1:]
    assert len(rest) == 1, "it ends where it should"
    return found


@given(st.text(st.sampled_from("'‘’‚‛\"$`ab\r\n")) | st.text())
def test_a_text_in_powershell_means_nothing_but_itself(text: str) -> None:
    assert read_literal(_literal(text)) == text


def test_the_key_is_written_with_the_ends_of_line_that_openssh_wants() -> None:
    (line,) = [line for line in program_of(SPEC).splitlines() if r"$folder\key" in line and "WriteAllText" in line]
    pieces = re.findall(r"'([^']*)'", line)
    assert "\n".join(pieces) == KEY.private
    assert line.endswith('-join "`n"))')


@pytest.mark.parametrize("spoken", list(language.LANGUAGES))
def test_it_speaks_the_language_of_the_page(spoken: str) -> None:
    language.set_language(spoken)
    try:
        texts, said = [text_for(system) for system in System], section("launcher")
    finally:
        language.set_language("en")
    for text in texts:
        for key in ("closes", "ended", "address"):
            assert said[key] in text or _literal(said[key]) in text
    assert not re.findall(r"[\n\"`$\\]", "".join(said.values()))
