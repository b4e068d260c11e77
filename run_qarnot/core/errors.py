"""What can go wrong, as a tree.

    RunQarnotError                what happened and what to do, in words from `messages`
    ├── InputError                something the user gave is not right; nothing was changed       exit 1
    ├── NotFoundError             a session, image or file of that name is not there              exit 1
    ├── RefusedError              the cluster says no: token, credits, quota, permission          exit 1
    ├── SessionError              a session, or an action on it, failed                           exit 1
    ├── TransferError             a file could not be moved                                       exit 1
    └── UnreachableError          the cluster does not answer; trying again makes sense           exit 3

An error carries a code and facts; the sentences are looked up in `messages.ERRORS`, so that they can be translated
and so that a test can hold the table complete. Facts are shown to people: never put a secret in one.
"""

from __future__ import annotations

from run_qarnot.core import messages


class RunQarnotError(Exception):
    """The base of all errors that this product expects.

    Arguments:
        code: a key of `messages.ERRORS`.
        field: the form field that the error belongs to, by its `data-testid`, if any.
        details: text for "details", such as the last lines of a log; shown folded, and redacted.
        facts: the values that the sentences name.
    """

    exit_code = 1
    transient = False

    def __init__(self, code: str, /, *, field: str | None = None, details: str = "", **facts: object) -> None:
        self.code = code
        self.field = field
        self.details = details
        self.facts = facts
        self.what, self.todo, self.typed = messages.error_words(code, facts)
        super().__init__(f"{self.what} {self.todo}")


class InputError(RunQarnotError):
    """Something the user gave is not right. Nothing was changed."""


class NotFoundError(RunQarnotError):
    """What was named is not there."""


class RefusedError(RunQarnotError):
    """The cluster understood and said no."""


class SessionError(RunQarnotError):
    """A session, or an action on it, failed."""


class TransferError(RunQarnotError):
    """A file could not be moved. What was moved before is kept."""


class UnreachableError(RunQarnotError):
    """The cluster does not answer, or not sensibly. Trying again makes sense."""

    exit_code = 3
    transient = True
