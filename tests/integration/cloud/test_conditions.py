"""A storage that cannot be told not to replace a file: the next best way is taken, and said once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.hostile import HostileProxy, How
from support.storages import Place, connect

from qarnot_local import LocalCluster
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import InputError
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.slow

PART = 8 << 20


@pytest.fixture
def without_conditions(cluster: LocalCluster) -> Iterator[LocalCluster]:
    for method, operation in (("PUT", "s3:PutObject"), ("POST", "s3:CompleteMultipartUpload")):
        cluster.control.fail_next(method, operation, code="NotImplemented", only_with="If-None-Match", times=None)
    yield cluster
    cluster.control.reset()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "cannot be told" in record.message]


def test_a_storage_without_conditions_takes_files_all_the_same(
    without_conditions: LocalCluster,
    storage: Storage,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    uploads = [Upload(make_file(size, name), name) for name, size in {"a": 5, "b": 7, "c": PART + 1}.items()]
    with caplog.at_level(logging.WARNING):
        storage.upload(bucket, uploads)
        storage.upload(bucket, [Upload(make_file(9, "d"), "d")])
    assert {file.key: file.size for file in storage.files(bucket)} == {"a": 5, "b": 7, "c": PART + 1, "d": 9}
    assert len(told(caplog)) == 1


@pytest.mark.parametrize("size", [5, PART + 1])
def test_a_file_that_came_meanwhile_is_still_not_replaced(
    without_conditions: LocalCluster,
    storage: Storage,
    proxy: HostileProxy,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
    size: int,
) -> None:
    def theirs() -> None:
        direct.put_object(Bucket=bucket, Key="file", Body=b"theirs")

    proxy.trouble("HEAD", "file", how=How(before=theirs))
    with pytest.raises(InputError) as caught:
        storage.upload(bucket, [Upload(make_file(size), "file")])
    assert caught.value.code == "input-exists"
    assert direct.get_object(Bucket=bucket, Key="file")["Body"].read() == b"theirs"


def test_the_same_file_that_came_meanwhile_is_fine(
    without_conditions: LocalCluster,
    storage: Storage,
    proxy: HostileProxy,
    direct: Any,
    bucket: str,
    make_file: Callable[..., Path],
) -> None:
    path = make_file(5)
    proxy.trouble("HEAD", "file", how=How(before=lambda: direct.upload_file(str(path), bucket, "file")))
    counted: list[int] = []
    storage.upload(bucket, [Upload(path, "file")], counted.append)
    assert sum(counted) == 5


def test_by_its_switch_no_condition_is_sent_to_a_storage_that_ignores_them(
    cluster: LocalCluster,
    place: Place,
    boto: boto3.session.Session,
    proxy: HostileProxy,
    bucket: str,
    make_file: Callable[..., Path],
) -> None:
    cluster.control.ignore_header("If-None-Match")
    client = connect(proxy.url, place.email, place.secret, boto)
    storage = Storage(client, "http://cluster", (0.01,), conditional_puts=False)
    try:
        storage.upload(bucket, [Upload(make_file(5), "file")])
    finally:
        cluster.control.reset()
    assert proxy.count("HEAD", "file") == 1
    assert "if-none-match" not in "".join(call.head for call in proxy.calls if call.method == "PUT").lower()
