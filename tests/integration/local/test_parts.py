"""Uploads in parts, while somebody looks."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from qarnot.connection import Connection

pytestmark = pytest.mark.slow


def test_parts_that_are_listed_while_they_come_have_the_right_checksums(connection: Connection) -> None:
    client = connection.s3client
    client.create_bucket(Bucket="looked-at")
    names = {"Bucket": "looked-at", "Key": "x"}
    names["UploadId"] = client.create_multipart_upload(**names)["UploadId"]
    parts = {number: os.urandom(5 << 20) for number in range(1, 17)}
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            client.list_parts(**names)

    def send(number: int) -> str:
        return str(client.upload_part(**names, PartNumber=number, Body=parts[number])["ETag"])

    with ThreadPoolExecutor(5) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        answers = dict(zip(parts, pool.map(send, parts), strict=True))
        ended.set()
    for each in looking:
        each.result()
    right = {number: f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"' for number, body in parts.items()}
    assert answers == right
    assert {part["PartNumber"]: part["ETag"] for part in client.list_parts(**names)["Parts"]} == right
    client.abort_multipart_upload(**names)
