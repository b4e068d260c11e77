"""Sessions one after the other, with the real pip: what the file says, and what the next one brings back."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.container import make_image
from support.wheels import make_project, make_wheel

from run_qarnot.bootstrap import FILES
from run_qarnot.bootstrap.packages import END, read, split

pytestmark = pytest.mark.slow

PROGRAM = FILES[".run-qarnot/packages.py"]
IMAGE = "of-the-image"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    for version in ("1.0", "2.0"):
        make_wheel(folder, "moo", version)
        make_wheel(folder, "numpy", version)
    make_wheel(folder, "idna")
    make_wheel(folder, "six", "1.16.0")
    make_wheel(folder, "bark", needs="dog")
    for name in ("dog", "ipython", "colorama", IMAGE):
        make_wheel(folder, name)
    make_wheel(folder, "black", "25.1", needs="dog\nipython; extra == 'jupyter'\ncolorama; extra == 'colorama'")
    return folder


class Life:
    """A folder `/job` that goes from session to session, each with a new machine."""

    def __init__(self, folder: Path, index: Path, image: Path) -> None:
        self._folder = folder
        self._index = index
        self._image = image
        self._count = 0
        self.job = folder / "job"
        (self.job / ".run-qarnot").mkdir(parents=True)
        self.file = self.job / "requirements.txt"
        self.output = ""

    def session(self, *by_hand: str, edit: Callable[[Path], object] | None = None) -> dict[str, str]:
        """Restore, do things by hand, end; returns the packages that were there then, beside the image's.

        Arguments:
            by_hand: arguments of pip.
            edit: what the user does to the file at last.
        """
        self._count += 1
        machine = self._folder / f"machine-{self._count}"
        shutil.copytree(self._image, machine, symlinks=True)
        python, state = machine / "bin" / "python", machine / "state"
        state.mkdir()
        self._program(python, "restore", state)
        self._program(python, "keep", state, end=True)
        for words in by_hand:
            self._pip(python, *words.split())
            self._program(python, "keep", state, end=True)
        if edit is not None:
            edit(self.file)
            self._program(python, "keep", state, end=True)
        found = importlib.metadata.distributions(path=[str(site_packages(machine))])
        return {each.metadata["Name"]: each.version for each in found if each.metadata["Name"] != IMAGE}

    @property
    def block(self) -> list[str]:
        text = read(self.file).text
        assert not split(text).block or text.endswith((f"{END}\n", f"{END}\r\n"))
        return split(text).block

    @property
    def receipt(self) -> dict[str, list[dict[str, str]]]:
        return json.loads((self.job / ".run-qarnot/receipt.json").read_text())  # type: ignore[no-any-return]

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self._index), "HOME": str(self.job)}

    def _program(self, python: Path, what: str, state: Path, *, end: bool = False) -> None:
        if end:
            (state / "end").touch()
        line: list[str | Path] = [python, PROGRAM, what, "--job", self.job, "--state", state, "--log", self.job / "log"]
        done = subprocess.run(line, env=self._environment(), cwd=self.job, capture_output=True, text=True, check=True)
        self.output = done.stdout if what == "restore" else self.output

    def _pip(self, python: Path, *arguments: str) -> None:
        line: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
        done = subprocess.run(line, env=self._environment(), cwd=self.job, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, index: Path) -> Path:
    """An image's Python: pip, and a package that is there before anybody wrote or installed anything."""
    image = make_image(tmp_path_factory.mktemp("image"), only_pip=True)
    with zipfile.ZipFile(index / f"{module(IMAGE)}-1.0-py3-none-any.whl") as wheel:
        wheel.extractall(site_packages(image))
    return image


@pytest.fixture
def life(tmp_path: Path, index: Path, image: Path) -> Life:
    return Life(tmp_path, index, image)


def module(name: str) -> str:
    return name.replace("-", "_")


def site_packages(python: Path) -> Path:
    (folder,) = python.glob("lib/python*/site-packages")
    return folder


# — any file survives —


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        (b"", ""),
        (b"# keep both\nnumpy<3\nnumpy>=1.0\n", "numpy"),
        (b"black[jupyter]\nblack[colorama]\n", "black dog ipython colorama"),
        (b"--prefer-binary\n-c constraints.txt\nidna  # needed by the proxy\n", "idna"),
        (b"-e ./mine\n./wheels/local-1.0-py3-none-any.whl\n", "mine local"),
        (b"./wheels/local-1.0-py3-none-any.whl\nlocal==1.0", "local"),
        (b"six==1.16.0 \\\n    --hash=sha256:HASH", "six"),
        (b"git+file://REPO@v1#egg=thing&subdirectory=python\n", "thing"),
        (b"idna\r\nnumpy<2\r\n", "idna numpy"),
        (b"\xef\xbb\xbfidna\nnumpy", "idna numpy"),
        ("\ufeffidna\r\nnumpy".encode("utf-16-le"), "idna numpy"),
        (b"idna \\", "idna"),
        (b"idna \\\n", "idna"),
        (b"# voil\xc3\xa0 \\\nidna # \xff\\", "idna"),
        (b"idna\nnothing-of-the-test>=3\n", "idna"),
        (b"-r more/other.txt\n\n\n", "idna"),
    ],
)
def test_a_file_survives_byte_for_byte_and_the_next_session_has_the_same(
    life: Life, index: Path, text: bytes, packages: str, tmp_path: Path
) -> None:
    make_project(life.job / "mine")
    (life.job / "wheels").mkdir()
    make_wheel(life.job / "wheels", "local")
    (life.job / "constraints.txt").write_text("numpy<2\n")
    (life.job / "more").mkdir()
    (life.job / "more" / "other.txt").write_text("idna")
    if b"REPO" in text:
        text = text.replace(b"REPO", bytes(make_repository(tmp_path / "repository")))
    digest = hashlib.sha256((index / "six-1.16.0-py3-none-any.whl").read_bytes()).hexdigest()
    text = text.replace(b"HASH", digest.encode())
    life.file.write_bytes(text)

    first = life.session("install moo==1.0")
    assert sorted(first) == sorted(["moo", *packages.split()])
    assert (life.file.read_bytes().startswith(text), life.block) == (True, ["moo==1.0"])
    assert life.session() == first
    assert (life.file.read_bytes().startswith(text), life.block) == (True, ["moo==1.0"])
    life.session("uninstall --yes moo")
    assert life.file.read_bytes() == text, "nothing is left that was installed by hand, so there is nothing of ours"


def make_repository(folder: Path) -> Path:
    """A repository in whose folder `python` the package `thing` is, with a tag `v1`."""
    project = make_project(folder / "python")
    for file in project.glob("*.py"):
        file.write_text(file.read_text().replace('"mine", "1.0"', '"thing", "1.0"'))
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"], ["tag", "v1"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


# — what is done by hand —


def test_what_came_along_and_what_the_image_has_is_not_in_the_block(life: Life) -> None:
    life.session(f"install bark {IMAGE}")
    assert life.block == ["bark==1.0"]
    life.session("uninstall --yes bark")
    assert life.block == []
    assert life.file.read_bytes() == b""


def test_a_version_that_contradicts_the_users_own_comes_back_as_it_was(life: Life) -> None:
    life.file.write_text("moo==1.0\n")
    there = life.session("install moo==2.0")
    assert (there, life.block) == ({"moo": "2.0"}, ["moo==2.0"])
    for _ in range(2):
        assert life.session() == there
        assert (life.file.read_text().startswith("moo==1.0\n\n#"), life.block) == (True, ["moo==2.0"])


def test_but_what_the_user_writes_afterwards_counts_more(life: Life) -> None:
    life.session("install moo==1.0")
    life.file.write_text("moo==2.0\n" + life.file.read_text())
    assert life.session() == {"moo": "2.0"}
    assert life.file.read_text() == "moo==2.0\n", "the block has nothing to say any more, and the text is hers"


def test_extras_of_what_is_installed_by_hand_come_back(life: Life) -> None:
    there = life.session("install black[jupyter]")
    assert life.block == ["black[jupyter]==25.1"]
    for _ in range(2):
        assert life.session() == there
        assert life.block == ["black[jupyter]==25.1"]


def test_folders_and_wheels_come_back_from_where_they_are(life: Life, tmp_path: Path) -> None:
    make_project(life.job / "mine")
    (life.job / "wheels").mkdir()
    wheel = make_wheel(life.job / "wheels", "local")
    repository = make_repository(tmp_path / "repository")
    thing = f"git+file://{repository}@v1#egg=thing&subdirectory=python"
    there = life.session(f"install -e ./mine {wheel}", f"install {thing}")
    assert sorted(there) == ["local", "mine", "thing"]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    block = [
        "./wheels/local-1.0-py3-none-any.whl  # local",
        "-e ./mine  # mine",
        f"git+file://{repository}@{commit.stdout.strip()}#subdirectory=python  # thing",
    ]
    for _ in range(2):
        assert life.block == block
        assert life.session() == there


def test_the_sources_that_the_user_wrote_hold_for_the_block_and_her_limits_do_not(life: Life, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_wheel(elsewhere, "cat")
    (life.job / "constraints.txt").write_text("moo<2\n")
    digest = hashlib.sha256((elsewhere / "cat-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    life.file.write_text(f"-c constraints.txt\n--find-links {elsewhere}\ncat==1.0 --hash=sha256:{digest}\n")
    there = life.session(f"install --find-links {elsewhere} moo==2.0 cat")
    assert there == {"cat": "1.0", "moo": "2.0"}
    assert life.session() == there
    assert life.block == ["moo==2.0"]


def test_what_does_not_come_back_is_said_and_stays_in_the_block(life: Life, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_wheel(elsewhere, "cat")
    life.session(f"install --find-links {elsewhere} cat moo")
    assert life.session() == {"moo": "2.0"}, "pip does not write down from which index it took a package"
    assert life.block == ["cat==1.0", "moo==2.0"]
    (missing,) = life.receipt["missing"]
    assert missing["requirement"] == "cat==1.0"
    assert "cat==1.0 did not come back: Could not find a version" in life.output
    assert [each["name"] for each in life.receipt["restored"]] == ["moo"]
    life.file.write_text(f"--find-links {elsewhere}\n" + life.file.read_text())
    assert life.session() == {"cat": "1.0", "moo": "2.0"}


def test_edits_during_the_session_are_kept_and_the_block_goes_to_the_end(life: Life) -> None:
    life.file.write_text("idna")

    def edit(file: Path) -> None:
        text = file.read_text().replace("moo==2.0\n", "moo==2.0\n# mine\n")
        file.write_text(f"# above\n{text}numpy<2  # below")

    there = life.session("install moo", edit=edit)
    own = "# above\nidna\n# mine\n\nnumpy<2  # below"
    assert (life.file.read_text().startswith(f"{own}\n# >>>"), life.block) == (True, ["moo==2.0"])
    assert life.session() == {**there, "numpy": "1.0"}
    assert life.file.read_text().startswith(f"{own}\n# >>>")


def test_a_file_that_nobody_can_read_does_not_end_anything(life: Life) -> None:
    life.file.mkdir()
    assert life.session("install moo") == {"moo": "2.0"}
    assert "moo==2.0" in (life.job / "requirements-full.txt").read_text()
