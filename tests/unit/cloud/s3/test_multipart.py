"""An upload in parts: continued, completed, aborted."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from run_qarnot.cloud.s3.etag import etag_of_parts
from run_qarnot.cloud.s3.multipart import Multipart, StoredPart, Unfinished
from run_qarnot.cloud.s3.transfer import Transfer, error_code
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError

MD5 = "9e107d9d372bb6826bd81d3542a419d6"
ETAG = etag_of_parts([bytes.fromhex(MD5)])
NAMES = {"Bucket": "b", "Key": "k", "UploadId": "u"}
PARTS = {"Parts": [{"PartNumber": 1, "ETag": f'"{MD5}"', "Size": 5}]}


@pytest.fixture
def upload(storage: Stubber, work: Transfer) -> Multipart:
    client: Any = storage.client
    return Multipart(client, "b", "k", "u", work)


def begin(storage: Stubber, work: Transfer, *begun: str) -> tuple[Multipart, dict[int, StoredPart]]:
    client: Any = storage.client
    return Multipart.begin(client, "b", "k", 1, begun, work)


def test_an_upload_that_was_begun_is_continued(storage: Stubber, work: Transfer) -> None:
    storage.add_response("list_parts", PARTS, NAMES)
    upload, parts = begin(storage, work, "u")
    assert upload.id == "u"
    assert parts == {1: StoredPart(MD5, 5)}


def test_one_that_has_gone_or_is_of_a_longer_file_is_not(storage: Stubber, work: Transfer) -> None:
    storage.add_client_error("list_parts", "NoSuchUpload", http_status_code=404)
    storage.add_response("list_parts", {"Parts": [{"PartNumber": 2, "ETag": f'"{MD5}"', "Size": 5}]})
    storage.add_response("create_multipart_upload", {"UploadId": "new"}, {"Bucket": "b", "Key": "k"})
    upload, parts = begin(storage, work, "gone", "longer")
    assert (upload.id, parts) == ("new", {})


def test_parts_become_an_object(storage: Stubber, upload: Multipart) -> None:
    listed = {"Parts": [{"PartNumber": 1, "ETag": f'"{MD5}"'}]}
    storage.add_response("complete_multipart_upload", {"ETag": f'"{ETAG}"'}, {**NAMES, "MultipartUpload": listed})
    upload.complete([MD5])


def test_an_object_with_another_checksum_is_an_error(storage: Stubber, upload: Multipart) -> None:
    storage.add_response("complete_multipart_upload", {"ETag": f'"{"0" * 32}-1"'})
    with pytest.raises(TransferError):
        upload.complete([MD5])


def test_another_object_is_not_replaced_unless_that_is_wanted(storage: Stubber, upload: Multipart) -> None:
    storage.add_response("head_object", {"ETag": f'"{"0" * 32}"'})
    with pytest.raises(InputError) as caught:
        upload.complete([MD5], replace=False)
    assert caught.value.code == "input-exists"


def test_the_same_object_is_fine_and_the_parts_are_freed(storage: Stubber, upload: Multipart) -> None:
    storage.add_response("head_object", {"ETag": f'"{ETAG}"'})
    storage.add_response("abort_multipart_upload", {}, NAMES)
    upload.complete([MD5], replace=False)


def test_a_lost_answer_is_no_failure_if_the_object_is_there(storage: Stubber, upload: Multipart) -> None:
    storage.add_client_error("complete_multipart_upload", "NoSuchUpload", http_status_code=404)
    storage.add_response("head_object", {"ETag": f'"{ETAG}"'})
    upload.complete([MD5])


def test_an_upload_that_is_gone_is_an_error(storage: Stubber, upload: Multipart) -> None:
    storage.add_client_error("complete_multipart_upload", "NoSuchUpload", http_status_code=404)
    storage.add_client_error("head_object", "404", http_status_code=404)
    with pytest.raises(TransferError):
        upload.complete([MD5])


def test_to_abort_what_has_gone_is_fine_and_any_other_refusal_is_not(storage: Stubber, upload: Multipart) -> None:
    storage.add_client_error("abort_multipart_upload", "NoSuchUpload", http_status_code=404)
    upload.abort()
    storage.add_client_error("abort_multipart_upload", "AccessDenied", http_status_code=403)
    with pytest.raises(RunQarnotError) as caught:
        upload.abort()
    assert error_code(caught.value) == "AccessDenied"


def test_uploads_are_found_by_their_key() -> None:
    unfinished = Unfinished({"k": ["new", "old"]})
    assert (unfinished.of("k"), unfinished.of("other")) == (["new", "old"], ())
