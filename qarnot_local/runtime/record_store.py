"""All tasks, jobs and pools that there are, by id and by short name; on disk too when there is a state folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from qarnot_local import private
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.output import Output
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.tasks import Instance, Task

_Record = TypeVar("_Record", Task, Job, Pool)


class RecordStore(Generic[_Record]):
    """The records of one kind, in order of creation."""

    def __init__(self, kind: type[_Record], folder: Path | None) -> None:
        self._folder = folder
        self._records: dict[str, _Record] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # whatever the folder around it allows: they hold the tasks' secrets
            loaded = [private.read(file, lambda text: _load(kind, text)) for file in folder.glob("*.json")]
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
            temporary.write_text(json.dumps(_plain(record)), "utf-8")
            temporary.replace(self._folder / f"{record.uuid}.json")

    def remove(self, record: _Record) -> None:
        self._records.pop(record.uuid, None)
        if self._folder:
            (self._folder / f"{record.uuid}.json").unlink(missing_ok=True)


def _plain(record: Task | Job | Pool | Instance) -> dict[str, Any]:
    """The record as JSON: dates as text, sets as lists, output as text; forwards end with the process anyway."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, datetime):
            value = {"date": value.isoformat()}
        elif isinstance(value, set):
            value = {"set": sorted(value)}
        elif isinstance(value, Output):
            value = {"output": {str(number): tail.everything() for number, tail in value.instances.items()}}
        elif field.name == "forwards":
            value = []
        elif field.name == "instances":
            value = [{"instance": _plain(instance)} for instance in value]
        plain[field.name] = value
    return plain


def _load(kind: type[_Record], text: str) -> _Record:
    known = {field.name for field in dataclasses.fields(kind)}
    plain = json.loads(text)
    return kind(**{name: _rich(value) for name, value in plain.items() if name in known})


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((mark, content),) = value.items()
    if mark == "date":
        return datetime.fromisoformat(content)
    if mark == "instance":
        return Instance(**{name: _rich(item) for name, item in content.items()})
    if mark == "set":
        return set(content)
    if mark == "output":
        output = Output()
        for number, text in content.items():
            output.write(text, int(number))
            output.flush(int(number))
        return output
    return value
