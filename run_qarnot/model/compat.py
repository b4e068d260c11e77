"""Assumptions about the real cluster that could not be verified here: one switch each.

`run-qarnot doctor` compares each with the account. Where one differs, the switch is set by one line of the environment,
`RUN_QARNOT_COMPAT="results-as-resource=no"`, until a release has another default here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message, Verbatim, quoted
from run_qarnot.core.names import nearest

VARIABLE = "RUN_QARNOT_COMPAT"
_WORDS = {"yes": True, "no": False}


def _switch(default: bool, without: str, place: str) -> bool:
    found: bool = field(default=default, metadata={"without": without, "place": place})
    return found


@dataclass(frozen=True)
class Compat:
    """The switches. `without` in the metadata says what the product does instead, `place` where it does so."""

    conditional_puts: bool = _switch(
        True,
        "looks for a file right before each upload, instead of having the storage refuse to replace one",
        "run_qarnot/cloud/s3/client.py",
    )
    results_as_resource: bool = _switch(
        True,
        "does not attach the results to the run: a preempted run begins with its inputs alone",
        "run_qarnot/cloud/api.py",
    )
    upload_on_cancel: bool = _switch(
        True,
        "does not ask for the results of a cancelled run: only what was saved before is kept",
        "run_qarnot/cloud/internals.py",
    )

    @property
    def changed(self) -> dict[str, bool]:
        """The switches that are not at their default, by name."""
        return {
            name_of(each.name): value for each in fields(self) if (value := getattr(self, each.name)) != each.default
        }


def name_of(attribute: str) -> str:
    """Return the name of a switch as the environment has it, such as `conditional-puts`."""
    return attribute.replace("_", "-")


def switches() -> dict[str, tuple[str, str]]:
    """Return every switch by name: what the product does without it, and the file where."""
    return {name_of(each.name): (each.metadata["without"], each.metadata["place"]) for each in fields(Compat)}


def read_compat(text: str) -> Compat:
    """Read switches such as `conditional-puts=no, upload-on-cancel=no`.

    Raises:
        InputError: there is no such switch, or its value is neither yes nor no.
    """
    known = switches()
    values: dict[str, bool] = {}
    for pair in text.replace(",", " ").split():
        name, _, word = pair.partition("=")
        if name not in known:
            near = nearest(name, known)
            hint = Message("did-you-mean", names=quoted(near)) if near else Message("there-are", names=tuple(known))
            raise _refused(pair, Message("compat-unknown"), hint)
        if word not in _WORDS:
            raise _refused(pair, Message("compat-value"), Message("compat-write", name=Verbatim(name)))
        values[name.replace("-", "_")] = _WORDS[word]
    return Compat(**values)


def _refused(pair: str, problem: Message, hint: Message) -> InputError:
    return InputError("settings", name=VARIABLE, value=pair[:60], problem=problem, hint=hint)
