"""What can be typed: every command with its arguments, in the order in which a person meets them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from run_qarnot import __version__
from run_qarnot.commands.examples import EXAMPLES, FIRST_STEPS
from run_qarnot.core import times, visible
from run_qarnot.core.errors import InputError
from run_qarnot.core.names import nearest
from run_qarnot.page import serving

COMMANDS: dict[str, str] = {
    "demo": "the local cluster and the dashboard, on this machine; no account needed",
    "dashboard": "the dashboard against QARNOT_CLUSTER_URL (default: the cloud)",
    "cluster": "the local cluster alone; prints `export` lines to paste",
    "images": "the catalog",
    "plugins": "what plugins were found where, their hooks, and what is wrong with them",
    "new-plugin": "writes a working plugin to start from, with its test",
    "check": "reads the catalog and the plugins as the dashboard would, and says what is wrong",
    "launch": "starts a session; prints the ways into it when it is ready",
    "sessions": "the sessions of this account",
    "show": "one session, with the ways into it",
    "open": "opens the way to a session and prints its address; stays until Ctrl-C",
    "logs": "what the session's container printed",
    "add": "adds files to a running session",
    "save": "saves the results now, and waits until that is done",
    "stop": "saves, waits, stops",
    "results": "fetches the results",
    "delete": "forgets an ended session",
    "link": "prints a link that fills the dashboard's form, and its README badge",
    "completion": "prints what a shell needs to complete commands, options and paths",
}
_NO_CHOICE = re.compile(r"argument (?P<name>[^:]+): invalid choice: (?P<value>.*?) \(choose from (?P<choices>.*)\)")


SHELLS = ("bash", "zsh", "fish")
_PATTERNS = {"results": "patterns", "images": "pattern"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in two lines: what, and what to do."""

    def error(self, message: str, hint: str = "") -> NoReturn:
        what, hint = _wrong_choice(message) or (message.removeprefix("argument "), hint)
        todo = f"{hint} `{self.prog} --help` lists what can be given.".strip()
        self.exit(2, visible.lines(f"{what[:1].upper()}{what[1:].rstrip('.')}.\n{todo}\n"))


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Gives the names of commands and options a column that is wide enough, so that what they do begins beside them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 14  # argparse forgets by how much the names of commands are indented


def _wrong_choice(message: str) -> tuple[str, str] | None:
    """Of argparse's sentence that something is none of the choices: what happened, and which was meant."""
    if (found := _NO_CHOICE.fullmatch(message)) is None:
        return None
    value, choices = found["value"].strip("'"), [choice.strip("' ") for choice in found["choices"].split(",")]
    near = nearest(value, choices)
    hint = f"Did you mean “{near}”?" if near else ""
    if found["name"] == "COMMAND":
        return f"there is no command “{value}”", hint
    return f"{found['name']} cannot be “{value}”", hint or f"It is one of {', '.join(choices)}."


def make_parser() -> Parser:
    """Make the parser of the command line."""
    return _make()[0]


def path_arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all arguments of a parser, and of its commands, that are files or folders."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from path_arguments(command)
        elif action.type in {_path, Path}:
            yield action


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
    made: dict[str, Parser] = {
        name: commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"examples:{EXAMPLES[name]}",
            formatter_class=HelpFormatter,
        )
        for name, text in COMMANDS.items()
    }
    _servers(made)
    _sessions(made)
    _link(made["link"])
    for name in ("images", "plugins", "check", "launch", "sessions", "show"):
        made[name].add_argument("--json", action="store_true", help="for programs: JSON on standard output")
    for command in made.values():
        logging = command.add_argument_group("logging")
        logging.add_argument("--log-level", choices=["debug", "info", "warning", "error"])
        logging.add_argument("--log-file", type=_path, metavar="FILE", help="rotates at 10 MB; ten are kept")
    made["completion"].add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser, made


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
        vars(parsed)[_PATTERNS[parsed.command]] += rest  # argparse gives up on those that stand behind an option
    elif rest:
        _unknown(command, rest)
    if parsed.command == "delete" and parsed.left_over == (parsed.session is not None):
        command.error("name either a session or --left-over")
    return parsed


def _unknown(parser: Parser, rest: Sequence[str]) -> NoReturn:
    """Say what of the command line is one thing too many, and what it was probably meant to be."""
    typed = next((word for word in rest if word.startswith("-")), "").partition("=")[0]
    if not typed:
        parser.error(f"“{rest[0]}” is one argument too many")
    near = nearest(typed, re.findall(r"--[a-z][a-z-]*", parser.format_help()))
    parser.error(f"there is no option {typed}", f"Did you mean {near}?" if near else "")


def _servers(made: dict[str, Parser]) -> None:
    made["demo"].add_argument("--port", type=_port, metavar="N", help="default: 8866, or the next free one")
    made["demo"].add_argument("--no-browser", action="store_true", help="do not open a browser")
    serving.add_arguments(made["dashboard"])
    made["cluster"].add_argument("--port", type=_port, metavar="N", help="default: any free one")
    made["cluster"].add_argument("--state-dir", type=_path, metavar="D", help="keep tasks and files there")
    made["cluster"].add_argument("--realistic", action="store_true", help="be as slow as the cloud: minutes to a start")
    new = made["new-plugin"]
    new.add_argument("name", metavar="NAME", help="small letters, digits and underscores")
    new.add_argument("--package", action="store_true", help="a package to install with pip, instead of one file")
    new.add_argument("--folder", type=_path, metavar="DIR", help="where; default: plugins/ for a file, else here")
    made["images"].add_argument(
        "pattern", nargs="*", metavar="PATTERN", help="only what fits these words, such as sklearn"
    )
    made["check"].add_argument("path", nargs="?", type=_path, metavar="PATH", help="default: the catalog in use")


def _sessions(made: dict[str, Parser]) -> None:
    launch = made["launch"]
    launch.add_argument("image", metavar="IMAGE", help="its id: `run-qarnot images` lists them")
    launch.add_argument("--name", help="of the session and its buckets; default: a friendly one")
    launch.add_argument("--input", action="append", type=_path, default=[], metavar="PATH", help="file, or folder "
                        "whose content is uploaded; may be repeated")  # fmt: skip
    launch.add_argument("--resume", metavar="SESSION", help="continue with the files of an earlier session")
    launch.add_argument("--bucket", action="append", default=[], metavar="NAME", help="whose files come along "
                        "too; may be repeated")  # fmt: skip
    launch.add_argument("--cores", default="", metavar="N", help="a machine with at least so many")
    launch.add_argument("--memory", default="", metavar="GB", help="a machine with at least so much")
    launch.add_argument("--machine", default="", metavar="NAME", help="one of those that the account has: a machine "
                        "by its key, a processor, gpu, ssd; a wrong one lists them")  # fmt: skip
    launch.add_argument("--scheduling", choices=("flex", "on-demand", "reserved"), default="", help="how a machine is "
                        "found; default: as the image has it")  # fmt: skip
    launch.add_argument("--ssh-key", type=_path, metavar="FILE", help="your public key, for ssh and VS Code")
    launch.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the image")
    launch.add_argument("--hours", type=_hours_or_clock, metavar="H", help="stop by itself after so many, such as "
                        "4, 1h30 or 90m, or at a time of the day such as 18:30")  # fmt: skip
    launch.add_argument("--detach", action="store_true", help="do not wait until it is ready")
    launch.add_argument("--open", action="store_true", help="open it in the browser, and stay until Ctrl-C")
    for name in ("show", "open", "logs", "add", "save", "stop", "results", "delete"):
        number = "?" if name == "delete" else None
        which = "name, id, or a unique beginning of either"
        made[name].add_argument("session", nargs=number, metavar="SESSION", help=which)
    made["open"].add_argument("--ssh-key", type=_path, metavar="FILE", help="your key, for sessions that know no other")
    made["open"].add_argument("--no-browser", action="store_true", help="only print the address")
    made["logs"].add_argument("--follow", action="store_true", help="go on until the session's end")
    made["add"].add_argument("paths", nargs="+", type=_path, metavar="PATH")
    made["add"].add_argument("--replace", action="store_true", help="also files that are there with other content")
    ending = made["stop"].add_mutually_exclusive_group()
    ending.add_argument("--no-save", action="store_true", help="do not save first")
    ending.add_argument("--continue", dest="hours", type=_hours_or_clock, metavar="H", help="go on with its files "
                        "in a new session of so many hours; the limit of one that runs cannot be changed")  # fmt: skip
    made["stop"].add_argument("--yes", action="store_true", help="with --no-save: do not ask; for programs")
    delete = made["delete"]
    delete.add_argument("--files", action="store_true", help="with its buckets and all files in them, after a "
                        "question; by the whole name, or an id")  # fmt: skip
    delete.add_argument("--left-over", action="store_true", help="instead of a session: the buckets of those that are "
                        "forgotten; they are listed, and you are asked")  # fmt: skip
    delete.add_argument("--yes", action="store_true", help="do not ask; for programs")
    results = made["results"]
    where = results.add_mutually_exclusive_group()
    where.add_argument("--output", type=_path, metavar="DIR", help="default: a new folder named after the session")
    where.add_argument("--zip", type=_path, metavar="FILE", help="one zip instead of a folder; - for standard output")
    results.add_argument("patterns", nargs="*", metavar="PATTERN", help="only files that match, such as '*.png'")


def _link(link: argparse.ArgumentParser) -> None:
    link.add_argument("image", metavar="IMAGE", help="its id: `run-qarnot images` lists them")
    link.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the image")
    link.add_argument("--hours", type=_hours, metavar="H", help="stop by itself after so many")
    link.add_argument("--base", default="http://localhost:8866/", metavar="URL", help="address of the dashboard, "
                      "also that of a page on mybinder.org; default: %(default)s")  # fmt: skip


def _hours(text: str) -> float:
    try:
        hours = times.read_hours(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error.advice).rstrip(".")) from None
    if math.isnan(hours):
        raise argparse.ArgumentTypeError("write a number of hours, such as 1.5, 1h30 or 90m")
    return hours


def _hours_or_clock(text: str) -> float:
    until = times.hours_until(text, datetime.now())  # noqa: DTZ005  of this machine's zone, as the person who types
    if until is not None:
        return until
    try:
        return _hours(text)
    except argparse.ArgumentTypeError as error:
        also = "" if "time of the day" in str(error) else ", or a time of the day, such as 18:30"
        raise argparse.ArgumentTypeError(f"{error}{also}") from None


def _path(text: str) -> Path:
    if not text:  # of a variable of the shell that is not set; to Python, the present folder with all that is in it
        raise argparse.ArgumentTypeError("a path cannot be empty; a dot is the folder where you are")
    return Path(text)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError("a port is between 1 and 65535")
    return port
