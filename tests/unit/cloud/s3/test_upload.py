"""A file into a bucket: sent once, checked, and sent again only where something happened on the way."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from run_qarnot.cloud.s3.etag import Part
from run_qarnot.cloud.s3.multipart import Conditions, Unfinished
from run_qarnot.cloud.s3.transfer import Transfer
from run_qarnot.cloud.s3.upload import Section, Sending
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError
from run_qarnot.model.files import Upload

DATA = b"0123456789" * 10
MD5 = hashlib.md5(DATA)
PUT = {"Bucket": "b", "Key": "k", "Body": ANY, "ContentMD5": base64.b64encode(MD5.digest()).decode()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def send(storage: Any, work: Transfer, file: Path, *, replace: bool = True) -> None:
    sending = Sending(storage.client, "b", Upload(file, "k"), Unfinished({}), work, Conditions(), replace=replace)
    assert list(sending.begin()) == []


def test_a_small_file_is_sent_at_once_with_its_checksum(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_response("put_object", {"ETag": f'"{MD5.hexdigest()}"'}, PUT)
    send(storage, work, file)


def test_nothing_is_replaced_unless_that_is_wanted(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    storage.add_response("head_object", {"ETag": f'"{"0" * 32}"'})
    with pytest.raises(InputError) as caught:
        send(storage, work, file, replace=False)
    assert caught.value.code == "input-exists"


def test_the_same_content_that_is_there_already_is_fine(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    storage.add_response("head_object", {"ETag": f'"{MD5.hexdigest()}"'})
    send(storage, work, file, replace=False)


def test_what_was_changed_on_the_way_is_sent_again(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_response("put_object", {"ETag": f'"{"0" * 32}"'}, {**PUT, "IfNoneMatch": "*"})
    storage.add_response("put_object", {"ETag": f'"{MD5.hexdigest()}"'}, PUT)
    send(storage, work, file, replace=False)


def test_an_encrypted_object_has_no_checksum_to_compare(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_response("put_object", {"ETag": f'"{"0" * 32}"', "ServerSideEncryption": "AES256"}, PUT)
    send(storage, work, file)


def test_a_refusal_names_the_file(storage: Stubber, work: Transfer, file: Path) -> None:
    storage.add_client_error("put_object", "AccessDenied", http_status_code=403)
    storage.add_client_error("head_object", "404", http_status_code=404)
    with pytest.raises(TransferError) as caught:
        send(storage, work, file)
    assert caught.value.facts["name"] == "k"


def test_a_file_that_is_gone_names_itself(storage: Stubber, work: Transfer, file: Path) -> None:
    file.unlink()
    with pytest.raises(RunQarnotError) as caught:
        send(storage, work, file)
    assert caught.value.facts["name"] == "k"


def section(file: Any, moved: list[int]) -> Section:
    return Section(file, Part(2, 10, 20), Transfer("", progress=moved.append))


def test_a_section_is_a_part_of_a_file(file: Path) -> None:
    with file.open("rb") as opened:
        body = section(opened, [])
        assert len(body) == 20
        assert body.read(5) == b"01234"
        assert body.read() == DATA[15:30]
        assert body.read() == b""
        assert body.seek(-5, os.SEEK_END) == body.tell() == 15
        assert body.read(100) == b"56789"


def test_a_section_counts_what_is_sent_and_takes_it_back(file: Path) -> None:
    moved: list[int] = []
    with file.open("rb") as opened:
        body = section(opened, moved)
        body.read()
        body._work.tell()
        assert moved == [], "it was read to be signed"
        body.seek(0)
        body.is_sent = True
        body.read()
        body._work.tell()
        body.seek(0)
        body._work.tell()
        assert moved == [20, -20]


def test_a_file_that_got_shorter_ends_its_section(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(15)
        body = section(opened, [])
        assert len(body.read(5)) == 5
        with pytest.raises(OSError, match="shorter"):
            body.read()
