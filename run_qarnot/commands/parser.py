"""The parser of the command line: every command of the table, and two lines about what cannot be typed."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from run_qarnot import __version__
from run_qarnot.commands.examples import EXAMPLES, FIRST_STEPS
from run_qarnot.commands.table import COMMANDS, input_path, path
from run_qarnot.core import visible
from run_qarnot.core.names import nearest

_NO_CHOICE = re.compile(r"argument (?P<name>[^:]+): invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)")
_PATTERNS = {"results": "patterns", "images": "pattern"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in two lines: what, and what to do."""

    def error(self, message: str, hint: str = "") -> NoReturn:
        what, hint = _wrong_choice(message) or (message.removeprefix("argument "), hint)
        todo = f"{hint} `{self.prog} --help` lists what can be given.".strip()
        self.exit(2, visible.lines(f"{what[:1].upper()}{what[1:].rstrip('.')}.\n{todo}\n"))


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Makes the column of commands and options wide enough for their help to begin on the same line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 14  # argparse does not count the indentation of the names of commands


def make_parser() -> Parser:
    """Make the parser of the command line."""
    return _make()[0]


def path_arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all arguments of a parser, and of its commands, that are files or folders."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from path_arguments(command)
        elif action.type in {path, input_path, Path}:
            yield action


def parse(arguments: list[str] | None = None) -> argparse.Namespace | None:
    """Parse the command line; bad usage ends the process with 2. Without any argument, print the help: None."""
    parser, made = _make()
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.command is None:
        if rest:
            _unknown(parser, rest)
        parser.print_help()
        return None
    command = made[parsed.command]
    if parsed.command in _PATTERNS and not any(word.startswith("-") for word in rest):
        vars(parsed)[_PATTERNS[parsed.command]] += rest  # argparse does not take those that stand behind an option
    elif rest:
        _unknown(command, rest)
    if parsed.command == "delete" and parsed.left_over == (parsed.session is not None):
        command.error("name either a session or --left-over")
    if parsed.command == "doctor":
        _check_spending(command, parsed)
    return parsed


def _check_spending(command: Parser, parsed: argparse.Namespace) -> None:
    if parsed.yes and not parsed.spend:
        command.error("--yes is for --spend")
    if parsed.spend and not parsed.yes and not sys.stdin.isatty():
        command.error("--spend asks before it spends, and nobody is at a terminal", "Add --yes to allow it.")


def _make() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and those of the commands."""
    parser = Parser(
        prog="run-qarnot",
        description="From data and a question to a notebook on a big remote machine.",
        epilog=FIRST_STEPS,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"run-qarnot {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    made: dict[str, Parser] = {}
    for name, (text, run, add_arguments) in COMMANDS.items():
        made[name] = command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"examples:{EXAMPLES[name]}",
            formatter_class=HelpFormatter,
        )
        command.set_defaults(run=run)
        add_arguments(command)
        logging = command.add_argument_group("logging")
        logging.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
        logging.add_argument("--log-file", type=path, metavar="FILE", help="rotates at 10 MB; ten are kept")
    return parser, made


def _unknown(parser: Parser, rest: Sequence[str]) -> NoReturn:
    """Report the first argument that the command does not take, and the option that was probably meant."""
    typed = next((word for word in rest if word.startswith("-")), "").partition("=")[0]
    if not typed:
        parser.error(f"“{rest[0]}” is one argument too many")
    near = nearest(typed, re.findall(r"--[a-z][a-z-]*", parser.format_help()))
    parser.error(f"there is no option {typed}", f"Did you mean {near}?" if near else "")


def _wrong_choice(message: str) -> tuple[str, str] | None:
    """Return what happened and which choice was meant, for argparse's message about a choice that does not exist."""
    if (found := _NO_CHOICE.fullmatch(message)) is None:
        return None
    value, choices = found["value"].strip("'"), [choice.strip("' ") for choice in found["choices"].split(",")]
    near = nearest(value, choices)
    hint = f"Did you mean “{near}”?" if near else ""
    if found["name"] == "COMMAND":
        return f"there is no command “{value}”", hint
    return f"{found['name']} cannot be “{value}”", hint or f"It is one of {', '.join(choices)}."
