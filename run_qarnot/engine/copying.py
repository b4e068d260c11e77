"""An independent copy of a session: its initial files, and whether there is room for them."""

from __future__ import annotations

from dataclasses import dataclass

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import InputError
from run_qarnot.core.names import session_of_bucket
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.results import Results
from run_qarnot.engine.sizes import size
from run_qarnot.model.files import StoredCopy, StoredFile

_OURS = ".run-qarnot/"  # start script, receipt and records, which each session has of its own


@dataclass(frozen=True)
class Copies:
    """The initial files of a copy of a session.

    Arguments:
        name: of the session that is copied.
        files: the results of its last run, and files that were added since.
        brought: buckets that it reads and that belong to no session; the copy reads them too.
        free: bytes that the account may still store; None if the cluster does not say.
    """

    name: str
    files: tuple[StoredCopy, ...]
    brought: tuple[str, ...]
    free: float | None

    @property
    def size(self) -> int:
        """The total size in bytes."""
        return sum(each.file.size for each in self.files)

    def check(self) -> None:
        """Raise InputError if there is no room for it."""
        if self.free is not None and self.size > self.free:
            needed, free = size(self.size), size(self.free)
            raise InputError("copy-too-large", field="from", name=self.name, size=needed, free=free)


async def find_copies(client: Client, task: TaskSnapshot) -> Copies:
    """Find the initial files of a copy of a session.

    If several buckets have a path, the last one wins, as on a machine. But files that were added after the run win
    over its results, and files that were removed in the run are left out.

    Arguments:
        task: the latest run of the session. If it is running, its saved files are used.
    """
    buckets = [*(each for each in task.resources if session_of_bucket(each) is not None)]
    files: dict[str, StoredCopy] = {}
    since = task.ended.replace(microsecond=0) if task.ended else None
    added: set[str] = set()
    for bucket in (*buckets, *filter(None, [task.results])):
        for file in await client.storage.files(bucket):
            if file.is_folder or file.key.startswith(_OURS) or (file.key in added and _is_older(file, files)):
                continue
            files[file.key] = StoredCopy(bucket, file)
            if since is not None and bucket != task.results and file.modified >= since:
                added.add(file.key)
    gone = await in_thread(Results(client.storage, task.results).removed) - added
    account = await client.account()
    free = None if account.stored is None or account.max_stored is None else account.max_stored - account.stored
    return Copies(
        task.name,
        tuple(each for key, each in files.items() if key not in gone),
        tuple(each for each in task.resources if each not in buckets),
        free,
    )


def _is_older(file: StoredFile, files: dict[str, StoredCopy]) -> bool:
    return files[file.key].file.modified > file.modified
