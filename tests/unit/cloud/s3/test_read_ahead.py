"""Files out of a bucket, in the order in which they are wanted."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from run_qarnot.cloud.s3.read_ahead import Piece, ReadAhead, ReplacedError
from run_qarnot.cloud.s3.transfer import Transfer
from run_qarnot.core.errors import RunQarnotError

DATA = bytes(range(256)) * 100
ETAG = f'"{hashlib.md5(DATA).hexdigest()}"'


def answer(data: bytes, size: int | None = None, status: int = 200, etag: str = ETAG) -> dict[str, Any]:
    length = len(data) if size is None else size
    no_length: Any = None
    return {
        "Body": StreamingBody(io.BytesIO(data), no_length), "ContentLength": length, "ETag": etag,
        "ResponseMetadata": {"HTTPStatusCode": status},
    }  # fmt: skip


def read(storage: Stubber, work: Transfer, piece: Piece) -> bytes:
    client: Any = storage.client
    piece.fetch(client, work, "http://cluster")
    return b"".join(piece.chunks(work))


def test_an_object_is_read_whole_and_compared_with_its_checksum(storage: Stubber, work: Transfer) -> None:
    storage.add_response("get_object", answer(DATA), {"Bucket": "b", "Key": "k"})
    assert read(storage, work, Piece("b", "k")) == DATA
    storage.add_response("get_object", answer(DATA[::-1]))
    with pytest.raises(RunQarnotError) as caught:
        read(storage, work, Piece("b", "k"))
    assert caught.value.code == "broken"


def test_a_body_that_breaks_off_is_continued_of_the_same_version(storage: Stubber, work: Transfer) -> None:
    storage.add_response("get_object", answer(DATA[:1000], len(DATA)))
    continued = {"Bucket": "b", "Key": "k", "IfMatch": ETAG, "Range": f"bytes=1000-{len(DATA) - 1}"}
    storage.add_response("get_object", answer(DATA[1000:], status=206), continued)
    assert read(storage, work, Piece("b", "k")) == DATA


def test_a_version_that_was_replaced_is_an_error_and_never_a_mixture(storage: Stubber, work: Transfer) -> None:
    storage.add_response("get_object", answer(DATA[:1000], len(DATA)))
    storage.add_client_error("get_object", "PreconditionFailed", http_status_code=412)
    with pytest.raises(ReplacedError):
        read(storage, work, Piece("b", "k"))


def test_a_range_is_asked_for_by_its_bytes(storage: Stubber, work: Transfer) -> None:
    asked = {"Bucket": "b", "Key": "k", "Range": "bytes=100-109"}
    storage.add_response("get_object", answer(DATA[100:110], status=206), asked)
    assert read(storage, work, Piece("b", "k", start=100, size=10)) == DATA[100:110]


def test_a_storage_that_fails_again_and_again_is_an_error(storage: Stubber, work: Transfer) -> None:
    for _ in range(work.attempts):
        storage.add_client_error("get_object", "InternalError", http_status_code=500)
    with pytest.raises(RunQarnotError):
        read(storage, work, Piece("b", "k"))


def test_a_refusal_is_asked_once(storage: Stubber, work: Transfer) -> None:
    storage.add_client_error("get_object", "AccessDenied", http_status_code=403)
    with pytest.raises(RunQarnotError):
        read(storage, work, Piece("b", "k"))


class Answers:
    """A storage whose files hold their own names, for threads that ask in any order."""

    def get_object(self, Bucket: str, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803  botocore's names
        return answer(Key.encode() * 1000, etag='"not-an-md5"')


def test_pieces_come_in_order_though_several_are_read_at_once(work: Transfer) -> None:
    keys = [f"{number}" for number in range(30)]
    taken = []
    client: Any = Answers()
    with ReadAhead(client, (Piece("b", key) for key in keys), work, "http://cluster") as ahead:
        for _ in keys:
            with ahead.next() as piece:
                taken.append((piece.key, b"".join(piece.chunks(ahead.work))))
    assert taken == [(key, key.encode() * 1000) for key in keys]
