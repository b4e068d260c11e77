"""What the user asks for, and its own list of reasons why it cannot be started yet."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from run_qarnot.catalog.image import Image, Option
from run_qarnot.core import times
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.names import check_name, which
from run_qarnot.model.keys import check_public_keys
from run_qarnot.model.repository import Repository, check_open

SCHEDULING = ("flex", "on-demand", "reserved")  # how a machine is found
LEAST_IDLE, MOST_IDLE = 0.02, 10080.0  # minutes; a week
LEAST_HOURS = 0.001  # whoever wants to see that the limit holds need not wait


@dataclass(frozen=True)
class SessionSpec:
    """What the user asks for.

    Arguments:
        image: from the catalog.
        name: of the session; its buckets are called after it.
        hours: the session stops after so many.
        user_key: the user's own OpenSSH public key, if any; several on lines of their own where the image takes them.
        resume: name or id of an earlier session whose files come along, if any.
        options: the image's own options: name → value.
        buckets: of the account, whose files come along too; of files with one path the last one's wins.
        scheduling: "flex", "on-demand" or "reserved"; empty: as the image wants it.
        hardware: constraints beside those of the image, which they win over, such as `{"minimum_cores": 8}`.
        machine: the name of one of those that the account has; empty: any.
        idle: it stops once nobody has used it for so many minutes, 0 for never; None: as the image wants it.
        machines: how many; none for as many as the image wants.
        repository: of git, whose files come along in a folder of its name, if any.
        brought: folder of a repository that came along with an earlier run, if any.
        update: that is brought up to date before the app starts.
        open: path of what JupyterLab opens first, in the repository's folder if there is one; else in the session's.
    """

    image: Image
    name: str
    hours: float
    user_key: str | None = None
    resume: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    buckets: tuple[str, ...] = ()
    scheduling: str = ""
    hardware: Mapping[str, str | int | bool] = field(default_factory=dict)
    machine: str = ""
    idle: float | None = None
    machines: int | None = None
    repository: Repository | None = None
    open: str = ""
    brought: str = ""
    update: bool = False

    @property
    def opened(self) -> str:
        """What JupyterLab opens first, in the session's folder; empty for nothing of it."""
        if self.image.effective_app.kind != "jupyterlab":
            return ""
        return "/".join(filter(None, (self.repository.folder if self.repository else "", check_open(self.open))))

    @property
    def repository_folder(self) -> str:
        """Where a repository is, in the session's folder; empty if none came along."""
        return self.repository.folder if self.repository is not None else self.brought

    @property
    def idle_minutes(self) -> float:
        """After how many minutes without use it stops; 0 for never."""
        if not self.image.judges_idle:
            return 0
        return self.image.idle_minutes if self.idle is None else self.idle

    @property
    def machine_count(self) -> int:
        return self.image.machines if self.machines is None else self.machines

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that can run it, the preferred first."""
        return self.image.profile if self.machine_count == 1 else self.image.cluster_profile

    def checked(self) -> SessionSpec:
        """Return the spec with its values in clean form.

        Raises:
            InputError: the first of `blockers()`.
        """
        for blocker in self.blockers():
            raise blocker
        key = check_public_keys(self.user_key, self.image.ssh_keys) if self.user_key else None
        return replace(self, user_key=key)

    def blockers(self) -> Iterator[RunQarnotError]:
        """Yield each reason why this cannot be started."""
        checks: tuple[Callable[[], object], ...] = (
            lambda: check_name(self.name),
            lambda: check_hours(self.hours, self.image),
            lambda: check_idle(self.idle, self.image),
            lambda: check_machines(self.machine_count, self.image),
            lambda: check_open(self.open),
            self._check_update,
            lambda: check_public_keys(self.user_key, self.image.ssh_keys) if self.user_key else None,
            lambda: check_names(self.image, self.options),
            *(partial(option.check, name, value) for name, option, value in _given(self.image, self.options)),
        )
        yield from faults(checks)

    def _check_update(self) -> None:
        if not self.update:
            return
        if not self.repository_folder:
            raise InputError("update-nothing", field="update", name=self.name)
        if self.image.start != "bundled" and self.image.effective_app.kind != "jupyterlab":
            raise InputError("update-unknown", field="update", image=self.image.name)


def parse_hours(text: str, image: Image) -> float:
    """Read hours as people write them, such as `1.5`, `1,5`, `1h30` or `90m` (`times.read_hours`).

    Raises:
        InputError: it is no number, or could be a time of the day as well.
    """
    hours = times.read_hours(text)
    if math.isnan(hours):
        typed = f"“{text.strip()[:20]}”"
        raise InputError("hours", field="hours", hours=typed, least=LEAST_HOURS, most=float(image.max_hours))
    return hours


def parse_idle(text: str) -> float | None:
    """Read minutes, or a duration such as `1h30` or `90m`; None for nothing.

    Raises:
        InputError: it is none.
    """
    typed = text.strip()
    if not typed:
        return None
    minutes = times.read_minutes(typed)
    if math.isnan(minutes):
        raise InputError("idle", field="idle", minutes=f"“{typed[:20]}”", least=LEAST_IDLE, most=MOST_IDLE)
    return minutes


def check_idle(minutes: float | None, image: Image) -> None:
    """Raise InputError for minutes that are none, and where an image cannot tell when nobody uses it."""
    if not minutes:
        return
    if not LEAST_IDLE <= minutes <= MOST_IDLE:  # also for NaN
        raise InputError("idle", field="idle", minutes=float(minutes), least=LEAST_IDLE, most=MOST_IDLE)
    if not image.judges_idle:
        raise InputError("idle-unknown", field="idle", image=image.name)


def faults(checks: Iterable[Callable[[], object]]) -> Iterator[RunQarnotError]:
    """Yield the error of each check that has one."""
    for check in checks:
        try:
            check()
        except RunQarnotError as error:
            yield error


def parse_size(cores: str, memory: str) -> dict[str, int]:
    """Read how large the machine must be at least: whole cores, and GB of memory. What is empty does not matter.

    Raises:
        InputError: one of them is no number of that.
    """
    wanted = {"minimum_cores": parse_count(cores, "cores"), "minimum_ram_mb": parse_count(memory, "memory") * 1000}
    return {name: count for name, count in wanted.items() if count}


def parse_count(text: str, field: str) -> int:
    """Read a whole number of cores or GB; 0 if it is empty.

    Raises:
        InputError: it is none.
    """
    if not text.strip():
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text.strip()):
        raise InputError("machine-size", field=field, value=text.strip()[:20])
    return int(text)


def parse_machines(text: str) -> int | None:
    """Read how many machines are wanted; None for nothing.

    Raises:
        InputError: it is no whole number.
    """
    typed = text.strip()
    if not typed:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", typed):
        raise InputError("machines-number", field="machines", value=typed[:20])
    return int(typed)


def check_hours(hours: float, image: Image) -> float:
    """Return `hours` if the image allows them."""
    if not LEAST_HOURS <= hours <= image.max_hours:  # also false for NaN
        most = float(image.max_hours)
        raise InputError("hours", field="hours", hours=float(hours), least=LEAST_HOURS, most=most)
    return hours


def check_machines(count: int, image: Image) -> int:
    """Return `count` if the image allows so many machines."""
    if not 1 <= count <= image.most_machines:
        raise InputError("machines", field="machines", count=count, most=image.most_machines, image=image.name)
    return count


def check_names(image: Image, names: Iterable[str]) -> None:
    """Raise InputError for the first name that is no option of the image; it says which there are."""
    for name in names:
        if name not in image.options:
            raise InputError("option-unknown", image=image.id, option=name, hint=which(name, image.options))


def option_constants(image: Image, values: Mapping[str, object]) -> dict[str, str]:
    """Return the task constants that the image's options set, defaults included."""
    check_names(image, values)
    texts = [(option.constant, option.check(name, value)) for name, option, value in _given(image, values)]
    return {constant: text for constant, text in texts if constant is not None}


def _given(image: Image, values: Mapping[str, object]) -> Iterator[tuple[str, Option, object]]:
    """The options that have a value, entered or by default."""
    for name, option in image.options.items():
        if (value := values.get(name, option.default)) is not None:
            yield name, option, value


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """Parse `NAME=VALUE` as given to `--set`."""
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError("option-form", text=shlex.quote(pair))
        values[name] = value
    return values
