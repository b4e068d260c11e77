"""The one place where secrets are taken out of text.

Every log handler, error report and message to the page passes through `redact`. Secrets are made known with `protect`
as soon as they enter the process (`settings`, the token field), and things that look like secrets are masked even
when nobody made them known: private keys, `token=` and passwords in addresses, `Authorization` headers, signatures.
"""

from __future__ import annotations

import io
import logging
import re
import threading
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

from run_qarnot.core import visible

MASK = "[hidden]"
_MINIMUM_LENGTH = 6  # shorter "secrets" would mask ordinary words everywhere

_secrets: set[str] = set()

# `authorization: enabled` is no secret; `Authorization: Bearer …` is one.
_NO_PLAIN_WORD = r"(?!['\"]?(?!(?:bearer|token|basic|aws|digest|negotiate)\b)[a-z]{1,12}['\"]?(?:[\s,.;)}\]]|$))"
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(PuTTY-User-Key-File-\d:).*", re.DOTALL), rf"\1 {MASK}"),
    (re.compile(r"(?i)([?&#;](?:access_)?token=)[^\s&\"'<>]+"), rf"\1{MASK}"),  # in an address, whatever it is
    (re.compile(r"(?<![A-Za-z])([A-Z0-9_]*TOKEN=['\"]?)(?![0-9.]+\b)[^\s&\"'<>()\[\]{},]{6,}"), rf"\1{MASK}"),
    # Elsewhere only what has letters and digits: `max_token=4096` and `token=None` are no secrets.
    (
        re.compile(
            r"(?i)((?<![a-z])token=['\"]?)(?=[^\s&\"'<>()\[\]{},]*[0-9])(?=[^\s&\"'<>()\[\]{},]*[a-z])"
            r"[^\s&\"'<>()\[\]{},]{8,}"
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            rf"(?i)(authorization['\"]?\s*[:=]\s*){_NO_PLAIN_WORD}"
            r"(?:b?'[^'\n]*'|b?\"[^\"\n]*\"|AWS4-[^'\"\n]*|(?:b?['\"])?(?:(?:bearer|token|basic|aws)\s+)?[^\s,'\"}]+)"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)(signature[:=]\s*)[0-9a-f]{64}"), rf"\1{MASK}"),  # botocore's debug log has each by itself
    (re.compile(r"(://[^\s/?#:@'\"]*:)[^\s/?#@'\"]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"(?i)(x-amz-(?:signature|credential|security-token)=)[^\s&\"'<>]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)([?&](?:signature|awsaccesskeyid)=)[^\s&\"'<>]+"), rf"\1{MASK}"),  # version 2: boto3's for us
)


def protect(secret: str) -> None:
    """Mask `secret` in everything that is redacted from now on."""
    if len(secret) >= _MINIMUM_LENGTH:
        _secrets.update({secret, quote(secret, safe="")})


def redact(text: str, also: Iterable[str] = ()) -> str:
    """Return `text` with all known secrets, and all that looks like one, masked."""
    for secret in sorted(_secrets.union(also), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats with another formatter, then redacts, and writes out what a terminal would obey: all of the record.

    It wraps the formatter, and is not a filter, because only here is the text complete: tracebacks are rendered after
    filters ran.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return visible.lines(redact(self._inner.format(record)))


class RedactingStream(io.TextIOBase):
    """What is written to it goes on to another stream by whole lines, redacted: a secret may come in two pieces."""

    def __init__(self, inner: TextIO) -> None:
        super().__init__()
        self._inner = inner
        self._begun = ""
        self._writing = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._writing:
            whole = self._begun + text
            end = max(whole.rfind("\n"), whole.rfind("\r")) + 1  # a progress bar may never come to a new line
            self._begun = whole[end:]
            if end:
                self._inner.write(redact(whole[:end]))
                self._inner.flush()
        return len(text)
