"""The SSH door for the person's own system: the line to type, and a file that opens tunnel and browser.

The file holds what the page shows, and so the key to the session, but never the Qarnot token.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from run_qarnot.page.words import section

_KNOWN_HOSTS = "UserKnownHostsFile="
_LISTENERS = "[Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties().GetActiveTcpListeners()"
_TAKEN = 7  # what the check of the port ends with; not what cmd.exe says when there is no PowerShell
_SAFE = re.compile(r"[\w@=:,./+-]+", re.ASCII)  # means nothing but itself to cmd.exe
_SAFE_URL = re.compile(r"[\w@=:,./+?&%~-]+", re.ASCII)


class System(StrEnum):
    """What the person's computer runs, as the page asks for it."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


@dataclass(frozen=True)
class Launcher:
    """A file to download."""

    name: str
    text: str


def command_for(system: System, command: str) -> str:
    """Return the command of an SSH door as one line for the terminal of another system than ours."""
    words = _words(system, command)
    return subprocess.list2cmdline(words) if system is System.WINDOWS else shlex.join(words)


def make_launcher(system: System, name: str, command: str, url: str) -> Launcher | None:
    """Return a file that opens the tunnel, and then the address; None where that cannot be written safely.

    Arguments:
        name: of the session.
        command: of its SSH door.
        url: the address to open once the tunnel is there.
    """
    words = _words(system, command)
    if system is not System.WINDOWS:
        opener = "open" if system is System.MACOS else "xdg-open"
        suffix = "command" if system is System.MACOS else "sh"
        return Launcher(f"{name}.{suffix}", _script(name, words, opener, url))
    if not all(map(_SAFE.fullmatch, words)) or not _SAFE_URL.fullmatch(url):
        return None
    return Launcher(f"{name}.bat", _batch(name, words, url))


def _words(system: System, command: str) -> list[str]:
    null = "NUL" if system is System.WINDOWS else "/dev/null"
    return [f"{_KNOWN_HOSTS}{null}" if word.startswith(_KNOWN_HOSTS) else word for word in shlex.split(command)]


def _script(name: str, words: list[str], opener: str, url: str) -> str:
    """ssh itself opens the browser: once it is connected it runs `LocalCommand`, in which `%` is written twice."""
    say = section("launcher")
    then = f"{opener} {shlex.quote(url)} >/dev/null 2>&1 &".replace("%", "%%")
    program, *rest = words
    command = shlex.join([program, "-o", "PermitLocalCommand=yes", "-o", f"LocalCommand={then}", *rest])
    return f"""#!/bin/sh
# {name}: {say["about"]}
echo {shlex.quote(say["closes"])}
{command} || {{ echo {shlex.quote(say["ended"])}; read -r _; }}
"""


def _batch(name: str, words: list[str], url: str) -> str:
    """ssh cannot open the browser there: a second window does, when the tunnel's port is there. It must not be before.

    cmd.exe takes `%` for a variable unless it is written twice, and reads the file in the code page of the moment.
    """
    say = {key: _echoed(text) for key, text in section("launcher").items()}
    port = urlsplit(url).port or 80
    there = f"{_LISTENERS}.Port -contains {port}"
    then = f"Start-Process '{url.replace('%', '%%')}'; break"
    lines = (
        "@echo off",
        "chcp 65001 >nul",
        f"rem {name}: {say['about']}",
        f"echo {say['closes']}",
        f'powershell -NoProfile -Command "if ({there}) {{ exit {_TAKEN} }}"',
        f"if %errorlevel% equ {_TAKEN} (echo {say['taken'].format(port=port)}& pause& exit /b 1)",
        'start "" /min powershell -NoProfile -Command '
        f'"for ($i = 0; $i -lt 60; $i++) {{ if ({there}) {{ {then} }}; Start-Sleep 1 }}"',
        subprocess.list2cmdline(words),
        f"echo {say['ended']}",
        "pause >nul",
        "",
    )
    return "\r\n".join(lines)


def _echoed(text: str) -> str:
    """What cmd.exe is to print, without meaning anything to it."""
    return re.sub(r"([&|<>^()])", r"^\1", text).replace("%", "%%")
