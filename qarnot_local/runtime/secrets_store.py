"""The account's secrets (`reference/qarnot-platform.md` §5): values by key, keys in folders."""

from __future__ import annotations

import json
from pathlib import Path

from qarnot_local import private


class ConflictError(Exception):
    """The key exists, or a key would also be a folder."""


class Secrets:
    """In memory; on disk too when there is a state folder, readable for this user only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._values: dict[str, str] = {}
        if file and file.exists():
            self._values = private.read(file, lambda text: dict(json.loads(text))) or {}

    def has(self, key: str) -> bool:
        return key.strip("/") in self._values

    def get(self, key: str) -> str | None:
        return self._values.get(key.strip("/"))

    def create(self, key: str, value: str) -> None:
        key = key.strip("/")
        if not key or key in self._values or any(_clash(key, other) for other in self._values):
            raise ConflictError(key)
        self._put(key, value)

    def update(self, key: str, value: str) -> bool:
        key = key.strip("/")
        if key not in self._values:
            return False
        self._put(key, value)
        return True

    def delete(self, key: str) -> bool:
        found = self._values.pop(key.strip("/"), None)
        self._save()
        return found is not None

    def below(self, prefix: str) -> list[str] | None:
        """One level under a prefix, relative to it; folders end in `/`. None when there is nothing."""
        start = prefix.strip("/") + "/" if prefix.strip("/") else ""
        rests = [key.removeprefix(start) for key in self._values if key.startswith(start)]
        if not rests and start:
            return None
        return sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in rests})

    def _put(self, key: str, value: str) -> None:
        self._values[key] = value
        self._save()

    def _save(self) -> None:
        if self._file:
            private.write(self._file, json.dumps(self._values))


def _clash(one: str, other: str) -> bool:
    return one.startswith(other + "/") or other.startswith(one + "/")
