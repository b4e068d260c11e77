"""What can be typed, and what is said of what cannot."""

import argparse
import contextlib
import io
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.commands.examples import EXAMPLES
from run_qarnot.commands.parser import make_parser, parse
from run_qarnot.commands.table import COMMANDS

WRONG = [
    ("lauch base", "There is no command “lauch”.", "Did you mean “launch”?"),
    ("sesions", "There is no command “sesions”.", "Did you mean “sessions”?"),
    ("nothinglikeit", "There is no command “nothinglikeit”.", "`run-qarnot --help`"),
    ("--verison", "There is no option --verison.", "Did you mean --version?"),
    ("images --jsno", "There is no option --jsno.", "Did you mean --json?"),
    ("results a --otput=there", "There is no option --otput.", "Did you mean --output?"),
    ("launch base --sshkey k", "There is no option --sshkey.", "Did you mean --ssh-key?"),
    ("show a b", "“b” is one argument too many.", "`run-qarnot show --help`"),
    ("show", "The following arguments are required: SESSION.", "`run-qarnot show --help`"),
    ("completion tcsh", "SHELL cannot be “tcsh”.", "It is one of bash, zsh, fish."),
    ("images --log-level deb", "--log-level cannot be “deb”.", "Did you mean “debug”?"),
    ("delete", "Name either a session or --left-over.", "`run-qarnot delete --help`"),
    ("launch base --hours soon", "--hours: write a number of hours", "`run-qarnot launch --help`"),
    ("launch base --idle soon", "--idle: write a number of minutes", "`run-qarnot launch --help`"),
    ("extend a soon", "HOURS: write a number of hours", "`run-qarnot extend --help`"),
]


@pytest.mark.parametrize(("typed", "what", "todo"), WRONG, ids=[typed for typed, _, _ in WRONG])
def test_bad_usage_is_said_in_two_lines(typed: str, what: str, todo: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(typed.split())
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith(what)
    assert todo in second


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_whatever_is_typed_ends_in_two_lines_or_is_understood(words: list[str]) -> None:
    said = io.StringIO()
    code: object = 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse(words)
        except SystemExit as ended:
            code = ended.code
    assert code in {0, 2}
    assert len(said.getvalue().splitlines()) == code


def test_without_an_argument_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([]) is None
    printed = capsys.readouterr()
    assert printed.err == ""
    assert all(re.search(rf"^    {command}  +\S", printed.out, re.MULTILINE) for command in COMMANDS), "one column"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_that_can_be_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    printed = capsys.readouterr().out
    lines = [line.strip() for line in EXAMPLES[command].splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert line in printed
        program, *words = shlex.split(re.split(r" >|\s{3,}", line)[0])
        assert program == "run-qarnot"
        assert isinstance(make_parser().parse_args(words), argparse.Namespace)


def test_patterns_may_stand_behind_an_option() -> None:
    assert vars(parse(["images", "--json", "deep", "learning"]) or {})["pattern"] == ["deep", "learning"]
    assert vars(parse(["results", "a", "--zip", "b", "*.png"]) or {})["patterns"] == ["*.png"]
