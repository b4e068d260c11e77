"""The errors that this product expects, as a tree.

    RunQarnotError                what happened and what to do, in words from `core.locale`
    ├── InputError                something the user gave is not right; nothing was changed       exit 1
    ├── NotFoundError             a session, image or file of that name is not there              exit 1
    ├── RefusedError              the cluster says no: token, credits, quota, permission          exit 1
    ├── SessionError              a session, or an action on it, failed                           exit 1
    ├── TransferError             a file could not be moved                                       exit 1
    └── UnreachableError          the cluster does not answer; trying again makes sense           exit 3

An error has a code and facts. Its sentences come from the table `ERRORS` of each language; `str(error)` is in English,
for logs. Facts are shown to people: never put a secret in one.
"""

from __future__ import annotations

from run_qarnot.core.messages import Message, Sentence, Verbatim, english


class RunQarnotError(Exception):
    """The base of all errors that this product expects.

    Arguments:
        code: of the tables `ERRORS` in `core.locale`.
        field: the form field that the error belongs to, by its `data-testid`, if any.
        details: text for "details", such as the last lines of a log; shown folded, and redacted.
        problem, hint, reason, message: facts that are sentences, or parts of one: ours as messages.
        facts: the other values that the sentences name.
    """

    exit_code = 1
    transient = False

    def __init__(
        self,
        code: str,
        /,
        *,
        field: str | None = None,
        details: str = "",
        problem: Sentence | None = None,
        hint: Sentence | None = None,
        reason: Sentence | None = None,
        message: Sentence | None = None,
        **facts: object,
    ) -> None:
        sentences = {"problem": problem, "hint": hint, "reason": reason, "message": message}
        self.code = code
        self.field = field
        self.details = details
        self.facts = facts | {name: sentence for name, sentence in sentences.items() if sentence is not None}
        super().__init__(english(self.advice))

    @property
    def sentence(self) -> Message:
        """What happened; also as a fact of another message."""
        return Message(f"error.{self.code}.what", **self.facts)

    @property
    def advice(self) -> Message:
        """What happened, and what to do."""
        return Message("joined", first=self.sentence, second=Message(f"error.{self.code}.todo", **self.facts))

    @property
    def what(self) -> str:
        """What happened, in the language in use."""
        return str(self.sentence)

    @property
    def todo(self) -> str:
        """What to do, in the language in use; empty if nobody knows."""
        return str(Message(f"error.{self.code}.todo", **self.facts))

    @property
    def typed(self) -> str:
        """What to type in a terminal, in the language in use; empty for most errors."""
        return str(Message(f"error.{self.code}.typed", **self.facts))


def reason_of(error: BaseException) -> Sentence:
    """Return the operating system's text for an error, or ours where it has none."""
    return Verbatim(getattr(error, "strerror", None) or str(error)) if str(error) else Message("disk-silent")


class InputError(RunQarnotError):
    """Something the user gave is not right. Nothing was changed."""


class NotFoundError(RunQarnotError):
    """What was named is not there."""


class RefusedError(RunQarnotError):
    """The cluster understood the request and refused it."""


class SessionError(RunQarnotError):
    """A session, or an action on it, failed."""


class TransferError(RunQarnotError):
    """A file could not be moved. What was moved before is kept."""


class UnreachableError(RunQarnotError):
    """The cluster does not answer, or its answer makes no sense. Trying again may succeed."""

    exit_code = 3
    transient = True
