"""Launchers for the visitor's own computer: the ssh command, and a script that opens tunnel and browser.

If the machine accepts the session's own key, the script contains it, so that the visitor needs none. It never contains
the Qarnot token. Key, known hosts and an HTML page that redirects to the app are in a folder that only the visitor can
read, and are removed at the end. (The address is in a page because it contains the app's token, and every user can read
the arguments of programs.)
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from enum import StrEnum

from run_qarnot.core.browser import redirect_page
from run_qarnot.core.names import is_name
from run_qarnot.model.connections import KNOWN_HOSTS_COMMAND, TunnelSpec, is_host, is_user
from run_qarnot.page.words import section

_KNOWN_HOSTS = "UserKnownHostsFile="
_ALIAS = "session"  # the machine's name in the file of known hosts
_URL = re.compile(r"http://127\.0\.0\.1:\d{1,5}/[\w@=:,./+?&%~-]*", re.ASCII)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,76}\n)+-----END OPENSSH PRIVATE KEY-----\n"
)
_HOST_KEY = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]{1,60} AAAA[A-Za-z0-9+/]+={0,2}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class System(StrEnum):
    """The system of the visitor's computer."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"


@dataclass(frozen=True)
class Launcher:
    """A file to download."""

    name: str
    text: str


def command_for(system: System, command: str) -> str:
    """Return the command of an `ssh` connection as one line for the terminal of another system than ours.

    Windows has no program that prints a line and is called as one word, so that `ssh` asks there.
    """
    words = shlex.split(command)
    if system is not System.WINDOWS:
        words = [f"{_KNOWN_HOSTS}/dev/null" if word.startswith(_KNOWN_HOSTS) else word for word in words]
        return shlex.join(words)
    words = [f"{_KNOWN_HOSTS}NUL" if word.startswith(_KNOWN_HOSTS) else word for word in words]
    pinned = [index for index, word in enumerate(words) if KNOWN_HOSTS_COMMAND in word]
    return subprocess.list2cmdline([word for index, word in enumerate(words) if not {index, index + 1} & {*pinned}])


def can_launch(spec: TunnelSpec) -> bool:
    """Whether a launcher can be written: values of the cluster become part of a program only in the right form."""
    return (
        is_name(spec.name)
        and is_user(spec.user)
        and is_host(spec.host)
        and all(0 < port < 65536 for port in (spec.port, spec.app_port, spec.local_port))
        and _URL.fullmatch(spec.url) is not None
        and (spec.private_key is None or _PRIVATE_KEY.fullmatch(spec.private_key) is not None)
        and (spec.host_key is None or _HOST_KEY.fullmatch(spec.host_key) is not None)
        and all(map(_FINGERPRINT.fullmatch, spec.fingerprints))
    )


def make_launcher(system: System, spec: TunnelSpec) -> Launcher | None:
    """Return a file that opens the tunnel and then the app in the browser; None if `can_launch` is False."""
    if not can_launch(spec):
        return None
    if system is System.WINDOWS:
        return Launcher(f"{spec.name}.bat", _batch(spec))
    suffix = "command" if system is System.MACOS else "sh"
    return Launcher(f"{spec.name}.{suffix}", _script(spec, system, f"{spec.name}*.{suffix}"))


def _ssh(spec: TunnelSpec) -> list[str]:
    """Return the arguments of OpenSSH, without paths, because it runs in the private folder."""
    key = ["-i", "key", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"] if spec.private_key else []
    is_known = bool(spec.host_key or spec.fingerprints)
    options = (
        "ExitOnForwardFailure=yes", "GatewayPorts=no", "ServerAliveInterval=30", "LogLevel=ERROR", "CheckHostIP=no",
        f"HostKeyAlias={_ALIAS}", f"StrictHostKeyChecking={'yes' if is_known else 'no'}",
        f"{_KNOWN_HOSTS}known_hosts",
    )  # fmt: skip
    return [
        "-N", "-L", f"127.0.0.1:{spec.local_port}:localhost:{spec.app_port}", "-a", "-x", *key,
        *(word for option in options for word in ("-o", option)),
        "-p", str(spec.port), f"{spec.user}@{spec.host}",
    ]  # fmt: skip


def _files(spec: TunnelSpec) -> dict[str, str]:
    """Return the content of the files in the private folder, by name."""
    files = {"open.html": redirect_page(spec.url)}
    if spec.private_key:
        files["key"] = spec.private_key
    if spec.host_key:
        files["known_hosts"] = f"{_ALIAS} {spec.host_key}\n"
    return files


def _scans(spec: TunnelSpec) -> bool:
    """Whether the launcher must scan for the host key: only its fingerprint is known here."""
    return spec.host_key is None and bool(spec.fingerprints)


# — Linux and macOS —

_SANDBOX = """\
# a browser in a sandbox (Firefox on Ubuntu is a snap) sees another /tmp, and of the home only what is not hidden
if [ -d /snap ] || [ -d /var/lib/flatpak ]; then
    parent=$HOME
    [ ! -d "$HOME/Downloads" ] || parent=$HOME/Downloads
fi
"""


def _script(spec: TunnelSpec, system: System, own_name: str) -> str:
    """Return a script in which ssh opens the browser: `LocalCommand`, run once connected, also removes the key."""
    say = {key: shlex.quote(text) for key, text in section("launcher").items()}
    opener = "open" if system is System.MACOS else "xdg-open"
    local = f'rm -f key; nohup {opener} "$PWD/open.html" >/dev/null 2>&1 &'
    files = "".join(f"cat >{name} <<'END'\n{text}END\n" for name, text in _files(spec).items())
    command = shlex.join(["ssh", "-o", "PermitLocalCommand=yes", "-o", f"LocalCommand={local}", *_ssh(spec)])
    return f"""#!/bin/sh
# {spec.name}: {section("launcher")["about"]}
case ${{0##*/}} in {own_name}) chmod go-rwx "$0" ;; esac
parent=${{TMPDIR:-/tmp}}
{_SANDBOX if system is System.LINUX else ""}\
folder=$(mktemp -d "$parent/run-qarnot-XXXXXX") && cd "$folder" || exit 1
ssh=''
leave() {{
    trap '' HUP INT TERM
    [ -z "$ssh" ] || kill "$ssh" 2>/dev/null
    cd / && rm -rf "$folder"
}}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mask=$(umask)
umask 077
{files}umask "$mask"
{_scan_script(spec)}\
echo {say["closes"]}
echo {say["address"]} {shlex.quote(spec.url)}
SHELL=/bin/sh {command} &
ssh=$!
wait "$ssh"
ssh=''
leave
trap - EXIT HUP INT TERM
echo {say["ended"]}
read -r _
"""


def _scan_script(spec: TunnelSpec) -> str:
    if not _scans(spec):
        return ""
    patterns = "|".join(f"*' {fingerprint} '*" for fingerprint in spec.fingerprints)
    return f"""\
ssh-keyscan -p {spec.port} {spec.host} >seen 2>/dev/null
while read -r _ key; do
    printf '%s %s\\n' {_ALIAS} "$key" >one
    case $(ssh-keygen -l -f one 2>/dev/null) in {patterns}) cat one >>known_hosts ;; esac
done <seen
"""


# — Windows —

_BATCH = (
    "@echo off",
    "chcp 65001 >nul",
    'set "RUN_QARNOT_LAUNCHER=%~f0"',
    # Runs the text after the mark, read as UTF-8, because PowerShell itself would use an old code page.
    'powershell -NoProfile -Command "Invoke-Expression (([IO.File]::ReadAllText($env:RUN_QARNOT_LAUNCHER)'
    " -split '(?m)^#PowerShell')[1])\"",
    "exit /b",
    "#PowerShell",
)


def _batch(spec: TunnelSpec) -> str:
    """Return a batch file whose constant first lines run the rest as a PowerShell program."""
    return "\r\n".join((*_BATCH, *_powershell(spec).splitlines(), ""))


def _powershell(spec: TunnelSpec) -> str:
    """Return a program that opens the browser once ssh listens at the port, because ssh on Windows cannot."""
    words = section("launcher")
    say = {key: _literal(text.format(port=spec.local_port)) for key, text in words.items()}
    files = "\n".join(
        f'    [IO.File]::WriteAllText("$folder\\{name}", {_lines(text)})' for name, text in _files(spec).items()
    )
    return f"""# {spec.name}: {words["about"]}
$ErrorActionPreference = 'Stop'
$port = {spec.local_port}
if (-not (Get-Command ssh -ErrorAction SilentlyContinue)) {{
    $null = Read-Host {say["no_ssh"]}
    exit 1
}}
$listeners = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties().GetActiveTcpListeners()
if ($listeners.Port -contains $port) {{
    $null = Read-Host {say["taken"]}
    exit 1
}}
# created with access for this user alone: ssh refuses a key that others can read
$me = [Security.Principal.WindowsIdentity]::GetCurrent().User
$rule = New-Object Security.AccessControl.FileSystemAccessRule(
    $me, 'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow')
$access = New-Object Security.AccessControl.DirectorySecurity
$access.SetAccessRuleProtection($true, $false)
$access.AddAccessRule($rule)
$folder = Join-Path ([IO.Path]::GetTempPath()) ('run-qarnot-' + [Guid]::NewGuid().ToString('N'))
$ssh = $null
$opened = $false
try {{
    $null = [IO.Directory]::CreateDirectory($folder, $access)
{files}
{_scan_powershell(spec)}\
    Write-Host {say["closes"]}
    Write-Host {say["address"]} {_literal(spec.url)}
    $arguments = {_literal(" ".join(_ssh(spec)))}
    $ssh = Start-Process ssh -WorkingDirectory $folder -NoNewWindow -PassThru -ArgumentList $arguments
    $ours = @{{ State = 'Listen'; LocalPort = $port; OwningProcess = $ssh.Id; ErrorAction = 'SilentlyContinue' }}
    while (-not $ssh.HasExited) {{
        if (-not $opened -and (Get-NetTCPConnection @ours)) {{
            $opened = $true
            Remove-Item "$folder\\key" -ErrorAction SilentlyContinue
            Start-Process "$folder\\open.html"
        }}
        Start-Sleep -Milliseconds 300
    }}
}} finally {{
    if ($ssh -and -not $ssh.HasExited) {{ $ssh.Kill() }}
    Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
}}
$null = Read-Host {say["ended"]}
"""


def _scan_powershell(spec: TunnelSpec) -> str:
    if not _scans(spec):
        return ""
    known = ", ".join(map(_literal, spec.fingerprints))
    return f"""\
    $known = @({known})
    $ErrorActionPreference = 'Continue'  # what ssh-keyscan says on its standard error is no error
    foreach ($line in (ssh-keyscan -p {spec.port} {spec.host} 2>$null)) {{
        [IO.File]::WriteAllText("$folder\\one", {_literal(_ALIAS + " ")} + ($line -split ' ', 2)[1] + "`n")
        $seen = (ssh-keygen -l -f "$folder\\one" 2>$null) -split ' '
        if ($known -contains $seen[1]) {{
            [IO.File]::AppendAllText("$folder\\known_hosts", [IO.File]::ReadAllText("$folder\\one"))
        }}
    }}
    $ErrorActionPreference = 'Stop'
"""


def _lines(text: str) -> str:
    """Return an expression for lines with Unix line ends: OpenSSH cannot read a key with others."""
    return f'(({", ".join(map(_literal, text.split(chr(10))))}) -join "`n")'


def _literal(text: str) -> str:
    """Return a PowerShell string literal. Typographic quotes end one, too, and are doubled."""
    return "'" + re.sub("(['‘’‚‛])", r"\1\1", text) + "'"
