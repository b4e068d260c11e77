"""Large objects in files: none is held in memory whole.

moto keeps every part of an upload in memory, and joins them there, three times over. So each part is moved to a file as
soon as it has come, and the files are joined to one when the upload is complete. A large object that comes in one piece
goes straight to a file, and moto is told of an empty one. Files are opened only while they are read: there may be
thousands.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from moto.s3.exceptions import EntityTooSmall, InvalidPart, InvalidPartOrder, MalformedXML

from qarnot_local.s3.xml import parse, text_of

LARGE = 1 << 20
_SMALLEST_PART = 5 << 20
_CHUNK = 1 << 20


class FileBuffer:
    """Replaces moto's buffer of an object: the same methods on a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, size: int = -1) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()


class Content(bytes):
    """The content that moto gets: empty, but with the length of the file that holds it."""

    path: Path
    size: int
    md5: str

    def __len__(self) -> int:
        return self.size

    def put_into(self, key: Any) -> None:
        """Give moto's record of an object this content."""
        with key.lock:
            key._value_buffer.close()
            key._value_buffer = FileBuffer(self.path)
            key.contentsize = self.size


class _Settled(dict[int, Any]):
    """moto's parts by number. It makes a part's ETag when it is first asked for, by whoever asks, and two who read the
    same buffer at once get a wrong one: so it is made before anybody sees the part."""

    def __setitem__(self, number: int, part: Any) -> None:
        _ = part.etag
        super().__setitem__(number, part)


def etag_of_parts(body: bytes) -> str:
    """The ETag of the object that is made of the parts which a CompleteMultipartUpload lists; empty if nothing is.

    Raises ParseError when the list cannot be read.
    """
    parts = [child for child in parse(body) if child.tag.rpartition("}")[2] == "Part"]
    try:
        digests = [bytes.fromhex((text_of(part, "ETag") or "").strip('"')) for part in parts]
    except ValueError:
        return ""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}" if digests else ""


class Parts:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._lock = threading.Lock()

    def put_away(self, upload: Any, number: int) -> None:
        """Move a part that has just come to a file."""
        part = upload.parts.get(number)
        if part is None or part.contentsize < LARGE:
            return
        with part.lock, contextlib.suppress(ValueError):  # closed: the upload was aborted meanwhile
            if isinstance(part._value_buffer, FileBuffer):
                return
            path = self._new()
            part._value_buffer.seek(0)
            with path.open("wb") as file:
                shutil.copyfileobj(part._value_buffer, file, _CHUNK)
            part._value_buffer.close()
            part._value_buffer = FileBuffer(path)

    def receive(self, stream: Any, length: int) -> Content:
        """Bring what is read from a stream into a file of ours; it may end before `length`."""
        content, digest, left = Content(), hashlib.md5(usedforsecurity=False), length
        content.path = self._new()
        with content.path.open("wb") as file:
            while left and (data := stream.read(min(left, _CHUNK))):
                digest.update(data)
                file.write(data)
                left -= len(data)
        content.size, content.md5 = length - left, digest.hexdigest()
        return content

    def scratch(self) -> IO[bytes]:
        """A file that is gone when it is closed; a small one is in memory."""
        return tempfile.SpooledTemporaryFile(LARGE, dir=str(self._folder))

    def prepare(self, upload: Any) -> list[Content]:
        """Patch moto's record of an upload before it gets a part or is completed. The list gets the joined content."""
        with self._lock:
            if not isinstance(upload.parts, _Settled):
                upload.parts = _Settled(upload.parts)
        joined: list[Content] = []

        def complete(wanted: Iterable[tuple[int, str]]) -> tuple[bytes, str, None]:
            content, etag = self._join(upload, list(wanted))
            joined.append(content)
            return content, etag, None

        upload.complete = complete
        return joined

    def _join(self, upload: Any, wanted: list[tuple[int, str]]) -> tuple[Content, str]:
        """moto's own checks and ETag: the MD5 of the parts' MD5s, and their number."""
        if not wanted:
            raise MalformedXML
        numbers = [number for number, _ in wanted]
        if numbers != sorted(set(numbers)):
            raise InvalidPartOrder
        parts = [upload.parts.get(number) for number, _ in wanted]
        for part, (_, etag) in zip(parts, wanted, strict=True):
            if part is None or part.etag.strip('"') != etag.strip('"'):
                raise InvalidPart
        if set(numbers) != set(upload.parts):  # a Ceph gateway wants all of them
            raise InvalidPart
        if any(part.contentsize < _SMALLEST_PART for part in parts[:-1]):
            raise EntityTooSmall
        content = Content()
        content.path, content.size = self._new(), sum(part.contentsize for part in parts)
        digest = hashlib.md5(usedforsecurity=False)
        with content.path.open("wb") as file:
            for part in parts:
                digest.update(bytes.fromhex(part.etag.strip('"')))
                with part.lock:
                    part._value_buffer.seek(0)
                    shutil.copyfileobj(part._value_buffer, file, _CHUNK)
        return content, f"{digest.hexdigest()}-{len(parts)}"

    def finish(self, key: Any, joined: list[Content], upload: Any) -> None:
        """Give the completed object its content, and delete the parts."""
        for content in joined:
            content.put_into(key)
            upload.dispose()

    def _new(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self._folder)
        os.close(handle)
        return Path(name)
