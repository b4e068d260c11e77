"""Records of tasks, jobs or pools by id and short name; on disk too when there is a state folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from qarnot_local import private
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.tasks import Task

_Record = TypeVar("_Record", Task, Job, Pool)
_TRANSIENT: dict[str, Any] = {"forwards": True, "instances": {"__all__": {"forwards"}}}  # they end with the process


class RecordStore(Generic[_Record]):
    """The records of one kind, in order of creation."""

    def __init__(self, kind: type[_Record], folder: Path | None) -> None:
        self._folder = folder
        self._adapter: TypeAdapter[_Record] = TypeAdapter(kind)
        self._records: dict[str, _Record] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # the records hold secrets of tasks
            loaded = [private.read(file, self._adapter.validate_json) for file in folder.glob("*.json")]
            records = sorted(filter(None, loaded), key=lambda record: record.created)
            self._records = {record.uuid: record for record in records}

    def __iter__(self) -> Iterator[_Record]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def find(self, name: str) -> _Record | None:
        """By uuid or short name (§2.1)."""
        found = self._records.get(name.casefold())
        return found or next((record for record in self._records.values() if record.shortname == name), None)

    def save(self, record: _Record) -> None:
        """Keep a new or changed record."""
        self._records.setdefault(record.uuid, record)
        if self._folder and self._records.get(record.uuid) is record:
            temporary = self._folder / f"{record.uuid}.new"
            temporary.write_bytes(self._adapter.dump_json(record, exclude=_TRANSIENT))
            temporary.replace(self._folder / f"{record.uuid}.json")

    def remove(self, record: _Record) -> None:
        self._records.pop(record.uuid, None)
        if self._folder:
            (self._folder / f"{record.uuid}.json").unlink(missing_ok=True)
