"""A repository is fetched from a real git server, and real git knows what came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.git_server import commit, git, make_repository, serving

from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import redact
from run_qarnot.engine.repository import clone
from run_qarnot.model.repository import Repository, parse_repository

FILES = {"first.ipynb": "{}", "data/numbers.csv": "1,2\n", "requirements.txt": "moo==1\n", ".hidden": "x"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a past, a branch, a tag and a link."""
    folder = make_repository(tmp_path_factory.mktemp("git") / "project.git", {"old.txt": "x" * 1000})
    git(folder, "rm", "--quiet", "old.txt")
    (folder / "link").symlink_to("/etc/passwd")
    commit(folder, FILES)
    git(folder, "tag", "--annotate", "v1.0", "--message", "one")
    git(folder, "switch", "--quiet", "--create", "feature/more")
    commit(folder, {"more.txt": "more"})
    git(folder, "switch", "--quiet", "main")
    return folder


@pytest.fixture(scope="module")
def server(origin: Path) -> Iterator[str]:
    with serving(origin.parent) as address:
        yield address


def fetched(server: str, folder: Path, ref: str = "", **changes: int) -> dict[str, bytes]:
    return {
        upload.key: upload.path.read_bytes()
        for upload in clone(Repository(f"{server}project.git", ref), folder, **changes)
    }


def test_the_newest_commit_comes_into_a_folder_of_its_name(server: str, tmp_path: Path) -> None:
    files = fetched(server, tmp_path)
    wanted = {f"project/{name}": text.encode() for name, text in FILES.items()}
    wanted |= {"project/link": b"/etc/passwd", "requirements.txt": b"-r project/requirements.txt\n"}
    assert {key: data for key, data in files.items() if "/.git/" not in key} == wanted
    assert not (tmp_path / "project/link").is_symlink()


def test_git_knows_it_after_a_way_through_storage_and_has_nothing_to_say(
    origin: Path, server: str, tmp_path: Path
) -> None:
    """Storage keeps no empty folders, no links and no rights."""
    files = fetched(server, tmp_path / "here")
    for key, data in files.items():
        (tmp_path / "there" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / key).write_bytes(data)
    clone = tmp_path / "there" / "project"
    assert git(clone, "status", "--porcelain", "--branch") == "## main...origin/main\n"
    assert git(clone, "rev-parse", "HEAD") == git(origin, "rev-parse", "main")
    assert git(clone, "log", "--format=%s").splitlines() == ["of the test"], "without its history"
    assert git(clone, "remote", "get-url", "origin").strip() == f"{server}project.git"
    git(clone, "fsck", "--strict")
    git(clone, "fetch", "--quiet", "--unshallow")


@pytest.mark.parametrize("ref", ["feature/more", "v1.0", "a commit"])
def test_a_branch_a_tag_or_a_commit_can_be_asked_for(origin: Path, server: str, tmp_path: Path, ref: str) -> None:
    ref = git(origin, "rev-parse", "main").strip() if ref == "a commit" else ref
    files = fetched(server, tmp_path, ref)
    assert ("project/more.txt" in files) == (ref == "feature/more")
    assert git(tmp_path / "project", "rev-parse", "HEAD") == git(origin, "rev-parse", f"{ref}^{{commit}}")


@pytest.mark.parametrize(
    ("ref", "what"),
    [
        ("mian", "no branch, tag or commit “mian”"),
        ("0" * 40, "There is no git repository at"),
        ("1" * 40, "could not be fetched"),
    ],
)
def test_a_ref_that_is_not_there_is_said(server: str, tmp_path: Path, ref: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        fetched(server, tmp_path, ref)


def test_what_is_too_large_is_not_fetched_to_its_end(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 0 MB"):
        fetched(server, tmp_path, most_bytes=100)


def test_a_small_pack_with_large_files_is_not_unpacked(tmp_path: Path) -> None:
    make_repository(tmp_path / "git" / "project.git", {"zeros": "0" * 3_000_000})
    with serving(tmp_path / "git") as server, pytest.raises(InputError, match="more than 1 MB"):
        fetched(server, tmp_path / "here", most_bytes=1_000_000)
    assert not (tmp_path / "here" / "project" / "zeros").exists()


def test_a_private_one_wants_its_token_which_is_in_no_file(origin: Path, tmp_path: Path) -> None:
    token = "glpat-of-the-test-0123456789"
    with serving(origin.parent, token) as server:
        for number, wrong in enumerate(("", "wrong-of-the-test")):
            with pytest.raises(InputError, match="requires a token") as error:
                clone(Repository(f"{server}project.git", token=wrong), tmp_path / str(number))
            assert not wrong or wrong not in str(error.value)
        repository = parse_repository(f"{server}project.git", token=token)
        assert repository is not None
        uploads = clone(repository, tmp_path / "right")
    assert not [upload.key for upload in uploads if token.encode() in upload.path.read_bytes()]
    assert token not in repr(repository)
    assert redact(f"it was {token}") == "it was [hidden]"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("nothing.git", "no git repository at"),
        ("project.git/HEAD", "no git repository at"),
        ("", "could not be fetched"),
    ],
)
def test_what_is_no_repository_is_said_in_two_lines(server: str, tmp_path: Path, path: str, what: str) -> None:
    address = f"{server}{path}" if path else "http://127.0.0.1:1/project.git"
    with pytest.raises(InputError, match=re.escape(what)):
        clone(Repository(address), tmp_path)
