"""The packages of a session: brought back at its start, and written down while it runs. Part of `start.sh`.

It runs on the Python of somebody's image, by path: it needs 3.8 or newer and imports nothing but the standard library.

`restore` installs what `requirements.txt` names, and writes the receipt. `keep` says when the app answers, and then
keeps `requirements.txt` (what the user installed) and `requirements-full.txt` (everything) up to date until SIGTERM.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import json
import os
import re
import signal
import site
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence  # noqa: UP035  Python 3.8 cannot use those of collections.abc

WATCH_SECONDS = 1.0
ANSWER_SECONDS = 0.1  # between two questions while the app starts; a refused connection costs nothing
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)", re.DOTALL)
_EXACT = re.compile(r"==\s*([^\s;,*]+)\s*(;.*)?")
_OWN_ITEMS = ("-r", "--requirement", "-e", "--editable")


class Installed(NamedTuple):
    """A package as it is found: `line` is what brings it back, `asked` whether somebody named it to pip."""

    name: str
    version: str
    line: str
    asked: bool


class Requirement(NamedTuple):
    """A line of `requirements.txt`; `name` is None for an option or a path."""

    line: str
    name: str | None
    exact: str | None


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(text: str) -> Iterator[Requirement]:
    """Yield the requirements of a file, one a line, continued lines joined, comments left out."""
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line:
            yield parse(line)


def parse(line: str) -> Requirement:
    found = _NAME.fullmatch(line)
    if line.startswith("-") or not found or "/" in line.split("@")[0].split(";")[0]:
        return Requirement(line, None, None)
    exact = _EXACT.fullmatch(found[3])
    return Requirement(line, normal(found[1]), exact[1] if exact else None)


def merge(text: str, installed: dict[str, Installed], new: dict[str, Installed], seen: set[str]) -> str:
    """Return `requirements.txt` as it should be now.

    What the user wrote stays as it is, comments too, but for pinned versions that changed and for packages that were
    there in this session and are not any more. What was installed since is added.

    Arguments:
        text: the file as it is.
        installed: all packages, by their normal name.
        new: those of them that were asked for since the start.
        seen: names of packages that have been there at some time of this session.
    """
    lines: list[str] = []
    known = set()
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        wanted = parse(bare) if bare and not bare.endswith("\\") else None
        if wanted is None or wanted.name is None:
            lines.append(line)
        elif wanted.name not in installed:
            if wanted.name not in seen:  # could not be restored: kept, or it would be lost for ever
                lines.append(line)
        elif wanted.name not in known:
            known.add(wanted.name)
            changed = wanted.name in new and wanted.exact not in (None, installed[wanted.name].version)
            lines.append(_repinned(line, wanted.exact or "", installed[wanted.name]) if changed else line)
    added = (package.line for name, package in new.items() if name not in known)
    return "".join(f"{line}\n" for line in [*lines, *sorted(added, key=str.casefold)])


def _repinned(line: str, exact: str, package: Installed) -> str:
    if "@" in package.line:
        return package.line
    return re.sub(rf"==\s*{re.escape(exact)}", f"=={package.version}", line, count=1)


def folders() -> list[str]:
    """Where packages are, in the order in which Python looks; the user's own is made by her first package."""
    found = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    found += (path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    return list(dict.fromkeys(found))


def entries() -> Iterator[os.DirEntry[str]]:
    """Yield what pip and others leave beside each package, in the order in which Python looks."""
    for folder in folders():
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            ours = [entry for entry in found if entry.name.endswith((".dist-info", ".egg-info"))]
            yield from sorted(ours, key=lambda entry: entry.name)


def fingerprint() -> set[tuple[str, int]]:
    """What changes when a package comes or goes: cheap enough for once a second."""
    marks = set()
    for entry in entries():
        with contextlib.suppress(OSError):
            marks.add((entry.path, entry.stat().st_mtime_ns))
    return marks


def find_installed() -> dict[str, Installed]:
    """All packages, by their normal name; the first found is the one that Python imports.

    `importlib.metadata` would do, but reads and parses every page-long description.
    """
    found: dict[str, Installed] = {}
    for entry in entries():
        with contextlib.suppress(OSError, ValueError, KeyError):  # half-written, or damaged by somebody else
            place = Path(entry.path)
            name, version = _head(place)
            if normal(name) not in found:
                address = place / "direct_url.json"
                line = _direct(name, address.read_text("utf-8")) if address.exists() else f"{name}=={version}"
                found[normal(name)] = Installed(name, version, line, (place / "REQUESTED").exists())
    return found


def _head(place: Path) -> tuple[str, str]:
    """Name and version, from the first lines of a package's description."""
    if place.name.endswith(".dist-info"):
        place /= "METADATA"
    elif place.is_dir():
        place /= "PKG-INFO"
    fields: dict[str, str] = {}
    with place.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            field, colon, value = line.partition(":")
            if not colon or {"Name", "Version"} <= set(fields):
                break
            fields.setdefault(field, value.strip())
    return fields["Name"], fields["Version"]


def _direct(name: str, text: str) -> str:
    """What brings back a package that came from an address, as `pip freeze` writes it."""
    about = json.loads(text)
    address = about["url"]
    if "vcs_info" in about:
        return f"{name} @ {about['vcs_info']['vcs']}+{address}@{about['vcs_info']['commit_id']}"
    if about.get("dir_info", {}).get("editable") and address.startswith("file://"):
        return f"-e {address[len('file://') :]}"
    return f"{name} @ {address}"


def read(path: Path) -> str:
    """Return a text that anyone may have written, on any system: bytes that are no UTF-8 survive `write`."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what `pip freeze > file` makes in PowerShell
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "surrogateescape")


def write(path: Path, text: str) -> None:
    """Replace a file in one step: a snapshot taken meanwhile sees the old one or the new one."""
    raw = text.encode("utf-8", "surrogateescape")
    with contextlib.suppress(OSError):
        if path.read_bytes() == raw:
            return
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(raw)
    temporary.replace(path)


class Log:
    """`logs/qarnot.log` and the task's output, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)  # noqa: T201  this is a program


class Restore:
    """Installs what `requirements.txt` names: all at once, or, when that fails, one by one."""

    def __init__(self, job: Path, log: Log) -> None:
        self._job = job
        self._log = log
        self.restored: list[dict[str, str]] = []
        self.missing: list[dict[str, str]] = []

    def run(self) -> None:
        try:
            text = read(self._job / "requirements.txt")
        except OSError:
            return
        wanted = list(read_requirements(text))
        items = [item for item in wanted if not item.line.startswith("-") or item.line.startswith(_OWN_ITEMS)]
        if not items:
            return
        before = find_installed()
        self._log(f"Run Qarnot: bringing back {len(items)} package(s) from requirements.txt.")
        reasons: dict[str, str] = {}
        if self._pip(["-r", "requirements.txt"]) is not None:
            options = [item.line for item in wanted if item not in items]
            self._log("Run Qarnot: not all of them came back together; trying them one by one.")
            for item in items:
                reason = self._alone(options, item.line)
                if reason is not None:
                    reasons[item.line] = reason
        self._sort(items, reasons, before)

    def _sort(self, items: Sequence[Requirement], reasons: dict[str, str], before: dict[str, Installed]) -> None:
        after = find_installed()
        for item in items:
            there = after.get(item.name) if item.name else None
            reason = reasons.get(item.line)
            if reason is None and item.name and there is None:
                reason = "pip left it out: it is not meant for this machine or this Python"
            if reason is not None:
                self.missing.append({"requirement": item.line, "reason": reason})
                continue
            entry = {"requirement": item.line}
            if there is not None:
                old = before.get(normal(there.name))
                how = "in the image" if old and old.version == there.version else "installed"
                entry.update(name=there.name, version=there.version, how=how)
            self.restored.append(entry)

    def _alone(self, options: Sequence[str], line: str) -> str | None:
        """Install one; from a file, because hashes and options count only there. Returns why it could not be."""
        file = self._job / ".requirements-one.txt"  # beside the real one: paths in it are relative to it
        write(file, "\n".join([*options, line]) + "\n")
        try:
            return self._pip(["--retries", "1", "-r", file.name])
        finally:
            file.unlink()

    def _pip(self, arguments: Sequence[str]) -> str | None:
        """Run pip; return what it gives as its reason when it fails."""
        command = [sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar", "off", *arguments]
        process = subprocess.Popen(
            command, cwd=str(self._job), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

        def stop(*_: object) -> None:
            process.terminate()
            raise SystemExit(143)

        signal.signal(signal.SIGTERM, stop)
        lines = []
        assert process.stdout
        for raw in process.stdout:
            lines.append(raw.decode("utf-8", "replace").rstrip())
            self._log(lines[-1])
        if process.wait() == 0:
            return None
        errors = [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("error:")]
        return (errors or [line for line in lines if line] or ["pip said nothing"])[0]


def restore(job: Path, state: Path, log: Log) -> None:
    """Bring the packages back, and leave the receipt. It does not fail: the session starts with what there is."""
    started = time.time()
    with contextlib.suppress(OSError):
        write(state / "baseline.json", json.dumps(versions(find_installed())))
    work = Restore(job, log)
    try:
        work.run()
    except Exception as error:  # a full disk, a file in a strange form  # noqa: BLE001
        log(f"Run Qarnot: the packages could not be brought back: {error}")
        work.missing.append({"requirement": "requirements.txt", "reason": str(error)})
    receipt = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
        "restored": work.restored,
        "missing": work.missing,
    }
    with contextlib.suppress(OSError):
        write(job / ".run-qarnot" / "receipt.json", json.dumps(receipt, indent=2, ensure_ascii=False) + "\n")
    for entry in work.missing:
        log(f"Run Qarnot: {entry['requirement']} did not come back: {entry['reason']}")
    if work.restored:
        log(f"Run Qarnot: {len(work.restored)} package(s) came back.")


def versions(installed: dict[str, Installed]) -> dict[str, str]:
    return {name: package.version for name, package in installed.items()}


def read_baseline(state: Path) -> dict[str, str]:
    """What the image brought, as `restore` found it; without that, what is there now."""
    try:
        baseline: dict[str, str] = json.loads((state / "baseline.json").read_text("utf-8"))
    except (OSError, ValueError):
        baseline = versions(find_installed())
    return baseline


class Lists:
    """`requirements.txt` and `requirements-full.txt`."""

    def __init__(self, job: Path, state: Path) -> None:
        self._short = job / "requirements.txt"
        self._full = job / "requirements-full.txt"
        self._baseline = read_baseline(state)
        self._seen: set[str] = set(self._baseline)
        self._mark: set[tuple[str, int]] | None = None
        self._last: set[tuple[str, int]] = set()

    def watch(self) -> None:
        """Write both once something changed and nothing changes any more: pip removes a package to replace it."""
        mark = fingerprint()
        settled, self._last = mark == self._last, mark
        if settled and mark != self._mark:
            self.refresh()

    def refresh(self) -> None:
        """Write both."""
        mark = fingerprint()
        installed = find_installed()
        new = {name: p for name, p in installed.items() if p.asked and self._baseline.get(name) != p.version}
        text = ""
        with contextlib.suppress(FileNotFoundError):
            text = read(self._short)
        with contextlib.suppress(OSError):  # a full disk or a deleted folder must not end the session
            self._seen |= set(installed)
            write(self._short, merge(text, installed, new, self._seen))
            full = sorted((package.line for package in installed.values()), key=str.casefold)
            write(self._full, "".join(f"{line}\n" for line in full))
            self._mark = mark


def answers(port: int, path: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def show_link(log: Log, port: int, path: str, token: str) -> None:
    """The lines of Jupyter's own announcement; clients take the second link that they find."""
    link = f"http://localhost:{port}{path}" + (f"?token={token}" if token else "")
    log("The app answers at:")
    log(f"        {link}")
    log("    To open it, copy this address into a browser:")
    log(f"        {link}")


def keep(options: argparse.Namespace, log: Log) -> None:
    """Until SIGTERM, or the file `end` where its state is; then the lists once more."""
    # Waited for, not handled: a handler may come while a lock is held that it needs itself.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    lists = Lists(options.job, options.state)
    lists.refresh()  # now, so that the very first snapshot has both files
    waiting = options.port > 0
    token = os.environ.pop("RUN_QARNOT_APP_TOKEN", "")
    next_look = 0.0
    while not (options.state / "end").exists():
        if waiting and answers(options.port, options.probe):
            show_link(log, options.port, options.path, token)
            waiting = False
        if time.monotonic() >= next_look:
            lists.watch()
            next_look = time.monotonic() + WATCH_SECONDS
        if signal.sigtimedwait({signal.SIGTERM}, ANSWER_SECONDS if waiting else WATCH_SECONDS):
            break
    lists.refresh()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["restore", "keep"])
    for name in ("--job", "--state", "--log"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="/")
    parser.add_argument("--probe", default="/")
    options = parser.parse_args()
    log = Log(options.log)
    if options.what == "restore":
        restore(options.job, options.state, log)
    else:
        keep(options, log)


if __name__ == "__main__":
    main()
