"""From what the user asks for to what is sent to Qarnot: a pure function (`design.md` §7)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from run_qarnot import bootstrap
from run_qarnot.catalog import docker
from run_qarnot.core import times
from run_qarnot.model import keys
from run_qarnot.model.connections import Mount
from run_qarnot.model.spec import SessionSpec, option_constants

TAG = "run-qarnot"
# Behind it stand the seconds between regular saves, 0 for none. Whoever finds the task again has no other way to know:
# the cluster says what was arranged, not what was meant to be, and the catalog what the image has now.
SAVES_TAG = "run-qarnot-saves-"


class Label(StrEnum):
    """Labels of a task: the store from which every session is found again."""

    SESSION = "rq-session"  # the same for all runs of a session: the launch id of its first
    LAUNCH = "rq-launch"
    IMAGE = "rq-image"
    APP = "rq-app"
    VERSION = "rq-version"
    ENDS = "rq-ends"
    KEYS = "rq-keys"


SESSION_KEY, USER_KEY = "session", "user"  # the parts of the label `rq-keys`


@dataclass(frozen=True)
class TaskPlan:
    """A task, the job that limits its time, and its buckets, as they will be made."""

    name: str
    launch_id: str
    profile: str
    constants: Mapping[str, str] = field(repr=False)
    resources: tuple[str, ...]  # buckets; of files with one path the last bucket's wins (§3.3)
    results: str
    labels: Mapping[str, str]
    time_limit: timedelta
    snapshot_seconds: int
    scheduling: str = ""
    tags: tuple[str, ...] = (TAG,)
    hardware: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    instances: int = 1

    @property
    def session_id(self) -> str:
        return self.labels[Label.SESSION]

    @property
    def is_first(self) -> bool:
        """Whether this is the first run of its session."""
        return self.session_id == self.launch_id

    @property
    def inputs(self) -> str:
        """The bucket to which this session's own files are uploaded."""
        return self.resources[-1]

    @property
    def ends(self) -> datetime:
        """When the limit is reached, if it were submitted when the plan was made."""
        return datetime.fromisoformat(self.labels[Label.ENDS])

    def starting(self, now: datetime) -> TaskPlan:
        """Return the plan for a submission now: the limit begins with it, not with the uploads before."""
        return replace(self, labels={**self.labels, Label.ENDS: times.to_text(now + self.time_limit)})

    @staticmethod
    def bucket_names(name: str) -> tuple[str, str]:
        """The buckets that a session of that name prefers: inputs and results."""
        return f"{name}-in", f"{name}-out"


def make_plan(
    spec: SessionSpec,
    *,
    launch_id: str,
    session_id: str | None = None,
    token: str,
    profiles: Sequence[str],
    buckets: tuple[str, str] | None = None,
    resumed: Sequence[str] = (),
    version: str,
    now: datetime,
) -> TaskPlan:
    """Make the plan.

    Arguments:
        spec: checked.
        launch_id: unique; becomes the task's `shortname`.
        session_id: of the session of which this is another run; None for a new session.
        token: the Qarnot token. The key to the machine is derived from it and the launch id; the app's token and its
            base URL from it and the id of the session, so that they are the same in every run.
        profiles: those of the image that the account has, the preferred first.
        buckets: for inputs and results; those that are called after the session when left out.
        resumed: what the run before read beside its own two buckets, in that order; files in the inputs win.
        version: of this package.
        now: with time zone.
    """
    image, session_id = spec.image, session_id or launch_id
    session_key = keys.derive_session_key(token, launch_id)
    lines = keys.authorized_keys(image.ssh_keys, session_key.public, spec.user_key)
    kinds = [USER_KEY] * (spec.user_key is not None) + [SESSION_KEY] * (session_key.public in lines)
    limit = timedelta(seconds=math.ceil(round(spec.hours * 3600, 3)))  # whole ones, and none less than was asked for
    inputs, results = buckets or TaskPlan.bucket_names(spec.name)
    update = {bootstrap.UPDATE: launch_id} if spec.update else {}
    return TaskPlan(
        name=spec.name,
        launch_id=launch_id,
        profile=profiles[0],
        constants={
            **_constants(
                spec, lines, keys.derive_app_token(token, session_id), keys.derive_base_url(token, session_id)
            ),
            **update,
        },
        resources=(*dict.fromkeys(each for each in (*resumed, *spec.buckets) if each != inputs), inputs),
        results=results,
        labels={
            Label.SESSION: session_id,
            Label.LAUNCH: launch_id,
            Label.IMAGE: image.id,
            Label.APP: image.effective_app.kind,
            Label.VERSION: version,
            Label.ENDS: times.to_text(now + limit),
            Label.KEYS: "+".join(kinds),
        },
        time_limit=limit,
        snapshot_seconds=round(image.snapshot_minutes * 60),
        scheduling=spec.scheduling or image.scheduling,
        hardware={**image.hardware, **spec.hardware},
        instances=spec.machine_count,
    )


def _constants(spec: SessionSpec, keys_lines: Sequence[str], app_token: str, base_url: str) -> dict[str, str]:
    """The image's own first, then what was entered, then what nobody else may decide: of one name the last counts."""
    image, app = spec.image, spec.image.effective_app
    constants = {name: _constant(value) for name, value in image.constants.items()}
    constants |= option_constants(image, spec.options)
    constants["DOCKER_SSH"] = "\n".join(keys_lines)
    named = {"DOCKER_TAG": image.tag or image.digest, "DOCKER_CMD": image.command}
    named |= docker.constants(image.registry, image.repo)
    constants |= {name: value for name, value in named.items() if value}
    if image.start == "bundled":
        constants |= bootstrap.constants(app, constants.get("DOCKER_CMD", ""))
    if spec.opened:
        constants[bootstrap.OPEN] = spec.opened
    if spec.repository_folder:
        constants[bootstrap.REPOSITORY] = spec.repository_folder
    constants.pop(bootstrap.IDLE_MINUTES, None)
    if spec.idle_minutes:
        constants[bootstrap.IDLE_MINUTES] = f"{spec.idle_minutes:g}"
    if image.cluster:
        constants[bootstrap.CLUSTER] = image.cluster
    if spec.machine_count > 1:
        command = constants.get("DOCKER_CMD", "")
        worker = image.worker_command or command
        commands = {"DOCKER_CMD_MASTER": command, "DOCKER_CMD_WORKER": worker}
        constants = {name: text for name, text in commands.items() if text} | constants
    if app.token_env:
        constants[app.token_env] = app_token
    if app.mount is Mount.PREFIX:
        constants |= bootstrap.base_url_constants(base_url, constants.get(bootstrap.CONFIG_PATH, ""))
    return constants


def _constant(value: str | float) -> str:
    """As a container expects it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
