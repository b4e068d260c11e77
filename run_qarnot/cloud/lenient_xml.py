"""Answers of the storage in which a key breaks the XML.

A key may hold any character, XML 1.0 may not. Ceph writes such a character as it is or as a reference (`&#x01;`), and
botocore, whose parser refuses both, takes the whole answer for a failure of the server (`reference/storage-ceph.md`).
Here those characters are replaced before botocore reads the answer, so that everything else in it can be read. Where
the key itself matters, it is asked for percent-encoded (`EncodingType="url"`; botocore does that in lists of objects).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from run_qarnot.core.names import fits_xml

_RAW = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}));")
_REPLACEMENT = "\ufffd".encode()
_LAST_CHARACTER = 0x10FFFF
_ERROR = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error[\s>]")


def accept_any_key(client: Any) -> None:
    """Have a boto3 client for S3 read answers that name keys which XML cannot hold."""
    client.meta.events.register("before-parse.s3.*", _before_parse, unique_id="run-qarnot-lenient-xml")


def _before_parse(response_dict: dict[str, Any], **_: Any) -> None:
    body = response_dict["body"]
    if not isinstance(body, bytes):
        return  # the content of an object, which is not read yet
    whole = repaired(body)
    if whole != body:
        response_dict["body"] = whole
        if response_dict["status_code"] == HTTPStatus.INTERNAL_SERVER_ERROR and not _ERROR.match(whole):
            response_dict["status_code"] = HTTPStatus.OK  # which it was, until botocore saw that it is no XML


def repaired(body: bytes) -> bytes:
    """Return an XML document with U+FFFD for each character that XML 1.0 cannot hold."""
    return _REFERENCE.sub(_checked, _RAW.sub(_REPLACEMENT, body))


def _checked(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return reference[0] if number <= _LAST_CHARACTER and fits_xml(chr(number)) else _REPLACEMENT
