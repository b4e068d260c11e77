"""The table of commands: what each one does, its arguments, and the function that runs it.

The order is that in which a person meets them; `run-qarnot --help` lists them so.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from run_qarnot.core import times
from run_qarnot.core.errors import InputError
from run_qarnot.model.web_file import is_address
from run_qarnot.page import serving

SHELLS = ("bash", "zsh", "fish")


class Command(NamedTuple):
    """A command.

    Fields:
        help: what it does, in a line.
        run: its function, as `module:name` in this package. It is imported when the command runs, so that `--help` and
            `images` do not load the SDK, which takes half a second. A coroutine function gets an open account and the
            parsed arguments, any other the settings and the parsed arguments; either returns the exit code.
        add_arguments: adds its arguments to its parser.
    """

    help: str
    run: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def path(text: str) -> Path:
    """Return a path that was typed. A variable of the shell that is not set would otherwise mean the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("a path cannot be empty; a dot is the folder where you are")
    return Path(text)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError("a port is between 1 and 65535")
    return port


def _hours(text: str) -> float:
    try:
        hours = times.read_hours(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error.advice).rstrip(".")) from None
    if math.isnan(hours):
        raise argparse.ArgumentTypeError("write a number of hours, such as 1.5, 1h30 or 90m")
    return hours


def _idle(text: str) -> float:
    try:
        minutes = times.read_minutes(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error.advice).rstrip(".")) from None
    if math.isnan(minutes):
        raise argparse.ArgumentTypeError("write a number of minutes, such as 90 or 1h30; 0 for never")
    return minutes


def _hours_or_clock(text: str) -> float:
    until = times.hours_until(text, datetime.now())  # noqa: DTZ005  of this machine's zone, as the person who types
    if until is not None:
        return until
    try:
        return _hours(text)
    except argparse.ArgumentTypeError as error:
        also = "" if "time of the day" in str(error) else ", or a time of the day, such as 18:30"
        raise argparse.ArgumentTypeError(f"{error}{also}") from None


def input_path(text: str) -> Path | str:
    """A path, or an address as it is: a path would lose one of its slashes."""
    return text if is_address(text) else path(text)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: JSON on standard output")


def _session(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument("session", nargs=nargs, metavar="SESSION", help="name, id, or a unique beginning of either")


def _image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="its id: `run-qarnot images` lists them")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, metavar="N", help="default: 8866, or the next free one")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, metavar="N", help="default: any free one")
    parser.add_argument("--state-dir", type=path, metavar="D", help="keep tasks and files there")
    parser.add_argument("--realistic", action="store_true", help="be as slow as the cloud: minutes to a start")


def _images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="*", metavar="PATTERN", help="only what fits these words, such as sklearn")
    _json(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spend", action="store_true", help="also what costs money: it says how much at most, and asks"
    )
    parser.add_argument("--yes", action="store_true", help="with --spend: do not ask; for programs")
    parser.add_argument("--output", type=path, default=Path(), metavar="DIR", help="where the report is written; "
                        "default: here")  # fmt: skip
    _json(parser)


def _new_plugin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="small letters, digits and underscores")
    parser.add_argument("--package", action="store_true", help="a package to install with pip, instead of one file")
    parser.add_argument("--folder", type=path, metavar="DIR", help="where; default: plugins/ for a file, else here")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=path, metavar="PATH", help="default: the catalog in use")
    _json(parser)


def _launch(parser: argparse.ArgumentParser) -> None:
    _image(parser)
    parser.add_argument("--name", help="of the session; default: a friendly one")
    _inputs(parser)
    parser.add_argument("--git", default="", metavar="URL[@REF]", help="a repository that comes along, in a folder of "
                        "its name; the token of a private one in RUN_QARNOT_GIT_TOKEN")  # fmt: skip
    parser.add_argument("--from", dest="resume", metavar="SESSION", help="begin with a copy of its files and packages; "
                        "the two are independent of each other")  # fmt: skip
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME", help="one of your own: its files come "
                        "along, too; may be repeated")  # fmt: skip
    parser.add_argument("--cores", default="", metavar="N", help="a machine with at least so many")
    parser.add_argument("--memory", default="", metavar="GB", help="a machine with at least so much")
    parser.add_argument("--machine", default="", metavar="NAME", help="one of those that the account has: a machine "
                        "by its key, a processor, gpu, ssd; a wrong one lists them")  # fmt: skip
    _machines(parser)
    parser.add_argument("--scheduling", choices=("flex", "on-demand", "reserved"), default="", help="how a machine is "
                        "found; default: as the image has it")  # fmt: skip
    parser.add_argument("--ssh-key", type=path, metavar="FILE", help="your public key, for ssh and VS Code")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the image")
    _limit(parser)
    parser.add_argument("--detach", action="store_true", help="do not wait until it is ready")
    parser.add_argument("--open", action="store_true", help="open it in the browser, and stay until Ctrl-C")
    _json(parser)


def _start(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    _inputs(parser)
    _limit(parser)
    _machines(parser)
    parser.add_argument("--image", metavar="ID", help="another image from now on; its options begin at their defaults")
    parser.add_argument("--update", action="store_true", help="bring the repository that came along up to date first; "
                        "what was changed in the session stays")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of an option")
    parser.add_argument("--detach", action="store_true", help="do not wait until it is ready")
    _json(parser)


def _extend(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    parser.add_argument("hours", type=_hours_or_clock, metavar="HOURS", help="the next run stops after so many, or at "
                        "a time of the day; the limit of the one that runs cannot be changed")  # fmt: skip
    _idle_limit(parser)
    _machines(parser)
    parser.add_argument("--detach", action="store_true", help="do not wait until it is ready")
    _json(parser)


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", action="append", type=input_path, default=[], metavar="PATH", help="file, folder "
                        "whose content is uploaded, or https://…[#sha256=…]; may be repeated")  # fmt: skip


def _limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hours", type=_hours_or_clock, metavar="H", help="stop by itself after so many, such as "
                        "4, 1h30 or 90m, or at a time of the day such as 18:30")  # fmt: skip
    _idle_limit(parser)


def _machines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--machines", type=int, metavar="N", help="so many, for images that work on several; default: "
                        "as before, at first as the image has it")  # fmt: skip


def _idle_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--idle", type=_idle, metavar="MIN", help="stop by itself once nobody has used it for so many "
                        "minutes; 0: never; default: as before, at first as the image has it, mostly 60")  # fmt: skip


def _show(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    _json(parser)
    parser.add_argument("--watch", action="store_true", help="draw the use of its machine, until the session's end")


def _open(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    parser.add_argument("--ssh-key", type=path, metavar="FILE", help="your key, for sessions that know no other")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def _logs(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    parser.add_argument("--follow", action="store_true", help="go on until the session's end")


def _add(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    parser.add_argument("paths", nargs="+", type=input_path, metavar="PATH", help="file, folder, or address of a file")
    parser.add_argument("--replace", action="store_true", help="also files that are there with other content")


def _stop(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    parser.add_argument("--no-save", action="store_true", help="do not save first")
    parser.add_argument("--yes", action="store_true", help="with --no-save: do not ask; for programs")


def _results(parser: argparse.ArgumentParser) -> None:
    _session(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", type=path, metavar="DIR", help="default: a new folder named after the session")
    where.add_argument("--zip", type=path, metavar="FILE", help="one zip instead of a folder; - for standard output")
    parser.add_argument("--inputs", action="store_true", help="also the files that were sent to it")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="only files that match, such as '*.png'")


def _delete(parser: argparse.ArgumentParser) -> None:
    _session(parser, nargs="?")
    parser.add_argument("--files", action="store_true", help="with all its files, those that were sent and its "
                        "results, after a question; by the whole name, or an id")  # fmt: skip
    parser.add_argument("--left-over", action="store_true", help="instead of a session: the files of those that are "
                        "forgotten; they are listed, and you are asked")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask; for programs")


def _link(parser: argparse.ArgumentParser) -> None:
    _image(parser)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the image")
    parser.add_argument("--hours", type=_hours, metavar="H", help="stop by itself after so many")
    parser.add_argument("--git", default="", metavar="URL[@REF]", help="a repository that comes along")
    parser.add_argument("--open", default="", metavar="PATH", help="what JupyterLab opens first, in the repository")
    parser.add_argument("--idle", type=_idle, metavar="MIN", help="stop once nobody has used it for so many minutes")
    parser.add_argument("--machines", type=int, metavar="N", help="so many machines")
    parser.add_argument("--base", default="http://localhost:8866/", metavar="URL", help="address of the dashboard, "
                        "also that of a page on mybinder.org; default: %(default)s")  # fmt: skip


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "the local cluster and the dashboard, on this machine; no account needed",
        "servers:demo", _demo,
    ),
    "dashboard": Command(
        "the dashboard against QARNOT_CLUSTER_URL (default: the cloud)",
        "servers:dashboard", serving.add_arguments,
    ),
    "cluster": Command(
        "the local cluster alone; prints `export` lines to paste",
        "servers:cluster", _cluster,
    ),
    "images": Command("the catalog", "catalog:images", _images),
    "plugins": Command(
        "what plugins were found where, their hooks, and what is wrong with them",
        "plugins:plugins", _json,
    ),
    "new-plugin": Command(
        "writes a working plugin to start from, with its test",
        "plugins:new_plugin", _new_plugin,
    ),
    "check": Command(
        "reads the catalog and the plugins as the dashboard would, and says what is wrong",
        "catalog:check", _check,
    ),
    "doctor": Command(
        "tries on the account what the product relies on, and writes a report without secrets",
        "doctor:doctor",
        _doctor,
    ),
    "launch": Command(
        "starts a session; prints the ways into it when it is ready",
        "sessions:launch", _launch,
    ),
    "start": Command(
        "starts an ended session again: same name, link, files and packages",
        "sessions:start", _start,
    ),
    "extend": Command(
        "saves, stops, and starts the session again at once, for so many hours",
        "sessions:extend", _extend,
    ),
    "sessions": Command("the sessions of this account", "sessions:sessions", _json),
    "show": Command("one session, with the ways into it", "sessions:show_session", _show),
    "open": Command(
        "opens the way to a session and prints its address; stays until Ctrl-C",
        "sessions:open_session", _open,
    ),
    "logs": Command("what the session's container printed", "sessions:logs", _logs),
    "add": Command("adds files to a session; one that ended begins its next run with them", "sessions:add", _add),
    "save": Command("saves the results now, and waits until that is done", "sessions:save", _session),
    "stop": Command("saves, waits, stops", "sessions:stop", _stop),
    "results": Command("fetches the results", "results:results", _results),
    "delete": Command("forgets an ended session, with all its runs", "sessions:delete", _delete),
    "link": Command(
        "prints a link that fills the dashboard's form, and its README badge",
        "link:link", _link,
    ),
    "completion": Command(
        "prints what a shell needs to complete commands, options and paths",
        "completion:completion", _completion,
    ),
}  # fmt: skip
