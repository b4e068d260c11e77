"""A real Ceph RADOS gateway on this machine: the software behind Qarnot's storage (`reference/storage-ceph.md`).

with Gateway() as gateway:
    gateway.make_account("you@example.com", "token")
    boto3.client("s3", endpoint_url=gateway.url, ...)

One monitor, one manager, one storage daemon that keeps objects in memory, and the gateway, all on free ports of
127.0.0.1 and below one temporary folder. Debian and Ubuntu have the programs in their packages.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from support.ports import free_port
from support.waiting import wait_until

# Each program, and the package that brings it.
PROGRAMS = {
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "ceph-mgr": "ceph-mgr",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
    "ceph": "ceph-common",
    "ceph-authtool": "ceph-common",
    "monmaptool": "ceph-common",
}
_MEMORY_BYTES = 3 << 30  # taken as it is needed; deleted parts are freed late
_START_SECONDS = 60

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = {monitor}
mon initial members = a
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
run dir = {folder}
admin socket =
log file = {folder}/log/$name.log
pid file =
crash dir = {folder}/crash
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon pg warn min per osd = 0
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
mon cluster log file = {folder}/log/cluster.log
mgr module path = /usr/share/ceph/mgr
mgr initial modules =
osd objectstore = memstore
memstore device bytes = {memory}
osd max object name len = 2048
osd max object namespace len = 256
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
[mgr.x]
mgr data = {folder}/mgr
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw dns name = localhost
rgw enable usage log = false
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw bucket quota ttl = 0
rgw user quota bucket sync interval = 1
rgw user quota sync interval = 1
"""


def missing_packages() -> list[str]:
    """The packages that have to be installed before a gateway can run here."""
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})


def _advice(missing: list[str]) -> str:
    packages = " ".join(missing)
    return (
        f"The tests of the storage need a real Ceph gateway, and these packages are missing: {packages}.\n"
        f"Install them (Debian, Ubuntu: apt-get install --no-install-recommends {packages}), then try again."
    )


class Gateway:
    """A running gateway. Its accounts are separate users of one tenant, as on Qarnot's storage."""

    def __init__(self) -> None:
        self._folder = Path()
        self._stack = contextlib.ExitStack()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        if missing := missing_packages():
            raise FileNotFoundError(_advice(missing))
        with self._stack as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rq-ceph-")))
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def make_account(self, email: str, secret: str, *, most_buckets: int = 1000) -> None:
        """Make an account; its access key is its e-mail address, as Qarnot has it."""
        self.admin(
            "user", "create", f"--uid={email}", f"--display-name={email}", f"--access-key={email}",
            f"--secret-key={secret}", f"--max-buckets={most_buckets}",
        )  # fmt: skip

    def limit(self, email: str, *, buckets: int = 1000, size: int = -1) -> None:
        """Set how many buckets an account may have, and how many bytes in all; -1: any number of them."""
        self.admin("user", "modify", f"--uid={email}", f"--max-buckets={buckets}")
        self.admin("quota", "set", "--quota-scope=user", f"--uid={email}", f"--max-size={size}")
        self.admin("quota", "enable" if size >= 0 else "disable", "--quota-scope=user", f"--uid={email}")
        if size >= 0:  # the gateway adds up what is there in the background, and would let through what is too much
            self.admin("user", "stats", f"--uid={email}", "--sync-stats")

    def admin(self, *arguments: str) -> Any:
        """Run `radosgw-admin`; return what it prints, read as JSON."""
        printed = self._run("radosgw-admin", *arguments)
        return json.loads(printed) if printed.strip() else None

    # — start —

    def _start(self) -> None:
        for name in ("log", "mon", "osd", "mgr", "rgw"):
            (self._folder / name).mkdir()
        first, second = free_port(), free_port()
        monitor = f"[v2:127.0.0.1:{first},v1:127.0.0.1:{second}]"
        fsid = str(uuid.uuid4())
        self._configuration.write_text(
            _CONFIGURATION.format(
                fsid=fsid, monitor=monitor, folder=self._folder, memory=_MEMORY_BYTES, port=self._port
            )
        )
        self._make_keys()
        monitors = str(self._folder / "monmap")
        self._run("monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, monitors)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors, "--keyring", str(self._keyring))
        self._serve("ceph-mon", "-i", "a")
        wait_until(lambda: self._ask("-s") is not None, "the monitor to answer", _START_SECONDS)
        self._allow("mgr.x", mon="allow profile mgr", osd="allow *", mds="allow *")
        self._serve("ceph-mgr", "-i", "x")
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
        self._allow("osd.0", mon="allow profile osd", mgr="allow profile osd", osd="allow *")
        self._serve("ceph-osd", "-i", "0")
        wait_until(lambda: " 1 up" in (self._ask("osd", "stat") or ""), "the storage daemon", _START_SECONDS)
        self._allow("client.rgw.a", mon="allow *", osd="allow *", mgr="allow *")
        self._serve("radosgw", "-n", "client.rgw.a")
        wait_until(self._answers, "the gateway to answer", _START_SECONDS)

    @property
    def _configuration(self) -> Path:
        return self._folder / "ceph.conf"

    @property
    def _keyring(self) -> Path:
        return self._folder / "keyring"

    def _make_keys(self) -> None:
        keyring = str(self._keyring)
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        everything = [word for daemon in ("mon", "osd", "mgr") for word in ("--cap", daemon, "allow *")]
        self._run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)

    def _allow(self, name: str, **capabilities: str) -> None:
        """Make a key for a daemon, and add it to the keyring, where the daemon finds it."""
        words = [word for pair in capabilities.items() for word in pair]
        with self._keyring.open("a") as keyring:
            keyring.write(self._run("ceph", "auth", "get-or-create", name, *words))

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url, timeout=1).ok
        return False

    def _ask(self, *arguments: str) -> str | None:
        """Ask the monitor; None while it does not answer."""
        with contextlib.suppress(subprocess.SubprocessError):
            return self._run("ceph", "--connect-timeout", "3", *arguments)
        return None

    def _run(self, program: str, *arguments: str) -> str:
        given = () if program in {"monmaptool", "ceph-authtool"} else ("-c", str(self._configuration))
        done = subprocess.run(
            [program, *given, *arguments], capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, [program, *arguments], done.stdout, done.stderr)
        return done.stdout

    def _serve(self, program: str, *arguments: str) -> None:
        """Start a daemon that ends with this process, however that ends."""
        own, theirs = os.pipe()
        command = [
            sys.executable,
            "-m",
            "run_qarnot.lifeline",
            "--",
            program,
            "-c",
            str(self._configuration),
            "-f",
        ]
        with (self._folder / "log" / f"{program}.out").open("wb") as printed:
            process = subprocess.Popen([*command, *arguments], stdin=own, stdout=printed, stderr=printed)
        os.close(own)

        def stop() -> None:
            os.close(theirs)
            process.wait(timeout=30)

        self._stack.callback(stop)


if __name__ == "__main__" and (absent := missing_packages()):
    sys.exit(_advice(absent))
