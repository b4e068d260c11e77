"""Fetches a record of Zenodo, which a DOI names, to this computer: for sessions that begin with it.

A record has files, and no git history. One that is a single archive, as Zenodo makes it of a release on GitHub, is
unpacked, as repo2docker does it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from run_qarnot.cloud.web import WebReader
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.core.names import check_key
from run_qarnot.model.repository import Repository
from run_qarnot.model.web_file import WebFile, is_web_address

_MOST_ANSWER_BYTES = 4 << 20
_MOST_FILES = 20_000
_RECORD = re.compile(r"/(?:records?|api/records)/(\d+)/?")


def fetch_record(repository: Repository, folder: Path, doi_url: str, most_bytes: int) -> None:
    """Fetch the files of a record. Blocks.

    Arguments:
        repository: with a DOI.
        folder: an empty one, where they come to.
        doi_url: of the resolver of DOIs, without a slash at the end.
        most_bytes: of the files, also once they are unpacked.

    Raises:
        InputError: there is no such record, it is too large, or a file is damaged.
        UnreachableError: nobody answers.
    """
    record = _record(repository, doi_url)
    files = [_file(each, repository) for each in record.get("files") or []]
    if not files:
        raise InputError("doi-empty", field="git", doi=repository.doi)
    if sum(file.size or 0 for file, _ in files) > most_bytes or len(files) > _MOST_FILES:
        raise InputError("git-size", field="git", most=round(most_bytes / 1e6))
    for file, checksum in files:
        _save(file, checksum, folder / file.key, most_bytes)
    if len(files) == 1 and files[0][0].key.lower().endswith(".zip"):
        _unpack(folder / files[0][0].key, folder, most_bytes)


def _record(repository: Repository, doi_url: str) -> dict[str, Any]:
    """Ask where the DOI leads to, and Zenodo there what the record holds."""
    with WebReader(WebFile(f"{doi_url}/{repository.doi}", "doi", public_only=repository.public_only)) as reader:
        page = urlsplit(reader.where())
    found = _RECORD.fullmatch(page.path)
    if found is None:
        raise InputError("doi-other", field="git", doi=repository.doi)
    address = f"{page.scheme}://{page.netloc}/api/records/{found[1]}"
    with WebReader(WebFile(address, "record", public_only=repository.public_only)) as reader:
        text = b""
        for chunk in reader.read():
            text += chunk
            if len(text) > _MOST_ANSWER_BYTES:
                raise InputError("doi-other", field="git", doi=repository.doi)
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InputError("doi-other", field="git", doi=repository.doi) from error
    return record if isinstance(record, dict) else {}


def _file(entry: Any, repository: Repository) -> tuple[WebFile, str]:
    """Read one file of a record: where it is, and its MD5."""
    try:
        key, size, links = str(entry["key"]), int(entry["size"]), entry["links"]
        url, checksum = str(links.get("self") or links["content"]), str(entry.get("checksum", ""))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("doi-other", field="git", doi=repository.doi) from error
    if not is_web_address(url):
        raise InputError("doi-other", field="git", doi=repository.doi)
    return WebFile(url, check_key(key), size=size, public_only=repository.public_only), checksum.removeprefix("md5:")


def _save(file: WebFile, checksum: str, target: Path, most_bytes: int) -> None:
    digest, total = hashlib.md5(usedforsecurity=False), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with WebReader(file) as reader, target.open("wb") as stream:
        for chunk in reader.read():
            total += len(chunk)
            if total > most_bytes:
                raise InputError("git-size", field="git", most=round(most_bytes / 1e6))
            digest.update(chunk)
            stream.write(chunk)
    if checksum and digest.hexdigest() != checksum:
        raise InputError("doi-damaged", field="git", name=file.key)


def _unpack(archive: Path, folder: Path, most_bytes: int) -> None:
    """Unpack an archive in place of itself; the one folder in which everything stands is left away."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir()]
            if sum(each.file_size for each in members) > most_bytes or len(members) > _MOST_FILES:
                raise InputError("git-size", field="git", most=round(most_bytes / 1e6))
            tops = {PurePosixPath(each.filename).parts[0] for each in members if each.filename}
            is_wrapped = len(tops) == 1 and all("/" in each.filename for each in members)
            for each in members:
                name = each.filename.partition("/")[2] if is_wrapped else each.filename
                target = folder / check_key(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(each) as source, target.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
    except RunQarnotError:
        raise
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise InputError("git-failed", field="git", address=archive.name, problem=Message("zip-broken")) from error
    archive.unlink()
