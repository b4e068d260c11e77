"""Objects kept on disk, so that they survive a restart (`--state-dir`).

One folder for each bucket; in it a JSON file about the bucket, and for each object its content and a small JSON file.
They are named by the hash of bucket and key, because a key may hold anything. After each call that may have changed
something, moto's state is compared with the files, independent of the call.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from qarnot_local import private
from qarnot_local.s3.cors import CorsRule


class Disk:
    def __init__(self, folder: Path, backend: Any) -> None:
        self._folder = folder
        self._backend = backend
        self._kept: dict[tuple[str, str], str] = {}  # (bucket, key) → identity of what is on disk
        self._lock = threading.RLock()

    def load(self) -> None:
        """Put everything that was kept into moto."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for place in sorted(self._folder.iterdir()):
            if not (place / "bucket").exists():
                continue
            if bucket := private.read(place / "bucket", self._load_bucket):
                for note in sorted(place.glob("*.json")):
                    private.read(note, functools.partial(self._load_object, bucket, note))

    def _load_bucket(self, text: str) -> str:
        about = json.loads(text)
        name, created = str(about["name"]), datetime.fromisoformat(about["created"])
        self._backend.create_bucket(name, "us-east-1").creation_date = created
        self._backend.put_bucket_tagging(name, about["tags"])
        self._backend.put_bucket_cors(name, about.get("cors", []))
        return name

    def _load_object(self, bucket: str, note: Path, text: str) -> None:
        about = json.loads(text)
        content = note.with_suffix(".data").read_bytes()
        key = self._backend.put_object(bucket, about["key"], content, etag=about["etag"], disable_notification=True)
        key.set_metadata(about["metadata"])
        key.last_modified = datetime.fromisoformat(about["modified"])
        self._kept[bucket, about["key"]] = _identity(key)

    def follow(self, bucket: str, key: str) -> None:
        """Save what a call on `/bucket[/key]` may have changed."""
        with self._lock:
            self.keep_bucket(bucket)
            if key:
                self.keep(bucket, key)
                return
            for kept_bucket, kept_key in list(self._kept):  # a bulk deletion
                if kept_bucket == bucket:
                    self.keep(bucket, kept_key)

    def keep_bucket(self, bucket: str) -> None:
        place = self._folder / _hash(bucket)
        if found := self._backend.buckets.get(bucket):
            place.mkdir(exist_ok=True)
            tags = {tag["Key"]: tag["Value"] for tag in self._backend.get_bucket_tagging(bucket)["Tags"]}
            cors = [CorsRule.of_moto(rule).for_moto() for rule in found.cors]
            about = {"name": bucket, "created": found.creation_date.isoformat(), "tags": tags, "cors": cors}
            written = json.dumps(about).encode()
            if not (place / "bucket").exists() or (place / "bucket").read_bytes() != written:
                _write(place / "bucket", written)
        elif place.exists():
            for file in place.iterdir():
                file.unlink()
            place.rmdir()
            self._kept = {pair: kept for pair, kept in self._kept.items() if pair[0] != bucket}

    def keep(self, bucket: str, key: str) -> None:
        with self._lock:
            found = self._backend.buckets.get(bucket)
            stored = found.keys.get(key) if found else None
            note = self._folder / _hash(bucket) / f"{_hash(key)}.json"
            if stored is None:
                if self._kept.pop((bucket, key), None):
                    note.unlink(missing_ok=True)
                    note.with_suffix(".data").unlink(missing_ok=True)
            elif self._kept.get((bucket, key)) != _identity(stored):
                # The note last: content without a note is ignored at load.
                self._write_content(note.with_suffix(".data"), stored)
                about = {
                    "key": key,
                    "etag": stored.etag.strip('"'),
                    "metadata": dict(stored.metadata),
                    "modified": stored.last_modified.isoformat(),
                }
                _write(note, json.dumps(about).encode())
                self._kept[bucket, key] = _identity(stored)

    def _write_content(self, path: Path, stored: Any) -> None:
        temporary = path.with_name(path.name + ".new")
        with temporary.open("wb") as file, stored.lock:
            stored._value_buffer.seek(0)
            shutil.copyfileobj(stored._value_buffer, file, 1 << 20)
        temporary.replace(path)


def _identity(stored: Any) -> str:
    return f"{stored.etag} {stored.last_modified.isoformat()}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent, whenever we are killed."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)
