"""The body of a storage request: decoded from `aws-chunked` and compared with the checksums that the client gives.

moto unwraps chunks by copying what came before for each of them, and compares nothing: a file that was damaged on its
way would be stored.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from typing import Any, Protocol

_WRAPPED = (
    "STREAMING-"  # in x-amz-content-sha256: chunks, each with its length, maybe a signature; checksums at the end
)
_CHECKSUM = "HTTP_X_AMZ_CHECKSUM_"
_CHUNK = 1 << 16
_LINE = 1 << 13


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


# Those of Python's own library; CRC32C and CRC64NVME are believed.
_HASHES: dict[str, Callable[[], _Hash]] = {
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "CRC32": _Crc32,
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
}


class DigestError(Exception):
    """The body differs from its checksum. `code` is S3's error code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CutShortError(Exception):
    """The client closed the connection in the middle of the body."""


class Payload(io.RawIOBase):
    """The content of a request's body. `check` tells, once all was read, whether it is whole and right."""

    def __init__(self, environ: dict[str, Any]) -> None:
        """Read the headers, and leave in `environ` those of a request that is not wrapped."""
        self._stream = environ["wsgi.input"]
        self._buffer = b""
        self._read = 0
        self._chunk = 0  # what is left of it
        self._trailers: dict[str, str] = {}
        self._environ = environ
        sha256 = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
        self._is_wrapped = sha256.startswith(_WRAPPED)
        if self._is_wrapped:
            self._unwrap()
        self.length = int(environ.get("CONTENT_LENGTH") or 0)
        self._wanted = {name: value for name, value in self._given() if name in _HASHES}
        self._sha256 = sha256.lower() if len(sha256) == 64 else ""
        names = {*self._wanted, *self._announced(), *(["SHA256"] if self._sha256 else [])}
        self._hashes = {name: _HASHES[name]() for name in names if name in _HASHES}

    def _given(self) -> list[tuple[str, str]]:
        found = [(name[len(_CHECKSUM) :], value) for name, value in self._environ.items() if name.startswith(_CHECKSUM)]
        return [*found, *([("MD5", value)] if (value := self._environ.get("HTTP_CONTENT_MD5")) else [])]

    def _announced(self) -> list[str]:
        """The checksums that come at the end."""
        names = self._environ.get("HTTP_X_AMZ_TRAILER", "").upper().replace("-", "_").split(",")
        return [name.strip().removeprefix(_CHECKSUM.removeprefix("HTTP_")) for name in names]

    def _unwrap(self) -> None:
        environ = self._environ
        environ["CONTENT_LENGTH"] = environ.pop("HTTP_X_AMZ_DECODED_CONTENT_LENGTH")
        environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
        for name in ("HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
            environ.pop(name, None)
        encodings = [each.strip() for each in environ.pop("HTTP_CONTENT_ENCODING", "").split(",")]
        if others := [each for each in encodings if each not in {"aws-chunked", ""}]:
            environ["HTTP_CONTENT_ENCODING"] = ",".join(others)

    @property
    def must_be_read(self) -> bool:
        """Whether there is something to unwrap or to compare."""
        return self._is_wrapped or bool(self._hashes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._next_of_chunks(len(buffer)) if self._is_wrapped else self._take(len(buffer))
        buffer[: len(data)] = data
        self._read += len(data)
        for each in self._hashes.values():
            each.update(data)
        return len(data)

    def whole(self) -> bytes:
        """All of it, checked."""
        content = self.read() or b""
        self.check()
        return content

    def check(self) -> None:
        """Raise DigestError or CutShortError if the body is wrong; then add the trailing checksums to the headers."""
        if self._read < self.length:
            raise CutShortError
        if self._is_wrapped:
            self._read_trailers()
        if self._sha256 and self._hashes["SHA256"].digest().hex() != self._sha256:
            raise DigestError("XAmzContentSHA256Mismatch")
        for name, value in {**self._wanted, **self._trailers}.items():
            if name in self._hashes and base64.b64encode(self._hashes[name].digest()).decode() != value:
                raise DigestError("BadDigest")
        self._environ |= {f"{_CHECKSUM}{name}": value for name, value in self._trailers.items()}

    def _take(self, size: int) -> bytes:
        """Bytes from the buffer, else from the stream."""
        data = self._buffer or self._stream.read(max(size, _CHUNK)) or b""
        self._buffer = data[size:]
        return bytes(data[:size])

    def _next_of_chunks(self, size: int) -> bytes:
        if self._read == self.length:
            return b""
        if not self._chunk:
            self._chunk = int(self._line().partition(b";")[0], 16)
            if self._read + self._chunk > self.length or self._chunk <= 0:
                raise ValueError("The chunks are not as long as was said")
        data = self._take(min(size, self._chunk))
        if not data:
            raise CutShortError
        self._chunk -= len(data)
        if not self._chunk:
            self._line()
        return data

    def _read_trailers(self) -> None:
        if int(self._line().partition(b";")[0] or b"0", 16):
            raise ValueError("There is more than was said")
        while name := (line := self._line().decode("latin-1").partition(":"))[0].strip():
            if name.lower().startswith("x-amz-checksum-"):
                self._trailers[name.upper().replace("-", "_").removeprefix("X_AMZ_CHECKSUM_")] = line[2].strip()

    def _line(self) -> bytes:
        """The next line without its end; empty at the end of the stream."""
        while b"\n" not in self._buffer:
            more = self._stream.read(_CHUNK) or b""
            self._buffer += more
            if not more:
                break
            if len(self._buffer) > _LINE and b"\n" not in self._buffer:
                raise ValueError("A line has no end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")
