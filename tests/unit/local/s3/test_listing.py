"""Lists, deletions and reads on moto's own state, without a server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from moto.s3.models import S3Backend, s3_backends

from qarnot_local.s3 import operations
from qarnot_local.s3.delete import delete_objects
from qarnot_local.s3.listing import is_list, listing
from qarnot_local.s3.read import read_object

ACCOUNT = "123456789019"


@pytest.fixture
def backend() -> Any:
    backend: S3Backend = s3_backends[ACCOUNT]["aws"]
    backend.create_bucket("bucket", "us-east-1")
    for key in ("a", "b/1", "b/2", "c"):
        backend.put_object("bucket", key, b"x" * 10)
    yield backend
    s3_backends.pop(ACCOUNT)
    s3_backends.bucket_accounts.pop("bucket", None)  # where the storage, which keeps no such record, is not loaded


def ask(**query: str) -> operations.Asked:
    found = operations.read({"REQUEST_METHOD": "GET", "PATH_INFO": "/bucket", "QUERY_STRING": urlencode(query)})
    assert is_list(found)
    return found


def test_a_folder_is_listed_once_and_counts_as_one(backend: Any) -> None:
    first = listing(backend, ask(delimiter="/", **{"max-keys": "2"}))
    assert (first.count(b"<Key>"), first.count(b"<CommonPrefixes>"), b"<IsTruncated>true" in first) == (1, 1, True)
    rest = listing(backend, ask(delimiter="/", marker="b/"))
    assert (rest.count(b"<Key>"), rest.count(b"<CommonPrefixes>")) == (1, 0)


def test_a_list_of_objects_is_deleted_and_answered_unless_quiet(backend: Any) -> None:
    def delete(key: str, more: str = "") -> bytes | None:
        return delete_objects(backend, "bucket", f"<Delete>{more}<Object><Key>{key}</Key></Object></Delete>".encode())

    assert b"<Deleted><Key>a</Key></Deleted>" in (delete("a") or b"")
    assert b"<Deleted>" not in (delete("c", "<Quiet>true</Quiet>") or b"")
    assert delete("") is None
    assert sorted(backend.get_bucket("bucket").keys) == ["b/1", "b/2"]


@pytest.mark.parametrize(
    ("wanted", "span"), [("bytes=2-4", "2-4"), ("bytes=-3", "7-9"), ("bytes=8-99", "8-9"), ("bytes=20-", None)]
)
def test_ranges_are_answered_without_a_copy(backend: Any, wanted: str, span: str | None) -> None:
    told: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "HTTP_RANGE": wanted}
    content = read_object(environ, backend.get_bucket("bucket").keys["a"], lambda *given: told.append(given))
    if span is None:
        assert content is None
        return
    assert content is not None
    first, last = map(int, span.split("-"))
    assert len(b"".join(content)) == last - first + 1
    ((status, headers),) = told
    assert (status, dict(headers)["Content-Range"]) == ("206 Partial Content", f"bytes {span}/10")
