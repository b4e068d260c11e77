"""A browser that notes what it was asked to open, and what any user of the machine could read meanwhile."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from support.waiting import wait_until

_PROGRAM = """#!{python}
import json, os, pathlib, sys, urllib.parse
address = sys.argv[1]
path = pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path))
commands = []
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        commands.append((process / "cmdline").read_bytes().replace(b"\\0", b" ").decode(errors="replace"))
    except OSError:
        pass
seen = dict(address=address, text=path.read_text(), commands=commands)
seen["modes"] = [oct(each.stat().st_mode & 0o777) for each in (path, path.parent)]
pathlib.Path({record!r} + ".part").write_text(json.dumps(seen))
os.replace({record!r} + ".part", {record!r})
"""


@dataclass(frozen=True)
class Seen:
    """What the browser was given, and where that leads to."""

    address: str
    text: str
    commands: list[str]
    modes: list[str]

    @property
    def file(self) -> Path:
        return Path(unquote(urlsplit(self.address).path))

    @property
    def target(self) -> str:
        """Where the page that it was given leads on to."""
        return _Redirect.of(self.text)


class FakeBrowser:
    """A program that can be named in `BROWSER`, or put on a `PATH` as `xdg-open` or `open`."""

    def __init__(self, folder: Path, name: str = "browser") -> None:
        self.program = folder / name
        self._record = folder / f"{name}.json"
        self.program.write_text(_PROGRAM.format(python=sys.executable, record=str(self._record)))
        self.program.chmod(0o755)

    def seen(self, seconds: float = 30) -> Seen:
        """Wait until it was started."""
        wait_until(self._record.exists, "the browser to be started", seconds)
        return Seen(**json.loads(self._record.read_text()))


class _Redirect(HTMLParser):
    target = ""

    @classmethod
    def of(cls, text: str) -> str:
        parser = cls()
        parser.feed(text)
        return parser.target

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        named = dict(attrs)
        if tag == "meta" and named.get("http-equiv") == "refresh":
            self.target = named["content"].partition("url=")[2]
