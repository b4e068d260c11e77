"""The state that the threads of a transfer share: cancellation, retries and progress.

The threads are daemons and are not joined: one that hangs on a dead connection must not delay the end after Ctrl-C, and
`ThreadPoolExecutor` would join it when the program ends.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError

from run_qarnot.cloud.errors import translate
from run_qarnot.cloud.limits import AnswerLimitError
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError, reason_of
from run_qarnot.core.messages import Message, Sentence, Verbatim, english

Progress = Callable[[int], None]  # called with the bytes moved since the last call; negative if some are sent again
Cancelled = Callable[[], bool]
Job = Callable[[], Iterable["Job"]]  # does something, and returns the next jobs

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt
_LOOK_SECONDS = 0.05  # between two checks for cancellation
_TELL_SECONDS = 0.1  # between two reports of progress
# Refusals that are retried: the bytes were damaged on the way.
_BROKEN_ON_THE_WAY = {
    "RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "InternalError", "SlowDown",
    "ConditionalRequestConflict",
}  # fmt: skip

WRONG_CHECKSUM = Message("stored-checksum")
UPLOAD_GONE = Message("upload-gone")
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch"}  # the storage compared the checksum

Result = TypeVar("Result")


class GivenUpError(TransferError):
    """The transfer was cancelled."""


class BrokenError(Exception):
    """Bytes were changed or lost between here and the storage; a retry may succeed."""

    def __init__(self, problem: Message) -> None:
        super().__init__(english(problem))
        self.problem = problem


class Transfer:
    """One transfer. All methods may be called from any thread."""

    def __init__(
        self,
        cluster: str,
        progress: Progress = lambda _: None,
        cancelled: Cancelled = lambda: False,
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._cluster = cluster
        self._progress = progress
        self._cancelled = cancelled
        self._waits = waits
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._moved = 0
        self._told = float("-inf")

    def part(self) -> Transfer:
        """Return a transfer that ends with this one, and can be stopped separately."""
        return Transfer(self._cluster, cancelled=lambda: self._stopped.is_set() or self._cancelled(), waits=self._waits)

    def stop(self) -> None:
        """Stop all threads of this transfer soon."""
        self._stopped.set()

    def check(self) -> None:
        """Raise if the transfer is cancelled."""
        if self._stopped.is_set() or self._cancelled():
            raise GivenUpError("transfer-given-up")

    def pause(self, seconds: float) -> None:
        """Wait, unless the transfer is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            self._stopped.wait(min(left, _LOOK_SECONDS))
        self.check()

    def moved(self, count: int) -> None:
        """Count bytes, and report progress now and then."""
        with self._lock:
            self._moved += count
            if time.monotonic() - self._told >= _TELL_SECONDS:
                self._tell()

    def tell(self) -> None:
        """Report the bytes that were not reported yet."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        count, self._moved, self._told = self._moved, 0, time.monotonic()
        if count and not self._stopped.is_set():
            self._progress(count)

    def attempt(self, call: Callable[[], Result]) -> Result:
        """Call a function that can be repeated; retry transient errors.

        Raises:
            GivenUpError: the transfer is cancelled.
            RunQarnotError: a permanent error, or the last attempt failed.
        """
        for number in range(len(self._waits) + 1):
            self.check()
            try:
                return call()
            except Exception as error:  # the table of `translate` decides  # noqa: BLE001
                self.check()
                ours = our_error(error, self._cluster)
                if not is_passing(ours) or number == len(self._waits):
                    raise ours from ours.__cause__
                self.pause_before(number)
        raise AssertionError("unreachable")

    def pause_before(self, number: int) -> None:
        """Wait before a retry: longer each time, and with jitter, so that threads do not retry together."""
        self.pause(self._waits[number] * random.uniform(0.5, 1.0))  # noqa: S311  not a secret

    @property
    def attempts(self) -> int:
        return len(self._waits) + 1

    def run(self, jobs: Iterable[Job], threads: int) -> None:
        """Run jobs, and the jobs that they return, in several threads.

        Raises:
            Exception: the first that a job raised; the other threads stop soon.
        """
        crew = _Crew(jobs)
        for number in range(threads):
            threading.Thread(target=crew.work, name=f"transfer-{number}", daemon=True).start()
        try:
            crew.wait(self.check)
        except BaseException:  # re-raised (including KeyboardInterrupt) after stopping the threads
            self.stop()
            crew.stop()
            raise
        self.tell()


class _Crew:
    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)
        self._busy = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def work(self) -> None:
        while (job := self._next()) is not None:
            more: Sequence[Job] = ()
            error: BaseException | None = None
            try:
                more = list(job())
            except BaseException as problem:  # re-raised by the thread that waits  # noqa: BLE001
                error = problem
            with self._changed:
                self._busy -= 1
                self._error = self._error or error
                self._jobs.extendleft(reversed(more))  # files that were started are finished first
                self._changed.notify_all()

    def wait(self, check: Callable[[], None]) -> None:
        with self._changed:
            while self._error is None and not self._is_done:
                self._changed.wait(_LOOK_SECONDS)
                check()
            if self._error is not None:
                raise self._error

    def stop(self) -> None:
        with self._changed:
            self._jobs.clear()
            self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._jobs and self._busy and self._error is None:
                self._changed.wait()
            if self._error is not None or not self._jobs:
                return None
            self._busy += 1
            return self._jobs.popleft()

    @property
    def _is_done(self) -> bool:
        return not self._jobs and not self._busy


def our_error(error: Exception, cluster: str) -> RunQarnotError:
    """Return our error for any failure of a request, with its cause."""
    if isinstance(error, RunQarnotError):
        return error
    if isinstance(error, BrokenError):
        ours = RunQarnotError("broken", problem=error.problem)
    else:
        ours = translate(error, cluster)
    ours.__cause__ = error
    return ours


def is_passing(error: RunQarnotError) -> bool:
    """Whether the same request may succeed a moment later."""
    cause = error.__cause__
    if isinstance(cause, AnswerLimitError):
        return False  # it used all of its time
    if isinstance(cause, ClientError):
        return error.transient or error_code(error) in _BROKEN_ON_THE_WAY
    return error.transient or isinstance(cause, IncompleteReadError | ResponseStreamingError | BrokenError)


def error_code(error: RunQarnotError) -> str:
    """Return the storage's code of an error, such as `NoSuchKey`; the status, such as `404`, for a HEAD request."""
    with suppress(AttributeError):
        return str(error.__cause__.response.get("Error", {}).get("Code", ""))  # type: ignore[union-attr]
    return ""


@contextmanager
def named(key: str) -> Iterator[None]:
    """Turn errors of the block into errors that name the file."""
    try:
        yield
    except (GivenUpError, TransferError, InputError):
        raise
    except (RunQarnotError, OSError) as error:
        if isinstance(error, RunQarnotError) and error.code == "quota-bytes":
            raise  # quota errors concern the whole account; retrying the file cannot succeed
        raise TransferError("upload", name=key, problem=problem_of(error)) from error


def problem_of(error: BaseException) -> Sentence:
    """Return what went wrong, as the end of a sentence."""
    if isinstance(error, RunQarnotError):
        cause = error.__cause__
        if isinstance(cause, BrokenError):
            return cause.problem
        if error_code(error) in _DAMAGED:
            return WRONG_CHECKSUM
        if error_code(error) == "NoSuchUpload":
            return UPLOAD_GONE
        return problem_of(cause) if isinstance(cause, OSError) else error.sentence
    if isinstance(error, OSError):
        return reason_of(error)
    return Verbatim(type(error).__name__)
