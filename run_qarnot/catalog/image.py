"""One entry of the catalog, checked when it is read."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from run_qarnot.catalog import docker
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.options import CONSTANT, Entry, Option, OptionType, check_regex, fault
from run_qarnot.catalog.problem import show_value
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.names import nearest
from run_qarnot.model.connections import Mount, PortLink
from run_qarnot.model.keys import KeyPolicy

__all__ = ["HARDWARE", "IMAGE_ID", "INTERNAL", "Image", "Option", "OptionType", "Ready", "icon_names"]

IMAGE_ID = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
INTERNAL = {"id", "source", "kind"}  # fields of `Image` that are not keys of an entry

# Hardware constraints of Qarnot, and what each takes.
HARDWARE: Mapping[str, type] = {
    "minimum_cores": int,
    "maximum_cores": int,
    "minimum_ram_mb": int,
    "maximum_ram_mb": int,
    "specification": str,
    "cpu_model": str,
    "gpu": bool,
    "ssd": bool,
}

# The profile of Qarnot that runs any docker image; other profiles come with their own software.
_DOCKER_PROFILE = re.compile(r"jupyterlab|docker-.+")
_ICONS = Message("icons", source="https://pictogrammers.com/library/mdi/")
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
YesNo = Annotated[bool, Strict()]
Value = str | Whole | Number | YesNo


class Ready(Entry):
    """How to know that the app is ready; overrides its kind."""

    pattern: str | None = Field(None, description="Finds, in the output, what the app prints once it answers.")
    path: str | None = Field(None, description="Answers with 200, or redirects, once the app is up.", pattern=r"^/")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return check_regex(value)


class Port(Entry):
    """A further port of an app, reached through Jupyter's own proxy."""

    port: Whole = Field(ge=1, le=65535, description="Where it listens on the machine.")
    title: str = Field("", description="Name of its link; the number when left out.")
    path: str = Field("/", description="Path of its page.", pattern=r"^/")


class Image(Entry):
    """A docker image and how to start it."""

    id: str = Field(pattern=rf"^{IMAGE_ID.pattern}$", description="The name of its table in the file.")
    title: str = Field("", description="Name, for people; the id when left out.")
    summary: str = Field("", description="One line: what it is good for.")
    description: str = Field("", description="More about it.")
    icon: str = Field("mdi-cube-outline", description="A Material Design icon: https://pictogrammers.com/library/mdi/")
    category: str = Field("", description="Images of one category are shown together.")
    docs_url: str = Field("", description="Where its documentation is.", pattern=r"^(https?://\S+)?$")
    app: str = Field("jupyterlab", description="The kind of app that it runs: built in, or brought by a plugin.")
    profile: tuple[str, ...] = Field(
        ("jupyterlab",), min_length=1, description="Qarnot profile; of several, the first that the account has."
    )
    start: Literal["image", "bundled"] = Field(
        "image", description="Who brings up the app: the image or profile by itself, or our own start script."
    )
    repo: str = Field(
        "",
        description="Docker repository, such as `team/image`; it may begin with its registry.",
        json_schema_extra={"pattern": f"^(({docker.REGISTRY}/)?{docker.REPO})?$"},
    )
    registry: str = Field(
        "",
        description="Docker registry, where it is not Docker Hub, such as `quay.io`.",
        json_schema_extra={"pattern": f"^({docker.REGISTRY})?$"},
    )
    tag: str = Field("", description="Docker tag.", pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$")
    digest: str = Field("", description="Docker digest, instead of a tag.", pattern=r"^(sha256:[0-9a-f]{64})?$")
    command: str = Field("", description="Command, where the image does not have the right one.")
    worker_command: str = Field(
        "", description="Command of all machines of a run but the first; the same one when left out."
    )
    ssh_user: str = Field("root", description="Who logs in by SSH.", pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")
    machines: Whole = Field(1, ge=1, description="Machines of a run, where nobody chooses another number.")
    max_machines: Whole | None = Field(
        None, ge=1, description="The most machines that can be chosen; `machines` when left out."
    )
    cluster: Literal["", "dask"] = Field(
        "", description="What connects the machines of a run: `dask` in JupyterLab, with our own start script."
    )
    cluster_profile: tuple[str, ...] = Field(
        ("docker-cluster-network-ssh", "docker-cluster-network"),
        min_length=1,
        description="Qarnot profile of a run with several machines; of several, the first that the account has.",
    )
    port: Whole | None = Field(None, ge=1, le=65535, description="Where the app listens inside the container.")
    ports: tuple[Port, ...] = Field((), description="Further ports of JupyterLab's machine, each a link.")
    open_path: str | None = Field(None, description="Path of the app's page.", pattern=r"^/")
    token_env: str | None = Field(None, description="Constant by which the app's token is chosen.", pattern=CONSTANT)
    ready: Ready = Field(Ready(pattern=None, path=None), description="How to know that the app answers.")
    proxy: Literal["prefix", "strip", "none"] | None = Field(
        None, description="How the app can be put under a path of the page's address; the app's own way when left out."
    )
    snapshot_minutes: Number = Field(5, ge=0, description="Minutes between saves; 0 for none.")
    hours: Number = Field(4, gt=0, description="The session stops after so many hours.")
    idle_minutes: Number = Field(
        60, ge=0, le=10080, description="The session stops once nobody has used it for so long; 0: never."
    )
    max_hours: Number = Field(24, gt=0, description="The most hours that can be chosen.")
    constants: Mapping[str, Value] = Field(
        default_factory=dict, description="More task constants; a container sees them as variables."
    )
    hardware: Mapping[str, Value] = Field(
        default_factory=dict, description=f"What the machine must have: {', '.join(HARDWARE)}."
    )
    scheduling: Literal["", "flex", "on-demand", "reserved"] = Field("", description="How machines are obtained.")
    ssh_keys: KeyPolicy = Field(KeyPolicy.ONE, description="How many keys the image takes in `DOCKER_SSH`.")
    options: Mapping[str, Option] = Field(default_factory=dict, description="Fields of its own on the form.")
    hidden: YesNo = Field(False, description="Not offered, but still known by name.")
    source: Annotated[str, Field(exclude=True)] = ""  # the file or plugin it comes from: shown as “by …”
    kind: Annotated[App | None, Field(exclude=True, repr=False)] = None  # the app of a plugin, set by the catalog

    @field_validator("profile", "cluster_profile", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("icon")
    @classmethod
    def _is_an_icon(cls, value: str) -> str:
        name = value.removeprefix("mdi-")
        if name == value or "\n" in name or f"\n{name}\n" not in _icon_lines():
            near = nearest(name, icon_names())
            raise fault("icon", found=show_value(value), allowed=_ICONS, nearest=near and f"mdi-{near}")
        return value

    @field_validator("constants", "options")
    @classmethod
    def _are_names(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in value:
            if not re.match(CONSTANT, name):
                raise fault("form", name, wanted=Message("field-name"), found=show_value(name))
        return value

    @field_validator("hardware")
    @classmethod
    def _is_hardware(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, wanted in value.items():
            if (problem := _hardware_fault(name, wanted)) is not None:
                raise problem
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Image:
        if self.tag and self.digest:
            raise fault("tag-digest", "digest")
        if self.registry and (problem := docker.registry_fault(self.registry)):
            raise problem
        if self.repo and (problem := docker.repo_fault(self.repo, self.registry)):
            raise problem
        if self.hours > self.max_hours:
            raise fault(
                "hours", "hours", found=f"{self.hours:g}", allowed=Message("up-to", number=f"{self.max_hours:g}")
            )
        if self.machines > self.most_machines:
            allowed = Message("up-to", number=str(self.most_machines))
            raise fault("machines", "machines", found=str(self.machines), allowed=allowed)
        if self.cluster and self.start != "bundled":
            raise fault("cluster-start", "cluster")
        return self

    @property
    def needs_gpu(self) -> bool:
        """Whether it wants a machine with a GPU."""
        return self.hardware.get("gpu") is True

    @property
    def most_machines(self) -> int:
        """How many machines a run may have."""
        return self.max_machines or self.machines

    @property
    def name(self) -> str:
        """Its title, or its id without one."""
        return self.title or self.id

    @property
    def lacks_repo(self) -> bool:
        """Whether neither a docker image nor a command is given, though its profile runs any image.

        A command alone is enough: it runs in Qarnot's default image (`reference/qarnot-platform.md` §3.4).
        """
        told = self.repo or self.command or {"DOCKER_REPO", "DOCKER_CMD"} & self.constants.keys()
        return not told and any(map(_DOCKER_PROFILE.fullmatch, self.profile))

    @property
    def judges_idle(self) -> bool:
        """Whether a program of ours can be beside its app, and stop it when nobody uses it (`bootstrap/idle.py`)."""
        app = self.effective_app
        reads_configuration = app.kind == "jupyterlab" and app.mount is Mount.PREFIX
        return not app.ends_by_itself and (self.start == "bundled" or reads_configuration)

    @property
    def effective_app(self) -> App:
        """The app kind, with the overrides of this image."""
        kind = self.kind or BUILTIN[self.app]
        return App(
            kind=kind.kind,
            title=kind.title,
            port=self.port or kind.port,
            open_path=self.open_path or kind.open_path,
            probe_path=self.ready.path or kind.probe_path,
            token_env=self.token_env or kind.token_env,
            ready_pattern=self.ready.pattern or kind.ready_pattern,
            ends_by_itself=kind.ends_by_itself,
            proxy=self.proxy or kind.proxy,
            ports=tuple(PortLink(each.port, each.title or str(each.port), each.path) for each in self.ports),
        )


def icon_names() -> list[str]:
    """The names of the icons in ipyvuetify's font, without `mdi-`."""
    return _icon_lines().split()


@cache
def _icon_lines() -> str:
    """All icons in one text, one per line. Seven thousand strings would take eight times the memory."""
    return "\n" + (importlib.resources.files("run_qarnot.catalog") / "icons.txt").read_text("ascii")


def _hardware_fault(name: str, value: object) -> PydanticCustomError | None:
    if name not in HARDWARE:
        allowed = Verbatim(", ".join(HARDWARE))
        return fault("key-unknown", name, found=show_value(name), allowed=allowed, nearest=nearest(name, HARDWARE))
    if type(value) is not HARDWARE[name]:
        wanted = {int: "type.integer", str: "type.text", bool: "type.boolean"}[HARDWARE[name]]
        return fault("type", name, wanted=Message(wanted), found=show_value(value))
    return None
