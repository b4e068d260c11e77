"""Restores a session's packages at its start and records them while it runs. Part of `start.sh`.

It is run by path with the Python of the user's image: it needs 3.8 or newer and imports only the standard library.

`restore` installs what `requirements.txt` names and writes the receipt. `keep` reports when the app answers, and then
keeps `requirements.txt` and `requirements-full.txt` (all packages) up to date until SIGTERM.

`requirements.txt` has two parts. The text of the user is never changed and, apart from being split into lines when pip
refuses the whole of it, never parsed. A marked block at the end is ours: what was installed by hand in sessions, as far
as pip recorded it as requested (`REQUESTED` and `direct_url.json` beside each package), and nothing that the image or
the user's text brought.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import signal
import site
import string
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import (  # noqa: UP035  Python 3.8 cannot use those of collections.abc and the built-in ones
    Any,
    Collection,
    Iterator,
    NamedTuple,
    Sequence,
)

WATCH_SECONDS = 1.0
ANSWER_SECONDS = 0.05  # between two attempts while the app starts; a refused connection costs nothing


# -- requirements.txt: the user's text, and our block --

BEGIN = "# >>> run-qarnot: installed in sessions and kept up to date; write your own lines above ({digest}) >>>"
END = "# <<< run-qarnot <<<"
_BLOCK = re.compile(
    r"^# >>> run-qarnot\b[^\r\n]*?(?:\((?P<digest>[0-9a-f]{8})\) )?>>>(?P<newline>\r?\n)"
    r"(?P<lines>(?:(?!# >>> run-qarnot\b).*\n)*?)"  # after a begin marker without an end marker, nothing is ours
    r"# <<< run-qarnot <<<[ \t]*(?:\r?\n|\Z)",
    re.MULTILINE,
)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_OURS = re.compile(rf"({_NAME})(?:\[[^\]]*\])?(?:==\S+| @ \S+)|(?:-e )?(?:\./|[a-z][a-z0-9+]*:/)\S*  # ({_NAME})")
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # what `pip freeze > file` makes in PowerShell
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Text(NamedTuple):
    """A text and an encoding that preserves every byte: without a byte order mark, each byte is one character."""

    text: str
    codec: str = "latin-1"

    @property
    def encoded(self) -> bytes:
        return self.text.encode(self.codec, "strict" if self.codec == "latin-1" else "surrogatepass")


class Requirements(NamedTuple):
    """A `requirements.txt`, in parts.

    Arguments:
        own: the user's text, which may be anything.
        block: our lines.
        digest: of the user's text at the start of the session that wrote our block.
    """

    own: str
    block: list[str]
    digest: str = ""


def split(text: str) -> Requirements:
    """Split a file into its parts. What the user wrote into or below our block is appended to the user's text."""
    own, block, digest, end, newline = "", {}, "", 0, ""
    for found in _BLOCK.finditer(text):
        above = text[end : found.start()]
        own = _appended(own, _without(above, found["newline"]), newline)
        end, newline, digest = found.end(), found["newline"], found["digest"] or ""
        for line in found["lines"].split("\n"):
            line = line.rstrip(" \t\r")
            if _OURS.fullmatch(line):
                block[name_in(line)] = line
            elif line:
                own = _appended(own, line + newline, "" if own.endswith("\n") else newline)
    own = _appended(own, text[end:], newline)
    return Requirements(own, list(block.values()), digest)


def _appended(own: str, more: str, newline: str) -> str:
    return f"{own}{newline}{more}" if own and more else own + more


def _without(text: str, newline: str) -> str:
    """Remove the line break that `join` puts before the block."""
    return text[: -len(newline)] if text.endswith(newline) else text


def join(own: str, block: Sequence[str], digest: str) -> str:
    """Join the parts of a file, the exact inverse of `split`. Without lines of ours it is the user's text.

    The line break in between, and the comment after it, end a line that the user continued with a backslash.
    """
    if not block:
        return own
    newline = "\r\n" if "\r\n" in own else "\n"
    lines = [BEGIN.format(digest=digest), *block, END]
    return own + newline + "".join(line + newline for line in lines)


def digest_of(own: str) -> str:
    return hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def name_in(line: str) -> str:
    """The normalized name of the package in a line of our block."""
    found = _OURS.fullmatch(line)
    return normal(found[1] or found[2]) if found else ""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path) -> Text:
    """Read a file that may come from any system; return an empty text if it does not exist.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not in the encoding that its byte order mark announces.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raw = b""
    codec = next((codec for mark, codec in _BOMS if raw.startswith(mark)), "latin-1")
    return Text(raw.decode(codec, "surrogatepass" if codec != "latin-1" else "strict"), codec)


def write(path: Path, text: Text, was: Text | None = None) -> bool:
    """Replace a file atomically: a snapshot taken meanwhile sees the old or the new one. A link stays a link.

    Arguments:
        path: of the file.
        text: its new content.
        was: the content it must still have; the user may be saving it at this moment.

    Returns:
        Whether it has the new content.
    """
    place = path.resolve()
    temporary = place.with_name(f".{place.name}.new")
    temporary.write_bytes(text.encoded)
    with contextlib.suppress(OSError):
        shutil.copymode(str(place), str(temporary))
    if was is not None and read(place) != was:
        temporary.unlink()
        return False
    temporary.replace(place)
    return True


# -- what is installed --


class Installed(NamedTuple):
    """An installed package.

    Arguments:
        name: as its author writes it.
        version: of it.
        direct: content of `direct_url.json`, if it was not installed from an index.
        asked: it was named in a pip command.
        needs: its `Requires-Dist` lines.
    """

    name: str
    version: str
    direct: dict[str, Any]
    asked: bool
    needs: list[str]

    def line(self, job: Path, extras: Sequence[str] = ()) -> str:
        """The line that restores it, in a `requirements.txt` in the folder `job`."""
        name = f"{self.name}[{','.join(extras)}]" if extras else self.name
        url = urllib.parse.quote(str(self.direct.get("url") or ""), safe=string.punctuation)
        folder = f"#subdirectory={self.direct['subdirectory']}" if self.direct.get("subdirectory") else ""
        path = _path(url)
        if "vcs_info" in self.direct:
            source = self.direct["vcs_info"]
            address = f"{source['vcs']}+{url}@{source['commit_id']}{folder}"
            # After a name, pip accepts only URLs with a host.
            return f"{address}  # {self.name}" if path else f"{name} @ {address}"
        if url and (path is None or (folder and path.exists())):
            return f"{name} @ {url}{folder}"
        if path is not None and path.exists():
            editable = "-e " if self.direct.get("dir_info", {}).get("editable") else ""
            return f"{editable}{_near(path, url, job)}{name[len(self.name) :]}  # {self.name}"
        return f"{name}=={self.version}"  # conda records where the package was built: a file that does not exist here


def _path(url: str) -> Path | None:
    """The local path of a `file:` URL."""
    parts = urllib.parse.urlsplit(url)
    return Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else None


def _near(path: Path, url: str, job: Path) -> str:
    """A path below `/job`, made relative to it: on the local cluster `/job` is another folder each time."""
    relative = os.path.relpath(str(path.resolve()), str(job.resolve()))
    is_inside = not relative.startswith("..")
    return f"./{relative}" if is_inside and re.fullmatch(r"[\w./+-]+", relative, re.ASCII) else url


def folders() -> list[str]:
    """The folders of packages in import order; the user's own is created by the first package installed in it."""
    found = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    found += (path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    return list(dict.fromkeys(found))


def entries() -> Iterator[os.DirEntry[str]]:
    """Yield the metadata folders beside the packages, in import order."""
    for folder in folders():
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            ours = [entry for entry in found if entry.name.endswith((".dist-info", ".egg-info", ".egg-link"))]
            yield from sorted(ours, key=lambda entry: entry.name)


def fingerprint() -> set[tuple[str, int]]:
    """A value that changes when a package is installed or removed; cheap enough to compute every second."""
    marks = set()
    for entry in entries():
        with contextlib.suppress(OSError):
            marks.add((entry.path, entry.stat().st_mtime_ns))
    return marks


def find_installed() -> dict[str, Installed]:
    """All packages by their normalized name; the first one found is the one that Python imports.

    `importlib.metadata` is not used because it reads and parses every page-long description.
    """
    found: dict[str, Installed] = {}
    for entry in entries():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # incomplete or damaged metadata
            package = _linked(Path(entry.path)) if entry.name.endswith(".egg-link") else _found(Path(entry.path))
            found.setdefault(normal(package.name), package)
    return found


def _found(place: Path) -> Installed:
    fields = _head(place)
    address = place / "direct_url.json"
    direct = json.loads(address.read_text("utf-8")) if address.exists() else {}
    asked = (place / "REQUESTED").exists() or bool(direct.get("dir_info", {}).get("editable"))
    return Installed(fields["Name"][0], fields["Version"][0], direct, asked, fields.get("Requires-Dist", []))


def _linked(place: Path) -> Installed:
    """An editable package of an old pip: a file that names the folder with its metadata."""
    folder = Path(place.read_text("utf-8").splitlines()[0])
    fields = _head(next(iter(sorted(folder.glob("*.egg-info")))) if folder.is_dir() else folder)
    direct = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    return Installed(fields["Name"][0], fields["Version"][0], direct, True, [])


def _head(place: Path) -> dict[str, list[str]]:
    """The fields of a package's metadata, without its page-long description."""
    if place.name.endswith(".dist-info"):
        place /= "METADATA"
    elif place.is_dir():
        place /= "PKG-INFO"
    fields: dict[str, list[str]] = {}
    with place.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            field, colon, value = line.partition(":")
            if not line.strip() or not colon:
                if line.startswith((" ", "\t")):
                    continue  # continuation of a field with several lines
                break
            fields.setdefault(field, []).append(value.strip())
    return fields


def extras_of(package: Installed, installed: dict[str, Installed], image: Collection[str]) -> list[str]:
    """The extras a package was requested with. pip does not record them, but they explain other packages.

    An extra counts when all its packages are installed and one of them has no other reason to be: it was not
    requested, no package needs it without an extra, and the image did not bring it.
    """
    needed = {normal(need[0]) for other in installed.values() for need in map(_need, other.needs) if not need[1]}
    extras: dict[str, list[str]] = {}
    for name, extra in map(_need, package.needs):
        if extra:
            extras.setdefault(extra, []).append(normal(name))
    return sorted(
        extra
        for extra, names in extras.items()
        if all(name in installed for name in names)
        and any(name not in needed and name not in image and not installed[name].asked for name in names)
    )


def _need(line: str) -> tuple[str, str]:
    """The name in a `Requires-Dist` line, and the extra that needs it, or an empty string."""
    name, extra = re.match(_NAME, line), re.search(r"""\bextra\s*==\s*['"]([^'"]+)['"]""", line)
    return (name[0] if name else "", extra[1] if extra else "")


class Baseline(NamedTuple):
    """The state after the restore: everything that does not belong in our block.

    Arguments:
        image: the names that the image brought.
        lines: by name, the line of each package that the image or the user's text brought.
        missing: by name, those lines of our block that could not be restored.
        carried: the names that our block restored.
    """

    image: list[str]
    lines: dict[str, str]
    missing: dict[str, str]
    carried: list[str]


def block_of(installed: dict[str, Installed], baseline: Baseline, job: Path, before: Sequence[str]) -> list[str]:
    """Return the lines of our block as they should be now.

    Arguments:
        installed: all packages, by their normalized name.
        baseline: the state after the restore.
        job: the folder of `requirements.txt`.
        before: our block as it is in the file.
    """
    lines = {}
    for name, package in installed.items():
        line = package.line(job)
        if (package.asked or name in baseline.carried) and baseline.lines.get(name) != line:
            lines[name] = package.line(job, extras_of(package, installed, baseline.image))
    for name, line in baseline.missing.items():  # kept, or they would be lost forever
        there = installed[name].line(job) if name in installed else None
        if line in before and there == baseline.lines.get(name):
            lines[name] = line
    return sorted(lines.values(), key=lambda line: name_in(line))


class Log:
    """`logs/qarnot.log` and the task's output, line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, line: str) -> None:
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)  # noqa: T201  this is a program


# -- restore --


def logical_lines(text: str) -> list[str]:
    """The requirements and options of a file, split as by pip: continued lines joined, comments removed."""
    lines, held = [], ""
    for line in text.lstrip("\ufeff").replace("\u00ef\u00bb\u00bf", "").splitlines():
        is_comment = re.match(r"(^|\s+)#", line)
        if line.endswith("\\") and not is_comment:
            held += line[:-1] + " "
            continue
        lines.append(held + ("" if is_comment else line))
        held = ""
    bare = (re.sub(r"(^|\s+)#.*", "", line).strip() for line in [*lines, held])
    return [line for line in bare if line]


def is_option(line: str) -> bool:
    """Whether a line is an option of pip and not a requirement."""
    return line.startswith("-") and not re.match(r"-[re]|--requirement\b|--editable\b", line)


class Restore:
    """Installs what `requirements.txt` names: all at once or, if that fails, part by part and then one by one."""

    def __init__(self, job: Path, log: Log) -> None:
        self._job = job
        self._log = log
        self.missing: list[dict[str, str]] = []

    def run(self) -> Requirements:
        """Install as much as possible; return the parts of the file.

        Raises:
            OSError, ValueError: the file cannot be read.
        """
        text = read(self._job / "requirements.txt")
        parts = split(text.text)
        lines = logical_lines(parts.own)
        options = [line for line in lines if is_option(line)]
        wanted = [line for line in lines if not is_option(line)]
        if not wanted and not parts.block:
            return parts
        self._log("Run Qarnot: bringing back the packages of requirements.txt.")
        if self._pip(["-r", "requirements.txt"]) is None:
            return parts
        if not parts.block:
            self._one_by_one(options, wanted, text.codec)
            return parts
        self._log("Run Qarnot: not all of them came back together; trying what you wrote and what was added apart.")
        for is_own in self._order(parts):
            if is_own and wanted and self._from_file(text._replace(text=parts.own)) is not None:
                self._one_by_one(options, wanted, text.codec)
            if not is_own:
                # The user's index options apply to our block too; constraints on the user's packages did not.
                sources = [line for line in options if not re.match("-c|--constraint|--require-hashes", line)]
                if self._from_file(Text("\n".join([*sources, *parts.block, ""]))) is not None:
                    self._one_by_one(sources, parts.block)
        return parts

    @staticmethod
    def _order(parts: Requirements) -> tuple[bool, bool]:
        """Whether the user's part comes first. Where the parts conflict, the newer one wins."""
        is_edited = parts.digest not in ("", digest_of(parts.own))
        return (False, True) if is_edited else (True, False)

    def _one_by_one(self, options: Sequence[str], lines: Sequence[str], codec: str = "latin-1") -> None:
        self._log("Run Qarnot: not all of them came back together; trying them one by one.")
        for line in lines:
            text = Text("\n".join([*options, line, ""]), "utf-8" if codec != "latin-1" else codec)
            reason = self._from_file(text, "--retries", "1")
            if reason is not None:
                self.missing.append({"requirement": line, "reason": reason})

    def _from_file(self, text: Text, *arguments: str) -> str | None:
        """Install from a file, because hashes and options work only there. Return the reason if it fails."""
        file = self._job / ".requirements-part.txt"  # in the same folder, because paths in it are relative
        write(file, text)
        try:
            return self._pip([*arguments, "-r", file.name])
        finally:
            file.unlink()

    def _pip(self, arguments: Sequence[str]) -> str | None:
        """Run pip; return the reason it prints if it fails."""
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
    """Restore the packages and write the receipt. It never fails: the session starts with what was installed."""
    started = time.time()
    before = find_installed()
    work, parts = Restore(job, log), Requirements("", [])
    try:
        parts = work.run()
    except Exception as error:  # such as a full disk or a malformed file  # noqa: BLE001
        log(f"Run Qarnot: the packages could not be brought back: {error}")
        work.missing.append({"requirement": "requirements.txt", "reason": str(error)})
    after = find_installed()
    missing = [entry["requirement"] for entry in work.missing]
    with contextlib.suppress(OSError):
        (state / "baseline.json").write_text(json.dumps(baseline_of(before, after, parts.block, missing, job)), "utf-8")
    restored = [
        {"name": package.name, "version": package.version, "requested": package.asked}
        for name, package in sorted(after.items())
        if before.get(name) != package
    ]
    receipt = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
        "restored": restored,
        "missing": work.missing,
    }
    with contextlib.suppress(OSError):
        text = json.dumps(receipt, indent=2, ensure_ascii=False) + "\n"
        (job / ".run-qarnot" / "receipt.json").write_text(text, "utf-8")
    for entry in work.missing:
        log(f"Run Qarnot: {entry['requirement']} did not come back: {entry['reason']}")
    if restored:
        log(f"Run Qarnot: {len(restored)} package(s) came back.")


def baseline_of(
    before: dict[str, Installed], after: dict[str, Installed], block: Sequence[str], missing: Sequence[str], job: Path
) -> Baseline:
    """Compute the baseline from the packages before and after, our block, and what could not be restored."""
    lines = {name: package.line(job) for name, package in after.items()}
    lost = {name_in(line): line for line in block if line in missing}
    without_extras = {name_in(line): re.sub(r"\[[^\]]*\]", "", line) for line in block if line not in missing}
    carried = [name for name, line in without_extras.items() if lines.get(name) == line]
    return Baseline(sorted(before), {name: lines[name] for name in lines if name not in carried}, lost, carried)


def read_baseline(state: Path, job: Path) -> Baseline:
    """Read the baseline that `restore` wrote; without it, take the current packages."""
    try:
        return Baseline(*json.loads((state / "baseline.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        now = find_installed()
        return baseline_of(now, now, [], [], job)


# -- keep --


class Lists:
    """`requirements.txt` and `requirements-full.txt`."""

    def __init__(self, job: Path, state: Path) -> None:
        self._job = job
        self._short = job / "requirements.txt"
        self._full = job / "requirements-full.txt"
        self._baseline = read_baseline(state, job)
        self._digest = ""
        with contextlib.suppress(OSError, ValueError):
            self._digest = digest_of(split(read(self._short).text).own)
        self._mark: set[tuple[str, int]] | None = None
        self._last: set[tuple[str, int]] = set()

    def watch(self) -> None:
        """Write both once a change has settled: pip removes a package before it installs its replacement."""
        mark = fingerprint()
        settled, self._last = mark == self._last, mark
        if settled and mark != self._mark:
            self.refresh()

    def refresh(self) -> None:
        """Write both."""
        mark = fingerprint()
        installed = find_installed()
        with contextlib.suppress(OSError, ValueError):  # a full disk or a deleted folder must not end the session
            full = sorted((package.line(self._job) for package in installed.values()), key=str.casefold)
            write(self._full, Text("".join(f"{line}\n" for line in full), "utf-8"))
            if self._refresh_short(installed):
                self._mark = mark

    def _refresh_short(self, installed: dict[str, Installed]) -> bool:
        """Write our block. Return whether it was written: if not, the user was saving the file at this moment.

        The first time, the file is rewritten even if it is unchanged: files that are not newer than the inputs are not
        saved, and the session could not be continued from its results alone.
        """
        was = read(self._short)
        parts = split(was.text)
        block = block_of(installed, self._baseline, self._job, parts.block)
        now = was._replace(text=join(parts.own, block, self._digest))
        is_right = now == was and self._short.exists() and self._mark is not None
        return is_right or write(self._short, now, was)


def where_it_answers(port: int, base: str, probe: str) -> str | None:
    """Return the path where the app answers, without a trailing slash; None while it does not.

    An app that ignores the base URL answers at the root and returns 404 below the base URL.
    """
    for prefix in (base.rstrip("/"), ""):
        status = status_of(port, prefix + probe)
        if status is None:
            return None
        if status != HTTPStatus.NOT_FOUND:
            return prefix
    return base.rstrip("/")


def status_of(port: int, path: str) -> int | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


def show_link(log: Log, port: int, path: str, token: str) -> None:
    """Print the lines of Jupyter's own announcement.

    Clients that were written for Qarnot's own images look for `http://localhost:8888/lab?token=` and take the second
    line that has it (`reference/qarnot-platform.md` §7): so it says localhost, unlike the addresses that we make.
    """
    link = f"http://localhost:{port}{path}" + (f"?token={token}" if token else "")
    log("The app answers at:")
    log(link)
    log("    To open it, copy this address into a browser:")
    log(f"        {link}")


def keep(options: argparse.Namespace, log: Log) -> None:
    """Keep the lists up to date until SIGTERM or until the file `end` exists; then write them once more."""
    # The handler only writes a byte: it may run while a lock is held that anything more would need.
    asked, asking = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(asking, b"."))
    lists = Lists(options.job, options.state)
    lists.refresh()  # now, so that the first snapshot has both files
    waiting = options.port > 0
    token = os.environ.pop("RUN_QARNOT_APP_TOKEN", "")
    next_look = 0.0
    while not (options.state / "end").exists():
        base = where_it_answers(options.port, options.base, options.probe) if waiting else None
        if base is not None:
            show_link(log, options.shown_port or options.port, base + options.path, token)
            waiting = False
        if time.monotonic() >= next_look:
            lists.watch()
            next_look = time.monotonic() + WATCH_SECONDS
        if select.select([asked], [], [], ANSWER_SECONDS if waiting else WATCH_SECONDS)[0]:
            break
    lists.refresh()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["restore", "keep"])
    for name in ("--job", "--state", "--log"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--shown-port", type=int, default=0)  # where the container's port has another number outside
    parser.add_argument("--base", default="/")
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
