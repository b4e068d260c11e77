"""What can be typed: every command with its arguments, in the order in which a person meets them."""

from __future__ import annotations

import argparse
import math
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from run_qarnot import __version__
from run_qarnot.core import times
from run_qarnot.core.errors import InputError
from run_qarnot.page import serving

COMMANDS: dict[str, str] = {
    "demo": "the local cluster and the dashboard, on this machine; no account needed",
    "dashboard": "the dashboard against QARNOT_CLUSTER_URL (default: the cloud)",
    "cluster": "the local cluster alone; prints `export` lines to paste",
    "images": "the catalog",
    "plugins": "what plugins were found where, their hooks, and what is wrong with them",
    "new-plugin": "writes a working plugin to start from, with its test",
    "check": "reads the catalog and the plugins as the dashboard would, and says what is wrong",
    "launch": "starts a session; prints the doors when it is ready",
    "sessions": "the sessions of this account",
    "show": "one session, with its doors",
    "open": "opens the way to a session and prints its address; stays until Ctrl-C",
    "logs": "what the session's container printed",
    "add": "adds files to a running session",
    "save": "saves the results now, and waits until that is done",
    "stop": "saves, waits, stops",
    "results": "fetches the results",
    "delete": "forgets an ended session",
    "link": "prints a link that fills the dashboard's form, and its README badge",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in two lines: what, and what to do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}.\n`{self.prog} --help` lists what can be given.\n")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = Parser(prog="run-qarnot", description="From data and a question to a notebook on a big remote machine.")
    parser.add_argument("--version", action="version", version=f"run-qarnot {__version__}")
    logging = Parser(add_help=False)
    logging.add_argument("--log-level", default=None, choices=["debug", "info", "warning", "error"])
    logging.add_argument("--log-file", type=_path, metavar="FILE", help="rotates at 10 MB; ten are kept")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made: dict[str, argparse.ArgumentParser] = {
        name: commands.add_parser(name, help=text, description=f"{name}: {text}.", parents=[logging])
        for name, text in COMMANDS.items()
    }
    _servers(made)
    _sessions(made)
    _link(made["link"])
    for name in ("images", "plugins", "check", "launch", "sessions", "show"):
        made[name].add_argument("--json", action="store_true", help="for programs: JSON on standard output")
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; bad usage ends the process with 2."""
    parser = make_parser()
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.command == "results" and not any(word.startswith("-") for word in rest):
        parsed.patterns += rest  # argparse gives up on patterns that stand behind an option
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if parsed.command == "delete" and parsed.left_over == (parsed.session is not None):
        parser.error("name either a session or --left-over")
    return parsed


def _servers(made: dict[str, argparse.ArgumentParser]) -> None:
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
    made["check"].add_argument("path", nargs="?", type=_path, metavar="PATH", help="default: the catalog in use")


def _sessions(made: dict[str, argparse.ArgumentParser]) -> None:
    launch = made["launch"]
    launch.add_argument("image", metavar="IMAGE")
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
    link.add_argument("image", metavar="IMAGE")
    link.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the image")
    link.add_argument("--hours", type=_hours, metavar="H", help="stop by itself after so many")
    link.add_argument("--base", default="http://localhost:8866/", metavar="URL", help="address of the dashboard, "
                      "also that of a page on mybinder.org; default: %(default)s")  # fmt: skip


def _hours(text: str) -> float:
    try:
        hours = times.read_hours(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.what} {error.todo}".rstrip(".")) from None
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
