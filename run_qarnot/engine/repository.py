"""Fetches a git repository to this computer, from which it is uploaded with the session's other files.

It is not fetched on the machine, because this works with every image, also without git or Internet access, and the
token of a private repository stays in this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from run_qarnot.cloud.web import check_public, checked_pools, private_host
from run_qarnot.core import visible
from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.names import which
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.zenodo import fetch_record
from run_qarnot.model.files import Upload
from run_qarnot.model.repository import MOST_BYTES, Repository
from run_qarnot.model.spec import SessionSpec

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref
    from dulwich.repo import Repo

REQUIREMENTS = "requirements.txt"
_MOST_FILES = 20_000
_USER = "oauth2"  # with a token as password: GitLab requires it; GitHub and Gitea accept any
_TIMEOUT_SECONDS = 30.0
_HASH_DIGITS = 40
_OURS = b"refs/run-qarnot/start"  # git wants a `refs` folder, and storage keeps no empty ones
_UNUSED = frozenset({"description", "hooks", "info"})  # of `.git`


async def fetch(
    spec: SessionSpec, given: Container[str], doi_url: str
) -> tuple[TemporaryDirectory[str] | None, list[Upload]]:
    """Fetch the repository of a session before its start.

    Arguments:
        spec: a checked one.
        given: paths of the user's files, which replace those of the repository.
        doi_url: address of the resolver of DOIs.

    Returns:
        The folder of the files, which exists until it is cleaned up; and the files.

    Raises:
        InputError: as `clone`.
    """
    if spec.repository is None:
        return None, []
    temporary = TemporaryDirectory(prefix="run-qarnot-")
    try:
        uploads = await in_thread(_bring, spec.repository, Path(temporary.name), doi_url)
    except BaseException:  # re-raised (including cancellation) after removing the files
        temporary.cleanup()
        raise
    kept = {REQUIREMENTS} if spec.resume else set()  # the packages of the session that it continues
    return temporary, [each for each in uploads if each.key not in given and each.key not in kept]


def _bring(repository: Repository, folder: Path, doi_url: str) -> list[Upload]:
    if not repository.doi:
        return clone(repository, folder)
    fetch_record(repository, folder / repository.folder, doi_url, MOST_BYTES)
    return list(_uploads(repository, folder))


def clone(repository: Repository, folder: Path, most_bytes: int = MOST_BYTES) -> list[Upload]:
    """Fetch one commit; return its files and those of `.git`, to be uploaded. Blocks.

    Symbolic links become small files that name their target, as git writes them where links are not supported, because
    storage has no links.

    Arguments:
        repository: a checked one.
        folder: an empty one, which must exist until the files are uploaded.
        most_bytes: limit on the fetched bytes and on the size of the files.

    Raises:
        InputError: there is no such repository or ref, it needs a token, is too large, or the server does not answer.
    """
    from dulwich.client import HTTPUnauthorized, InvalidWants
    from dulwich.errors import NotGitRepository

    try:
        _fetch(repository, folder / repository.folder, most_bytes)
    except InputError:
        raise
    except HTTPUnauthorized as error:
        raise InputError("git-denied", field="git", address=repository.url) from error
    except (NotGitRepository, InvalidWants) as error:
        raise InputError("git-missing", field="git", address=str(repository)) from error
    except KeyError as error:  # the server sent no error and not the requested commit
        raise InputError("git-missing", field="git", address=str(repository)) from error
    except Exception as error:  # a server may send anything, and dulwich has dozens of errors for it
        if private := private_host(error):
            raise InputError("web-private", field="git", host=private) from error
        problem = Verbatim(visible.one_line(str(error))[:200].rstrip(".") or type(error).__name__)
        raise InputError("git-failed", field="git", address=repository.url, problem=problem) from error
    return list(_uploads(repository, folder))


def _fetch(repository: Repository, target: Path, most_bytes: int) -> None:
    from dulwich.repo import Repo

    target.mkdir(parents=True)
    with Repo.init(str(target), default_branch=b"main") as repo:
        name, found = _fetch_pack(repository, repo, most_bytes)
        _check_out(repo, found, most_bytes)
        _name(repo, repository.url, name, found)


def _fetch_pack(repository: Repository, repo: Repo, most_bytes: int) -> tuple[bytes, ObjectID]:
    """Fetch the commit of one ref without history; return the ref's full name and the commit's id."""
    from dulwich.client import Urllib3HttpGitClient, default_urllib3_manager
    from dulwich.config import ConfigFile
    from dulwich.object_store import peel_sha

    address, token = urlsplit(repository.url), repository.token
    base, config = f"{address.scheme}://{address.netloc}/", ConfigFile()  # nothing of the user's own, such as passwords
    pools = default_urllib3_manager(config, base_url=base, timeout=_TIMEOUT_SECONDS)
    if repository.public_only:
        _keep_public(pools, address.hostname or "")
    client = Urllib3HttpGitClient(
        base,
        pool_manager=pools,
        config=config,
        username=_USER if token else None,
        password=token or None,
        timeout=_TIMEOUT_SECONDS,
        thin_packs=False,
        quiet=True,
    )
    found: list[tuple[bytes, ObjectID]] = []

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        found.append(_find(refs, repository.ref))
        return [found[0][1]]

    pack, commit, abort = repo.object_store.add_pack()
    try:
        write = _limited(pack.write, most_bytes)
        result = client.fetch_pack(address.path, wants, repo.get_graph_walker(), write, depth=1)
    except BaseException:  # re-raised (including Ctrl-C) after closing the pack's temporary file
        abort()
        raise
    commit()
    repo.update_shallow(result.new_shallow, result.new_unshallow)
    name, wanted = found[0]
    if name == b"HEAD":
        name = result.symrefs.get(name, name)  # type: ignore[call-overload]
    return name, peel_sha(repo.object_store, wanted)[1].id


def _keep_public(pools: Any, host: str) -> None:
    """Have connections go to the Internet alone; through a proxy, which looks names up itself, as far as is known."""
    from urllib3 import ProxyManager

    if isinstance(pools, ProxyManager):
        with contextlib.suppress(socket.gaierror):
            check_public(host)
    else:
        pools.pool_classes_by_scheme = checked_pools()


def _find(refs: Mapping[Ref, ObjectID], ref: str) -> tuple[bytes, ObjectID]:
    """Return the full name and the id of a ref that is given by its short name or id."""
    wanted = ref.encode()
    for name in (b"refs/heads/" + wanted, b"refs/tags/" + wanted) if ref else (b"HEAD",):
        if found := refs.get(name):  # type: ignore[call-overload]
            return name, found
    if len(ref) == _HASH_DIGITS and not ref.strip("0123456789abcdef"):
        return b"HEAD", wanted  # type: ignore[return-value]
    short = [name.decode(errors="replace").removeprefix("refs/heads/").removeprefix("refs/tags/") for name in refs]
    raise InputError("git-no-ref", field="git", ref=ref or "HEAD", hint=which(ref, short))


def _limited(write: Callable[[bytes], int], most: int) -> Callable[[bytes], int]:
    """Return a function that writes at most so many bytes."""
    total = 0

    def count(data: bytes) -> int:
        nonlocal total
        total += len(data)
        _check_size(total, most)
        return write(data)

    return count


def _check_size(found: int, most: int) -> None:
    if found > most:
        raise InputError("git-size", field="git", most=round(most / 1e6))


def _check_out(repo: Repo, commit: ObjectID, most_bytes: int) -> None:
    """Write the files of a commit, after checking their size: a small pack may contain large files."""
    from dulwich.index import build_index_from_tree
    from dulwich.object_store import iter_tree_contents
    from dulwich.objects import S_ISGITLINK, Commit

    store, found = repo.object_store, repo[commit]
    if not isinstance(found, Commit):
        raise InputError("git-missing", field="git", address=commit.decode())
    total = 0
    for count, entry in enumerate(iter_tree_contents(store, found.tree), 1):
        if not S_ISGITLINK(entry.mode or 0):
            total += store[entry.sha].raw_length()
        _check_size(total if count <= _MOST_FILES else most_bytes + 1, most_bytes)
    build_index_from_tree(repo.path, repo.index_path(), store, found.tree, honor_filemode=False, symlink_fn=_write_link)


def _write_link(target: str | bytes | os.PathLike[str], path: str | bytes | os.PathLike[str]) -> None:
    Path(os.fsdecode(path)).write_bytes(os.fsencode(target))


def _name(repo: Repo, url: str, name: bytes, commit: ObjectID) -> None:
    """Configure the remote and the branch in `.git`, so that changes of the session can be pushed."""
    from dulwich.refs import Ref

    branch = name.removeprefix(b"refs/heads/") if name.startswith(b"refs/heads/") else b""
    repo.refs[Ref(_OURS)] = commit
    config = repo.get_config()
    for key, value in ((b"filemode", False), (b"symlinks", False)):  # storage keeps neither modes nor links
        config.set((b"core",), key, value)
    config.set((b"remote", b"origin"), b"url", url.encode())
    config.set((b"remote", b"origin"), b"fetch", b"+refs/heads/*:refs/remotes/origin/*")
    if branch:
        repo.refs[Ref(b"refs/remotes/origin/" + branch)] = commit
        repo.refs[Ref(b"refs/heads/" + branch)] = commit
        repo.refs.set_symbolic_ref(Ref(b"HEAD"), Ref(b"refs/heads/" + branch))
        config.set((b"branch", branch), b"remote", b"origin")
        config.set((b"branch", branch), b"merge", b"refs/heads/" + branch)
    else:
        (Path(repo.controldir()) / "HEAD").write_bytes(commit + b"\n")
    config.write_to_path()


def _uploads(repository: Repository, folder: Path) -> Iterator[Upload]:
    """Yield the files, and a `requirements.txt` that refers to the repository's."""
    root = folder / repository.folder
    for place, folders, names in os.walk(root):
        is_git = Path(place) == root / ".git"
        folders[:] = sorted(set(folders) - (_UNUSED if is_git else set()))
        for name in sorted(set(names) - (_UNUSED if is_git else set())):
            path = Path(place, name)
            yield Upload(path, path.relative_to(folder).as_posix())
    if (root / REQUIREMENTS).is_file():
        file = folder / f".{REQUIREMENTS}"
        file.write_text(f"-r {repository.folder}/{REQUIREMENTS}\n")
        yield Upload(file, REQUIREMENTS)
