"""Removes secrets from text; the only place that does.

Every log handler, error report and message to the page passes through `redact`. Secrets are registered with `protect`
as soon as they enter the process (`settings`, the token field). Text that looks like a secret is masked even if it was
not registered: private keys, `token=` and passwords in addresses, `Authorization` headers, signatures.
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

# `authorization: enabled` is not a secret, `Authorization: Bearer …` is.
_NO_PLAIN_WORD = r"(?!['\"]?(?!(?:bearer|token|basic|aws|digest|negotiate)\b)[a-z]{1,12}['\"]?(?:[\s,.;)}\]]|$))"
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(PuTTY-User-Key-File-\d:).*", re.DOTALL), rf"\1 {MASK}"),
    (re.compile(r"(?i)([?&#;](?:access_)?token=)[^\s&\"'<>]+"), rf"\1{MASK}"),  # in an address, of any form
    (re.compile(r"(?<![A-Za-z])([A-Z0-9_]*TOKEN=['\"]?)(?![0-9.]+\b)[^\s&\"'<>()\[\]{},]{6,}"), rf"\1{MASK}"),
    # Elsewhere only values with letters and digits: `max_token=4096` and `token=None` are not secrets.
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
    (re.compile(r"(?i)(signature[:=]\s*)[0-9a-f]{64}"), rf"\1{MASK}"),  # botocore's debug log prints them alone
    (re.compile(r"(://[^\s/?#:@'\"]*:)[^\s/?#@'\"]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"(?i)(x-amz-(?:signature|credential|security-token)=)[^\s&\"'<>]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)([?&](?:signature|awsaccesskeyid)=)[^\s&\"'<>]+"), rf"\1{MASK}"),  # of signature version 2
)


def protect(secret: str) -> None:
    """Mask `secret` in everything that is redacted from now on."""
    if len(secret) >= _MINIMUM_LENGTH:
        _secrets.update({secret, quote(secret, safe="")})


def redact(text: str, also: Iterable[str] = ()) -> str:
    """Return `text` with all registered secrets, and all that looks like a secret, masked."""
    for secret in sorted(_secrets.union(also), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a record with another formatter, then redacts it and escapes control characters.

    This is a formatter and not a filter because tracebacks are added only after the filters have run.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return visible.lines(redact(self._inner.format(record)))


class RedactingStream(io.TextIOBase):
    """Writes redacted text to another stream. It writes whole lines, because a secret may arrive in two pieces."""

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
            end = max(whole.rfind("\n"), whole.rfind("\r")) + 1  # a progress bar may never write a newline
            self._begun = whole[end:]
            if end:
                self._inner.write(redact(whole[:end]))
                self._inner.flush()
        return len(text)
