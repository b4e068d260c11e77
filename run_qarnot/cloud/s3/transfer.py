"""What the threads of one transfer share: when to give up, when to try again, and how far they are.

The threads are daemons, and nobody waits for them: one that hangs on a dead connection must not keep a person who
pressed Ctrl-C, and `ThreadPoolExecutor` would join it when the program ends.
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

Progress = Callable[[int], None]  # told the bytes that were moved since the last call; below zero: some are sent again
Cancelled = Callable[[], bool]
Job = Callable[[], Iterable["Job"]]  # does something, and says what is to be done next

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt
_LOOK_SECONDS = 0.05  # how soon a wish to give up is seen
_TELL_SECONDS = 0.1  # how often progress is told
# Refused, and yet worth another attempt: something happened to the bytes on their way.
_BROKEN_ON_THE_WAY = {
    "RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "InternalError", "SlowDown",
    "ConditionalRequestConflict",
}  # fmt: skip

WRONG_CHECKSUM = Message("stored-checksum")
UPLOAD_GONE = Message("upload-gone")
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch"}  # the storage compares it itself

Result = TypeVar("Result")


class GivenUpError(TransferError):
    """Somebody does not want the transfer any more."""


class BrokenError(Exception):
    """Something on the way between here and the storage changed or lost bytes: worth another attempt."""

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
        """Make a work that ends with this one, and can be stopped alone."""
        return Transfer(self._cluster, cancelled=lambda: self._stopped.is_set() or self._cancelled(), waits=self._waits)

    def stop(self) -> None:
        """Have every thread of this work end soon."""
        self._stopped.set()

    def check(self) -> None:
        """Raise if the work is not wanted any more."""
        if self._stopped.is_set() or self._cancelled():
            raise GivenUpError("transfer-given-up")

    def pause(self, seconds: float) -> None:
        """Wait, unless the work is given up meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            self._stopped.wait(min(left, _LOOK_SECONDS))
        self.check()

    def moved(self, count: int) -> None:
        """Count bytes; tell now and then."""
        with self._lock:
            self._moved += count
            if time.monotonic() - self._told >= _TELL_SECONDS:
                self._tell()

    def tell(self) -> None:
        """Tell what was counted and not yet told."""
        with self._lock:
            self._tell()

    def _tell(self) -> None:
        count, self._moved, self._told = self._moved, 0, time.monotonic()
        if count and not self._stopped.is_set():
            self._progress(count)

    def attempt(self, call: Callable[[], Result]) -> Result:
        """Do something that can be repeated, again and again when it fails for a passing reason.

        Raises:
            GivenUpError: it is not wanted any more.
            RunQarnotError: it does not work.
        """
        for number in range(len(self._waits) + 1):
            self.check()
            try:
                return call()
            except Exception as error:  # whatever comes: the table of `translate` decides  # noqa: BLE001
                self.check()
                ours = our_error(error, self._cluster)
                if not is_passing(ours) or number == len(self._waits):
                    raise ours from ours.__cause__
                self.pause_before(number)
        raise AssertionError("unreachable")

    def pause_before(self, number: int) -> None:
        """Wait before another attempt: longer each time, and not all threads at the same moment."""
        self.pause(self._waits[number] * random.uniform(0.5, 1.0))  # noqa: S311  not a secret

    @property
    def attempts(self) -> int:
        return len(self._waits) + 1

    def run(self, jobs: Iterable[Job], threads: int) -> None:
        """Do jobs, and those that come out of them, in several threads.

        Raises:
            Exception: the first that a job raised; the other threads end soon, by themselves.
        """
        crew = _Crew(jobs)
        for number in range(threads):
            threading.Thread(target=crew.work, name=f"transfer-{number}", daemon=True).start()
        try:
            crew.wait(self.check)
        except BaseException:  # raised again, Ctrl-C too, once the threads are stopped
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
            except BaseException as problem:  # handed to the thread that waits  # noqa: BLE001
                error = problem
            with self._changed:
                self._busy -= 1
                self._error = self._error or error
                self._jobs.extendleft(reversed(more))  # what was begun is finished first
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
    """Return our error for whatever happened to a request, with its cause."""
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
        return False  # it had all the time that there is
    if isinstance(cause, ClientError):
        return error.transient or error_code(error) in _BROKEN_ON_THE_WAY
    return error.transient or isinstance(cause, IncompleteReadError | ResponseStreamingError | BrokenError)


def error_code(error: RunQarnotError) -> str:
    """Return the storage's own code of an error, such as `NoSuchKey`; a bare status such as `404` for a HEAD."""
    with suppress(AttributeError):
        return str(error.__cause__.response.get("Error", {}).get("Code", ""))  # type: ignore[union-attr]
    return ""


@contextmanager
def named(key: str) -> Iterator[None]:
    """What goes wrong with the upload of a file names the file."""
    try:
        yield
    except (GivenUpError, TransferError, InputError):
        raise
    except (RunQarnotError, OSError) as error:
        if isinstance(error, RunQarnotError) and error.code == "quota-bytes":
            raise  # it is not the file's fault, and trying again is idle
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
