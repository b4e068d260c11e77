"""Updates a repository that was uploaded with a session, by the rules of nbgitpuller. It runs in the session:

    python3 /job/.run-qarnot/update.py [FOLDER]...

No change made in the session is lost: where both sides changed the same lines, those of the session stay. Files that
were deleted in the session come back, commits made there stay, and a file of the session that has the name of a new
file of the repository is renamed. It needs git and Python 3.8, and imports only the standard library.

Rules: https://nbgitpuller.readthedocs.io/en/latest/topic/automatic-merging.html
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, Sequence  # noqa: UP035  Python 3.8

STARTED = "refs/run-qarnot/start"  # the commit that was uploaded
_AUTHOR = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "Run Qarnot"), ("EMAIL", "run-qarnot@localhost"))}  # fmt: skip
_TIMEOUT_SECONDS = 300


class UpdateError(Exception):
    """A sentence that says why a repository is not updated."""


class Folder:
    """A repository in the session.

    Arguments:
        path: its folder.
        is_asked: git may ask for a password, because a user is at a terminal.
    """

    def __init__(self, path: Path, *, is_asked: bool = False) -> None:
        self.path = path
        self._environment = {**os.environ, "GIT_TERMINAL_PROMPT": "1" if is_asked else "0", "LC_ALL": "C"}
        # Files from the storage may belong to another user than the one who runs this.
        self._environment.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")

    def git(self, *arguments: str) -> str:
        """Run git there; return what it prints.

        Raises:
            UpdateError: it fails.
        """
        done = self._run(*arguments)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or [f"git {arguments[0]} failed"]
            raise UpdateError(lines[-1][:300].rstrip("."))
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether a command of git ends without an error."""
        return self._run(*arguments).returncode == 0

    def names(self, *arguments: str) -> list[str]:
        """Return the paths that a command of git prints with `-z`."""
        return [name for name in self.git(*arguments).split("\0") if name]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(self.path), *arguments]
        try:
            return subprocess.run(
                command, env=self._environment, capture_output=True, text=True, errors="replace", check=False,
                timeout=_TIMEOUT_SECONDS,
            )  # fmt: skip
        except FileNotFoundError:
            raise UpdateError("there is no git in this image") from None
        except subprocess.TimeoutExpired:
            raise UpdateError(f"git {arguments[0]} takes too long") from None

    def update(self) -> str:
        """Update the repository; return a sentence about what was done.

        Raises:
            UpdateError: it is not updated.
        """
        branch = self._branch()
        self.git("fetch", "--quiet", "origin", f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
        theirs = f"refs/remotes/origin/{branch}"
        if not self.succeeds("merge-base", "HEAD", theirs):
            raise UpdateError("its history was written anew, and has nothing in common with that of this session")
        restored = self._restore()
        kept = self._commit()
        moved = self._make_room(theirs)
        before = self.git("rev-parse", "HEAD").strip()
        self._merge(theirs)
        changed = len(self.names("diff", "--name-only", "-z", before, "HEAD"))
        parts = [f"{changed} file(s) updated"]
        parts += [f"{kept} kept as they were changed here"] if kept else []
        parts += [f"{restored} restored"] if restored else []
        parts += [f"moved aside: {', '.join(moved)}"] if moved else []
        return "; ".join(parts)

    def _branch(self) -> str:
        if not self.succeeds("symbolic-ref", "--quiet", "HEAD"):
            raise UpdateError("it is a tag or a commit, which does not change")
        return self.git("symbolic-ref", "--short", "HEAD").strip()

    def _restore(self) -> int:
        """Restore files that were deleted here."""
        gone = self.names("ls-files", "--deleted", "-z")
        for name in gone:
            self.git("checkout", "HEAD", "--", f":(literal){name}")
        return len(gone)

    def _commit(self) -> int:
        """Commit the changes made here to files of the repository; return the number of files."""
        changed = self.names("diff", "--name-only", "-z", "HEAD")
        if changed:
            self._as_us("commit", "--quiet", "--all", "--no-verify", "--message", "As changed in the session")
        return len(changed)

    def _make_room(self, theirs: str) -> list[str]:
        """Rename files of this session that have the names of new ones."""
        moved = []
        added = self.names("diff", "--name-only", "--diff-filter=A", "--no-renames", "-z", "HEAD", theirs)
        tracked = set(self.names("ls-files", "-z"))
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for name in added:
            path = self.path / name
            for place in (*reversed([each for each in path.parents if self.path in each.parents]), path):
                is_in_the_way = place.is_file() or place.is_symlink() if place != path else os.path.lexists(place)
                if is_in_the_way and place.relative_to(self.path).as_posix() not in tracked:
                    aside = place.with_name(f"{place.stem}-{stamp}{place.suffix}")
                    place.rename(aside)
                    moved.append(aside.relative_to(self.path).as_posix())
        return moved

    def _merge(self, theirs: str) -> None:
        merge = ("merge", "--quiet", "--no-edit", "--no-verify", "-X", "ours", theirs)
        if self._as_us(*merge, check=False):
            return
        conflicts = self.names("diff", "--name-only", "--diff-filter=U", "-z")
        if not conflicts:
            self.succeeds("merge", "--abort")
            self._as_us(*merge)  # says why
        for name in conflicts:  # one side removed a file that the other one changed
            literal = f":(literal){name}"
            if not (self.succeeds("checkout", "--ours", "--", literal) and self.succeeds("add", "--", literal)):
                self.succeeds("checkout", "--theirs", "--", literal)
                self.git("add", "--all", "--", literal)
        self._as_us("commit", "--quiet", "--no-edit", "--no-verify")

    def _as_us(self, *arguments: str, check: bool = True) -> bool:
        """Run git with our own author, for commits that the user did not make."""
        before, self._environment = self._environment, {**self._environment, **_AUTHOR}
        try:
            if check:
                self.git(*arguments)
                return True
            return self.succeeds(*arguments)
        finally:
            self._environment = before


def brought(job: Path) -> Iterator[Path]:
    """Yield the folders of the repositories that were uploaded with a session."""
    for path in sorted(job.iterdir()):
        if (path / ".git").is_dir() and Folder(path).succeeds("rev-parse", "--quiet", "--verify", STARTED):
            yield path


def update_all(folders: Sequence[Path], tell: Callable[[str], None], *, is_asked: bool) -> bool:
    """Update repositories and print the outcome of each; return whether all were updated."""
    is_well = True
    for path in folders:
        try:
            tell(f"{path.name}: {Folder(path, is_asked=is_asked).update()}.")
        except UpdateError as error:
            tell(f"{path.name} stays as it is: {error}.")
            is_well = False
    return is_well


def begins(record: Path, run: str) -> bool:
    """Whether this is the start of a run, by a record saved with its results. A preempted run only continues."""
    if record.exists() and record.read_text().strip() == run:
        return False
    record.write_text(f"{run}\n")
    return True


def say(text: str) -> None:
    """Print a line; the start script puts it into the log."""
    sys.stdout.write(f"Run Qarnot: {text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Bring the repositories of this session up to date.")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="default: all that came along")
    parser.add_argument("--once", default="", metavar="RUN", help="not again in this run, on another machine")
    given, here = parser.parse_args(arguments), Path(__file__).resolve().parent
    if given.once and not begins(here / "updated", given.once):
        return 0
    folders = given.folders or list(brought(here.parent))
    if not folders:
        say("no repository came along with this session.")
    is_asked = sys.stdin is not None and sys.stdin.isatty()
    return 0 if update_all(folders, say, is_asked=is_asked) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
