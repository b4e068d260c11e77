"""Uploads whose parts a browser sends directly to the bucket. This module begins them, signs an address for each part,
checks what has arrived, and completes them. If the browser cannot send parts, they are sent from here (`put`).

An address is valid for one part of one upload, for minutes. It is a secret all the same: `redact` masks its signature.

The browser is not trusted: it states the MD5 of each part, and the storage must confirm it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from run_qarnot.cloud.s3.etag import etag_of_parts, md5, part_size, parts_of
from run_qarnot.cloud.s3.multipart import Multipart
from run_qarnot.cloud.s3.transfer import Transfer, error_code, named
from run_qarnot.core.errors import RefusedError, TransferError
from run_qarnot.core.messages import Message

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleOutputTypeDef, CORSRuleTypeDef

ADDRESS_SECONDS = 600  # a part of 8 MiB needs one minute at 1 Mbit/s, and four are on their way at a time
_PUT = "PUT"


class DirectUpload:
    """The upload of one file by a browser. All methods block; they may be called from any thread.

    `stored` lists the parts of the right size that had arrived at the beginning or were `put` since: MD5 by number.
    """

    def __init__(
        self, client: S3Client, bucket: str, key: str, size: int, begun: Sequence[str], work: Transfer
    ) -> None:
        self.key = key
        self.size = size
        self.part_size = part_size(size)
        self._client = client
        self._work = work
        self._sizes = {part.number: part.size for part in parts_of(size)}
        self._etags: list[str] = []
        self._multipart, parts = Multipart.begin(client, bucket, key, len(self._sizes), begun, work)
        self.stored: dict[int, str] = {
            number: part.etag for number, part in parts.items() if part.size == self._sizes.get(number)
        }

    @property
    def count(self) -> int:
        """The number of parts; all but the last have `part_size` bytes."""
        return len(self._sizes)

    @property
    def etag(self) -> str:
        """The ETag of the whole file, after `check` has confirmed all parts."""
        return etag_of_parts([bytes.fromhex(etag) for etag in self._etags])

    def address(self, number: int) -> str:
        """Return the address to which the browser sends a part. This needs no network.

        Raises:
            TransferError: the file has no such part.
        """
        if number not in self._sizes:
            raise TransferError("upload", name=self.key, problem=Message("part-unknown", number=number))
        parameters = {**self._multipart.names, "PartNumber": number}
        return str(self._client.generate_presigned_url("upload_part", Params=parameters, ExpiresIn=ADDRESS_SECONDS))

    def put(self, number: int, data: bytes | bytearray) -> str:
        """Send a part from here, unless it is `stored`; return its MD5, in hexadecimal.

        Raises:
            RunQarnotError: the storage fails or refuses.
        """
        digest = md5(data)
        if self.stored.get(number) != digest.hexdigest():
            checksum = base64.b64encode(digest.digest()).decode()
            send = partial(self._client.upload_part, **self._multipart.names, PartNumber=number)
            with named(self.key):
                body = cast("bytes", data)  # botocore takes both; its stubs name one
                self._work.attempt(lambda: send(Body=body, ContentMD5=checksum))
            self.stored[number] = digest.hexdigest()
        return digest.hexdigest()

    def check(self, digests: Sequence[str]) -> bool:
        """Whether the storage has all parts.

        Arguments:
            digests: the MD5 of each part as computed by the browser, in hexadecimal.

        Raises:
            TransferError: the storage does not answer.
        """
        with named(self.key):
            parts = self._multipart.parts()
        found = {number: (part.etag, part.size) for number, part in parts.items() if number in self._sizes}
        wanted = {number: (digest, self._sizes.get(number)) for number, digest in enumerate(digests, start=1)}
        self._etags = list(digests) if found == wanted and len(wanted) == len(self._sizes) else []
        return bool(self._etags)

    def complete(self, *, replace: bool) -> None:
        """Complete the file; `check` must have returned True."""
        if not self._etags:
            raise TransferError("upload", name=self.key, problem=Message("parts-missing"))
        self._multipart.complete(self._etags, replace=replace)

    def abort(self) -> None:
        """Cancel the upload and delete its parts."""
        self._multipart.abort()


def allow_origin(client: S3Client, bucket: str, origin: str, work: Transfer) -> None:
    """Add a CORS rule that lets a page of this origin send parts. Other rules are kept; existing ones not repeated.

    Raises:
        RunQarnotError: the storage does not support CORS rules, or refuses.
    """
    rules = _rules(client, bucket, work)
    if not any(origin in rule["AllowedOrigins"] and _PUT in rule["AllowedMethods"] for rule in rules):
        rule: CORSRuleTypeDef = {"AllowedOrigins": [origin], "AllowedMethods": [_PUT], "MaxAgeSeconds": 3600}
        wanted: list[CORSRuleTypeDef | CORSRuleOutputTypeDef] = [*rules, rule]
        work.attempt(lambda: client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": wanted}))


def _rules(client: S3Client, bucket: str, work: Transfer) -> list[CORSRuleOutputTypeDef]:
    try:
        return list(work.attempt(lambda: client.get_bucket_cors(Bucket=bucket))["CORSRules"])
    except RefusedError as error:
        if error_code(error) == "NoSuchCORSConfiguration":
            return []
        raise  # otherwise rules that we cannot read would be replaced
