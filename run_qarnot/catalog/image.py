"""One entry of the catalog, checked when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.errors import InputError
from run_qarnot.keys import KeyPolicy
from run_qarnot.names import nearest

OptionType = Literal["text", "int", "float", "bool", "choice", "multi", "secret"]
IMAGE_ID = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(_Entry):
    """A form field that an image declares, and the task constant that it sets."""

    label: str = Field("", description="Name of the field, for people; the option's own name when left out.")
    help: str = Field("", description="A sentence below the field.")
    type: OptionType = Field("text", description="What may be entered.")
    choices: tuple[str, ...] = Field((), description="For `choice` and `multi`: what can be chosen.")
    min: float | None = Field(None, description="For numbers: the least.")
    max: float | None = Field(None, description="For numbers: the most.")
    regex: str | None = Field(None, description="What a text must match as a whole; needs `message`.")
    message: str | None = Field(None, description="What is said when `regex` does not match.")
    default: str | int | float | bool | tuple[str, ...] | None = Field(None, description="Value when untouched.")
    constant: str | None = Field(None, description="The task constant that it sets.", pattern=r"^[A-Za-z0-9_.-]+$")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"the regular expression does not compile: {error}") from None
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Option:
        if self.regex is not None and not self.message:
            raise ValueError("`regex` needs a `message` that says what is allowed")
        if self.type in {"choice", "multi"} and not self.choices:
            raise ValueError(f"a field of type {self.type} needs `choices`")
        chosen = self.default if isinstance(self.default, tuple) else (self.default,)
        if self.choices and self.default is not None and set(map(str, chosen)) - set(self.choices):
            raise ValueError("the `default` is not among the `choices`")
        return self

    def check(self, name: str, value: object) -> str:
        """Return `value` as the text of a constant.

        Raises:
            InputError: when it may not be entered; the sentence says what is allowed.
        """
        text = ",".join(value) if isinstance(value, list | tuple) else str(value).strip()
        problem, hint = self._problem(text)
        if problem:
            shown = "(hidden)" if self.type == "secret" else text
            facts = {"value": shown, "label": self.label or name, "problem": problem, "hint": hint}
            raise InputError("option-value", field=f"option-{name}", **facts)
        return str(text.lower() in _TRUE).lower() if self.type == "bool" else text

    def _problem(self, text: str) -> tuple[str, str]:
        if self.type in {"int", "float"}:
            return self._number_problem(text)
        if self.type == "bool" and text.lower() not in _TRUE | _FALSE:
            return "it is neither yes nor no", "Write yes or no."
        chosen = [part for part in text.split(",") if part] if self.type == "multi" else [text]
        if self.choices and (unknown := [part for part in chosen if part not in self.choices]):
            return f"“{unknown[0]}” is not offered", f"Choose from: {', '.join(self.choices)}."
        if self.regex is not None and not re.fullmatch(self.regex, text):
            return "it has another form", self.message or ""
        return "", ""

    def _number_problem(self, text: str) -> tuple[str, str]:
        try:
            number = int(text) if self.type == "int" else float(text)
        except ValueError:
            return "it is no number" if self.type == "float" else "it is no whole number", "Write digits."
        if self.min is not None and number < self.min:
            return f"{self.min:g} is the least", f"Write {self.min:g} or more."
        if self.max is not None and number > self.max:
            return f"{self.max:g} is the most", f"Write {self.max:g} or less."
        return "", ""


class Ready(_Entry):
    """How to know that an app answers, where its kind does not say it well enough."""

    pattern: str | None = Field(None, description="Finds, in the output, what the app prints once it answers.")
    path: str | None = Field(None, description="Answers with 200 once the app is up.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"the regular expression does not compile: {error}") from None
        return value


class Image(_Entry):
    """A docker image and how to start it."""

    id: str = Field(pattern=rf"^{IMAGE_ID.pattern}$", description="The name of its table in the file.")
    title: str = Field("", description="Name, for people; the id when left out.")
    summary: str = Field("", description="One line: what it is good for.")
    description: str = Field("", description="More about it.")
    icon: str = Field("mdi-cube-outline", description="A Material Design icon.", pattern=r"^mdi-[a-z0-9-]+$")
    category: str = Field("", description="Images of one category are shown together.")
    docs_url: str = Field("", description="Where its documentation is.", pattern=r"^(https?://\S+)?$")
    app: str = Field("jupyterlab", description="The kind of app that it runs.")
    profile: tuple[str, ...] = Field(("jupyterlab",), description="Qarnot profile; of several, the first there is.")
    start: Literal["image", "bundled"] = Field("image", description="Who brings up the app.")
    repo: str = Field("", description="Docker repository.")
    tag: str = Field("", description="Docker tag.")
    digest: str = Field("", description="Docker digest, instead of a tag.", pattern=r"^(sha256:[0-9a-f]{64})?$")
    command: str = Field("", description="Command, where the image does not have the right one.")
    ssh_user: str = Field("root", description="Who logs in by SSH.", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")
    port: int | None = Field(None, ge=1, le=65535, description="Where the app listens inside the container.")
    open_path: str | None = Field(None, description="Path of the app's page.", pattern=r"^/")
    token_env: str | None = Field(None, description="Constant by which the app's token is chosen.")
    ready: Ready = Field(Ready(pattern=None, path=None), description="How to know that the app answers.")
    snapshot_minutes: float = Field(5, ge=0, description="Minutes between saves; 0 for none.")
    hours: float = Field(4, gt=0, description="The session stops after so many hours.")
    max_hours: float = Field(24, gt=0, description="The most hours that can be chosen.")
    constants: Mapping[str, str | int | float | bool] = Field({}, description="More task constants.")
    hardware: Mapping[str, str | int | float | bool] = Field({}, description="Hardware constraints.")
    scheduling: Literal["", "flex", "on-demand", "reserved"] = Field("", description="How machines are obtained.")
    ssh_keys: KeyPolicy = Field(KeyPolicy.ONE, description="How many keys the image takes.")
    options: Mapping[str, Option] = Field({}, description="Fields of its own on the form.")
    hidden: bool = Field(False, description="Not offered, but still known by name.")
    source: Annotated[str, Field(exclude=True)] = ""  # who brought it: shown as “by …”

    @field_validator("profile", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("app")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in BUILTIN:
            near = nearest(value, BUILTIN)
            raise ValueError(f"there is no app “{value}”" + (f"; did you mean “{near}”?" if near else ""))
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Image:
        if self.tag and self.digest:
            raise ValueError("`tag` and `digest` exclude each other")
        if self.hours > self.max_hours:
            raise ValueError(f"`hours` ({self.hours:g}) is more than `max_hours` ({self.max_hours:g})")
        return self

    @property
    def name(self) -> str:
        """Its title, or its id where it has none."""
        return self.title or self.id

    @property
    def effective_app(self) -> App:
        """The app kind, with what the image says for itself over it."""
        kind = BUILTIN[self.app]
        return App(
            kind=kind.kind,
            title=kind.title,
            port=self.port or kind.port,
            open_path=self.open_path or kind.open_path,
            probe_path=self.ready.path or kind.probe_path,
            token_env=self.token_env or kind.token_env,
            ready_pattern=self.ready.pattern or kind.ready_pattern,
            ends_by_itself=kind.ends_by_itself,
        )
