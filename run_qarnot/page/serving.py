"""The options of our server: of `run-qarnot dashboard` and of `python -m run_qarnot.page.server`."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from run_qarnot.core.errors import InputError

_SAFE = "@~+:=!"  # as JupyterHub writes user names in addresses; quotes, brackets and semicolons are encoded
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\?#]")


@dataclass(frozen=True)
class Serving:
    """Where and how the server listens.

    Arguments:
        ip: the address to listen on; `localhost` means 127.0.0.1 and ::1.
        port: None for 8866 or the next free one.
        unix_socket: listen on this socket instead of an address; only this user can connect.
        base_url: the path of the page, as returned by `clean_base_url`.
        trust_proxy: trust the `X-Forwarded-*` headers of all clients.
        login: False if the program that connects to `unix_socket` has authenticated the visitor.
        open_browser: open the page in a browser once it answers.
        preheat: number of kernels that wait for visitors with the page built; pages then open faster.
        max_visitors: limit on open pages; None for as many as the memory allows.
        fork: fork kernels from a process that has loaded everything, if the system can fork.

    Raises:
        InputError: two options exclude each other.
    """

    ip: str = "localhost"
    port: int | None = None
    unix_socket: Path | None = None
    base_url: str = "/"
    trust_proxy: bool = False
    login: bool = True
    open_browser: bool = False
    preheat: int = 0
    max_visitors: int | None = None
    fork: bool = True

    def __post_init__(self) -> None:
        if not self.login and self.unix_socket is None:
            raise InputError("no-login")


def clean_base_url(text: str) -> str:
    """Return a base URL with a slash at both ends, percent-encoded as browsers send it.

    Raises:
        InputError: it is not a path, or browsers would change it.
    """
    path = text.strip().strip("/")
    parts = [unquote(part) for part in path.split("/")] if path else []
    if any(part in {"", ".", ".."} or "/" in part or _CONTROL.search(part) for part in parts) or "://" in text:
        raise InputError("base-url", value=text[:200])
    return "/".join(["", *(quote(part, safe=_SAFE) for part in parts), ""])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a server to a parser; `from_arguments` reads them."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=_port, metavar="N", help="default: 8866, or the next free one")
    where.add_argument("--unix-socket", type=Path, metavar="PATH", help="listen there instead; for this user alone")
    parser.add_argument("--ip", default="localhost", metavar="A", help="address to listen on; default: %(default)s")
    parser.add_argument("--base-url", type=_base_url, default="/", metavar="/P/", help="path of the page, such as "
                        "that for which a proxy sends visitors here")  # fmt: skip
    parser.add_argument("--trust-proxy", action="store_true", help="believe the X-Forwarded-* headers: all "
                        "visitors come through a proxy")  # fmt: skip
    parser.add_argument("--no-login", action="store_true", help="whoever connects to --unix-socket has "
                        "authenticated the visitor")  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--preheat", type=_whole, default=0, metavar="N", help="how many kernels wait for visitors")
    parser.add_argument("--max-visitors", type=_whole, metavar="N", help="how many pages may be open at once; default: "
                        "as many as the memory allows")  # fmt: skip
    parser.add_argument("--no-fork", action="store_true", help="start each kernel anew, instead of copying a process "
                        "that has loaded everything")  # fmt: skip


def from_arguments(arguments: argparse.Namespace) -> Serving:
    """Return the parsed options.

    Raises:
        InputError: two options exclude each other.
    """
    return Serving(
        ip=arguments.ip,
        port=arguments.port,
        unix_socket=arguments.unix_socket,
        base_url=arguments.base_url,
        trust_proxy=arguments.trust_proxy,
        login=not arguments.no_login,
        open_browser=not arguments.no_browser,
        preheat=arguments.preheat,
        max_visitors=arguments.max_visitors,
        fork=not arguments.no_fork,
    )


def _base_url(text: str) -> str:
    try:
        return clean_base_url(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error.advice).rstrip(".")) from None


def _port(text: str) -> int:
    port = _whole(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError("a port is between 1 and 65535")
    return port


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise argparse.ArgumentTypeError("write a whole number")
    return int(text)
