"""What of a record is refused because of its size: said, hidden in an archive, or not said at all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.web_server import WebServer, web_server

from run_qarnot.core.errors import InputError
from run_qarnot.engine.zenodo import fetch_record
from run_qarnot.model.repository import Repository

RECORD = Repository("https://doi.org/10.5281/zenodo.7")
MOST = 100_000


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(redirects={RECORD.doi: "/records/7"}, files={"records/7": b"<html>"}) as server:
        yield server


def publish(server: WebServer, name: str, content: bytes, size: int) -> None:
    server.files["content"] = content
    entry = {"key": name, "size": size, "checksum": "", "links": {"self": server.url("content")}}
    server.files["api/records/7"] = json.dumps({"files": [entry]}).encode()


def archive(size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(size))
    return stream.getvalue()


def fetch(server: WebServer, folder: Path) -> None:
    fetch_record(RECORD, folder, server.address.rstrip("/"), MOST)


def test_a_file_of_the_allowed_size_comes(server: WebServer, tmp_path: Path) -> None:
    publish(server, "data.bin", bytes(MOST), MOST)
    fetch(server, tmp_path)
    assert (tmp_path / "data.bin").stat().st_size == MOST


def test_an_archive_is_replaced_by_what_is_in_it(server: WebServer, tmp_path: Path) -> None:
    content = archive(1000)
    publish(server, "data.zip", content, len(content))
    fetch(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["zeros"]


@pytest.mark.parametrize(
    ("name", "content", "size"),
    [
        ("said.bin", b"", MOST + 1),
        ("hidden.bin", bytes(MOST + 1), 1),
        ("bomb.zip", archive(MOST + 1), 1000),
    ],
)
def test_what_is_too_large_is_refused(server: WebServer, tmp_path: Path, name: str, content: bytes, size: int) -> None:
    publish(server, name, content, size)
    with pytest.raises(InputError) as caught:
        fetch(server, tmp_path)
    assert caught.value.code == "git-size"
