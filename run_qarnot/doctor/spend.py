"""Checks that need a running task (`reference/qarnot-platform.md` §8), with the smallest tasks that can do them.

Each task is in a job of its own with a time limit, so that it stops costing money even if this process is killed. The
tasks run concurrently, each followed in a thread.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from run_qarnot import bootstrap
from run_qarnot.catalog import docker
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.api import first_profile
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import english
from run_qarnot.doctor.account import CLUSTER_PROFILES
from run_qarnot.doctor.observer import Observer
from run_qarnot.doctor.question import Check, NoAnswerError, Question, Seen, names
from run_qarnot.doctor.trial_task import FINAL, TrialTask
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.played_images import PLAYED, can_run
from run_qarnot.engine.tunnel import Tunnel, TunnelError, answers, speaks_ssh
from run_qarnot.model import keys
from run_qarnot.model.connections import Forward, tunnel_port

Answers = Iterator[tuple[str, Seen]]
Tell = Callable[[str], None]

MACHINE_MINUTES = 10
LIMIT_MINUTES = 5
CLUSTER_MINUTES = 10
APP_MINUTES = 10
IMAGE_MINUTES = 10
CLUSTER_MACHINES = 2

_FORWARD_SECONDS = 120.0
_READY_SECONDS = 120.0
_UPDATE_SECONDS = 90.0
_SNAPSHOT_SECONDS = 60.0
_APP_SECONDS = 300.0
_LIMIT_GRACE_SECONDS = 180.0
_TRIES = 5
_PYTHON = {"DOCKER_REPO": "library/python", "DOCKER_TAG": "3.12-slim"}
_SSH_PROFILES = ("docker-network-ssh",)
_BATCH_PROFILES = ("docker-network", "docker-batch")
_KNOWN_STATES = {"Submitted", "PartiallyDispatched", "FullyDispatched", "PartiallyExecuting", "FullyExecuting",
                 "UploadingResults", "DownloadingResults", "PendingCancel", *FINAL}  # fmt: skip
_SHARED = "2 peers, and one file seen by both"
_USE = ("coreCount", "cpuModel", "cpuUsage", "maxMemoryMB", "currentMemoryMB", "executionAttemptCount")

QUESTIONS = [
    Question("Q1", "Does a constant become an environment variable in the container?", "yes",
             "cannot pass options, tokens and the base URL", "run_qarnot/model/plan.py"),
    Question("Q2", "Does the platform substitute ${INSTANCE_ID} in a command?", "yes",
             "uses no such variable in its own commands", "run_qarnot/model/plan.py"),
    Question("Q3", "Does a command start in the folder with the inputs?", "yes, /job",
             "looks for the inputs in /job", "run_qarnot/bootstrap/start.sh"),
    Question("Q4", "If two buckets have a file of the same name, which one wins?", "the last one",
             "lists the results last, so that a preempted run starts with them", "results-as-resource"),
    Question("Q5", "Can one bucket be a resource and the result bucket?", "yes",
             "cannot start a session; the switch leaves the results out of the resources", "results-as-resource"),
    Question("Q6", "Which ports can be reached from outside, and when?", "22, within 2 minutes",
             "waits for port 22, and offers https where a port has its own host", "run_qarnot/model/connections.py"),
    Question("Q7", "Does port 22 answer with an SSH greeting from here?", "an SSH greeting",
             "says that it cannot be reached from here, and prints the command", "run_qarnot/engine/tunnel.py"),
    Question("Q8", "Which states does a task go through?", "known ones",
             "shows an unfamiliar state as “unknown” and keeps polling", "run_qarnot/core/state.py"),
    Question("Q9", "Which facts does the API return about a running machine?", f"{names(_USE)}; attempt 1",
             "leaves out what is missing", "run_qarnot/cloud/models.py"),
    Question("Q10", "Is the output the same when it is read twice (GET)?", "yes",
             "merges overlapping lines and marks where lines are missing", "run_qarnot/engine/output.py"),
    Question("Q11", "What does a snapshot upload?", "new files; no unchanged inputs",
             "shows all files of the result bucket", "run_qarnot/engine/snapshots.py"),
    Question("Q12", "Do new and changed inputs reach a running machine (PATCH)?", "both, within 90 s",
             "says that added files arrive at the next start", "run_qarnot/cloud/api.py"),
    Question("Q13", "Does cancelling a task upload the latest results?", "yes",
             "takes a snapshot before it stops, and waits for it", "upload-on-cancel"),
    Question("Q14", "What is the response to cancelling an ended task?", "403, with the word abort",
             "treats the task as ended", "run_qarnot/cloud/api.py"),
    Question("Q15", "What is the response to a snapshot of an ended task?", "400, 403 or 404",
             "does not request one", "run_qarnot/engine/session.py"),
    Question("Q16", "Does the API return cost and carbon?", "credits, and a carbon footprint in grams",
             "shows neither", "run_qarnot/cloud/api.py"),
    Question("Q17", "Which fields of a task are null?", "any: null is read as missing",
             "reads null as missing", "run_qarnot/cloud/models.py"),
    Question("Q18", "What does the time limit of a job do to its task?", "Cancelled, within 3 minutes of the limit",
             "shows the end as it is; stops the session itself while the page is open", "run_qarnot/engine/decide.py"),
    Question("Q19", "Are results uploaded when the time limit ends a task?", "yes, or no",
             "takes a snapshot every few minutes, so that little is lost", "run_qarnot/engine/periodic_snapshots.py"),
    Question("Q20", "Do several machines run master and workers?", "0 of 2 master, 1 of 2 worker",
             "does not offer several machines", "run_qarnot/bootstrap/start.sh"),
    Question("Q21", "Do several machines share /share, with the list of peers in qhost?", _SHARED,
             "starts without workers and says so", "run_qarnot/bootstrap/start.sh"),
    Question("Q22", "Is a task that ends by itself a success, with its results uploaded?", "Success, both files",
             "shows the cluster's reason", "run_qarnot/engine/decide.py"),
    Question("Q23", "Does JupyterLab use the token that we choose?", "yes",
             "reads the token from JupyterLab's output", "run_qarnot/engine/access.py"),
    Question("Q24", "Does JupyterLab use the base URL that we set?", "yes",
             "opens it without one, and does not proxy it through the page", "run_qarnot/engine/access.py"),
    Question("Q25", "Does JupyterLab's port have its own https address?", "yes, or no",
             "offers https where there is one, else a tunnel", "run_qarnot/model/connections.py"),
]  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A task that answers some questions.

    Arguments:
        run: starts the task and yields pairs of a question's number and the answer.
        numbers: of the questions that it answers.
        machines: how many run at once, for at most `minutes`.
    """

    name: str
    run: Callable[[Observer], Answers]
    numbers: Sequence[str]
    machines: int
    minutes: int


def trials(look: Observer) -> list[Trial]:
    """Return all trials for the account's catalog."""
    found = [
        Trial("machine", _machine, [f"Q{number}" for number in range(1, 18)], 1, MACHINE_MINUTES),
        Trial("limit", _limit, ["Q18", "Q19"], 1, LIMIT_MINUTES),
        Trial("cluster", _cluster, ["Q20", "Q21", "Q22"], CLUSTER_MACHINES, CLUSTER_MINUTES),
    ]
    labs = [image for image in look.catalog if image.app == "jupyterlab" and image.start == "image"]
    if labs:
        found.append(Trial("app", partial(_app, image=labs[0]), ["Q23", "Q24", "Q25"], 1, APP_MINUTES))
    for number, image in enumerate(docker_images(look.catalog)):
        run = partial(_image, image=image, name=f"image-{number}")
        found.append(Trial(f"image-{number}", run, [f"I-{image.id}"], 1, IMAGE_MINUTES))
    return found


def docker_images(images: Iterable[Image]) -> list[Image]:
    """Return one catalog entry for each distinct docker image."""
    found: dict[tuple[str, ...], Image] = {}
    for image in images:
        if image.repo:
            server = str(image.constants.get("DOCKER_SRV", ""))
            found.setdefault((image.registry, server, image.repo, image.tag, image.digest), image)
    return list(found.values())


def questions(look: Observer) -> list[Question]:
    """Return all questions that cost something."""
    images = [
        Question(f"I-{image.id}", f"Can the platform pull the docker image of {image.id}?", "yes",
                 "shows the cluster's reason when a start fails", f"repo, tag of [images.{image.id}] in images.toml")
        for image in docker_images(look.catalog)
    ]  # fmt: skip
    return [*QUESTIONS, *images]


def most(look: Observer) -> str:
    """Return the upper limit of machine time, in words. The API returns no prices, so no amount is given."""
    wanted = trials(look)
    minutes = sum(trial.machines * trial.minutes for trial in wanted)
    return (
        f"{len(wanted)} small tasks, each ended by its own time limit: at most {minutes} minutes of a machine in all, "
        f"usually less than a third of that. What a minute costs is in your contract with Qarnot."
    )


async def run(look: Observer, tell: Tell) -> list[Check[Observer]]:
    """Run all tasks and answer the questions; an unanswered question gives the reason."""
    answers_found: dict[str, Seen] = {}

    def one(trial: Trial) -> None:
        why = "its task ended before"
        try:
            for number, seen in trial.run(look):  # one by one, to keep the answers before an error
                answers_found.update({number: seen})
        except NoAnswerError as error:
            why = str(error)
        except RunQarnotError as error:
            why = f"an error: {english(error.sentence)}"
        for number in trial.numbers:
            answers_found.setdefault(number, Seen(f"no answer: {why}", None))
        tell(f"{trial.name} has ended: {names(trial.numbers)}")

    # Wait for all of them before anything is removed. After Ctrl-C, each ends at its next question.
    ends = await asyncio.gather(*(in_thread(one, trial) for trial in trials(look)), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    nothing = Seen("no answer: the catalog has no JupyterLab", None)

    def answered(seen: Seen) -> Callable[[Observer], Seen]:
        return lambda _: seen

    return [Check(asked, answered(answers_found.get(asked.number, nothing))) for asked in questions(look)]


def cost(look: Observer) -> float | None:
    """Return the cost of the tasks so far in euros; None if the cluster does not return it."""
    told = [look.cloud.cost(task) for task in look.tasks]
    return sum(filter(None, told)) if any(each is not None for each in told) else None


# — trials —


def _profile(look: Observer, wanted: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    found = first_profile(wanted, look.profiles)
    if not found:
        raise NoAnswerError(f"the account has no profile {' or '.join(wanted)}")
    return found[0], look.cloud.profile_constants(found[0])


def _machine(look: Observer) -> Answers:
    profile, known = _profile(look, _SSH_PROFILES)
    word = secrets.token_hex(8)
    task = TrialTask(look, "machine", MACHINE_MINUTES)
    constants = {
        **_PYTHON,
        "DOCKER_CMD": "sh /job/doctor.sh ${INSTANCE_ID}",
        "DOCTOR_WORD": word,
        # The local cluster answers SSH itself, and port 22 would be that of this computer.
        "DOCTOR_LISTEN": "" if PLAYED in known else "22",
    }
    files = {"doctor.sh": _script("machine.sh"), "input.txt": b"first\n", "both.txt": b"inputs\n"}
    task.start(profile, constants, inputs=files, results={"both.txt": b"results\n"})
    yield "Q5", Seen("yes" if task.results_are_resource else "no, it is refused", task.results_are_resource)
    if not task.runs():
        raise NoAnswerError(f"the task is {task.state}: {task.errors() or 'no reason is told'}")
    yield from _reach(task)
    if task.wait(lambda: "ready" in task.said(), _READY_SECONDS) is None:
        raise NoAnswerError(f"its script did not run: {task.output()[-200:]!r}")
    yield from _container(task, word)
    yield from _told(task)
    yield "Q11", _snapshot(task)
    yield "Q12", _update(task)
    before = int(task.saved().get("late.txt", "0") or 0)
    state = task.stop()
    after = int(task.saved().get("late.txt", "0") or 0)
    text = f"{state}; {'what was made last is there' if after > before else 'only what was saved before'}"
    yield "Q13", Seen(text, after > before)
    yield from _after_the_end(task)


def _reach(task: TrialTask) -> Answers:
    def forwards() -> dict[str, str]:
        return {str(each.get("applicationPort")): f"{each.get('forwarderHost')}:{each.get('forwarderPort')}"
                for each in task.forwards()}  # fmt: skip

    seconds = task.wait(lambda: "22" in forwards(), _FORWARD_SECONDS)
    found = forwards()
    told = names([f"{port} at {place}" for port, place in found.items()])
    yield "Q6", Seen(f"{told}, after {seconds:.0f} s" if seconds is not None else told, seconds is not None)
    host, _, port = found.get("22", "").rpartition(":")
    if not port.isdigit():
        yield "Q7", Seen("there is no port 22", None)
        return
    greets = task.wait(lambda: asyncio.run(speaks_ssh(host, int(port))), _READY_SECONDS)
    yield "Q7", Seen(f"an SSH greeting, after {greets:.0f} s" if greets is not None else "nothing", greets is not None)


def _container(task: TrialTask, word: str) -> Answers:
    said = task.said()
    yield "Q1", _yes(said.get("word") == word)
    yield "Q2", Seen(said.get("expanded", ""), said.get("expanded") == "0")
    yield (
        "Q3",
        Seen(f"{'yes' if said.get('input') == 'first' else 'no'}, {said.get('folder')}", said.get("input") == "first"),
    )
    both = said.get("both", "")
    yield (
        "Q4",
        Seen({"results": "the last one", "inputs": "the first one"}.get(both, both or "neither"), both == "results"),
    )
    first, second = task.output(), task.output()
    yield "Q10", _yes(bool(first) and second.startswith(first))


def _told(task: TrialTask) -> Answers:
    instance = task.instance()
    told = {name: instance[name] for name in _USE if instance.get(name) is not None}
    text = names([f"{name} {value}" for name, value in told.items()])
    yield "Q9", Seen(text, set(_USE) <= told.keys() and told["executionAttemptCount"] == 1)
    body = task.body()
    yield "Q17", Seen(names([name for name, value in body.items() if value is None]), is_expected=True)


def _snapshot(task: TrialTask) -> Seen:
    nothing: dict[str, None] = dict.fromkeys(("whitelist", "blacklist", "bucket", "bucketPrefix"))
    asked = task.ask("POST", "/snapshot", nothing)
    snapshot_id = asked.body.get("id") if isinstance(asked.body, Mapping) else None
    if not snapshot_id:
        return Seen(f"status {asked.status}, without an id", is_expected=False)
    statuses: list[str] = []

    def done() -> bool:
        body = task.ask("GET", f"/snapshot/{snapshot_id}").body
        statuses.append(str(body.get("status") if isinstance(body, Mapping) else None))
        return statuses[-1].lower() in {"success", "failure"}

    task.wait(done, _SNAPSHOT_SECONDS)
    saved = set(task.saved()) - {"both.txt"}
    text = f"{', '.join(dict.fromkeys(statuses))}: {names(saved)}"
    return Seen(text, {"made.txt", "late.txt"} <= saved and "input.txt" not in saved)


def _update(task: TrialTask) -> Seen:
    for key, content in {"added.txt": b"added\n", "input.txt": b"second\n"}.items():
        task.look.store("put_object", Bucket=task.bucket_in, Key=key, Body=content)
    answer = task.ask("PATCH")
    task.wait(lambda: {"added", "changed"} <= task.said().keys(), _UPDATE_SECONDS)
    found = {"added": "new", "changed": "changed"}
    seen = [word for name, word in found.items() if name in task.said()]
    return Seen(f"status {answer.status}; {names(seen)}", len(seen) == len(found))


def _after_the_end(task: TrialTask) -> Answers:
    yield "Q8", Seen(" → ".join(task.states), set(task.states) <= _KNOWN_STATES)
    again = task.ask("POST", "/abort")
    yield "Q14", Seen(f"{again.status} {again.text[:80]}", again.status == 403 and "abort" in again.text.lower())
    late = task.ask("POST", "/snapshot", {})
    yield "Q15", Seen(f"{late.status} {late.text[:80]}", late.status in {400, 403, 404})
    cost, carbon = task.look.cloud.cost(task.id), task.look.cloud.carbon(task.id)
    yield "Q16", Seen(f"{cost or 0:.4f} €, {carbon or 0:.4f} g", cost is not None and carbon is not None)


def _limit(look: Observer) -> Answers:
    profile, _ = _profile(look, _BATCH_PROFILES)
    task = TrialTask(look, "limit", LIMIT_MINUTES)
    task.start(profile, {**_PYTHON, "DOCKER_CMD": "sh -c 'echo made > made.txt; sleep 3600'"})
    limit = LIMIT_MINUTES * 60.0
    seconds = task.wait(lambda: task.state in FINAL, limit + _LIMIT_GRACE_SECONDS)
    state = task.states[-1] if task.states else "unknown"
    ran = "FullyExecuting" in task.states
    if seconds is None:
        yield "Q18", Seen(f"nothing: it is {state} after {limit + _LIMIT_GRACE_SECONDS:.0f} s", is_expected=False)
        return
    text = f"{state} after {seconds:.0f} s, {'it ran' if ran else 'before it ran'}"
    yield "Q18", Seen(text, state == "Cancelled")
    yield "Q19", Seen(("yes" if "made.txt" in task.saved() else "no") if ran else "it never ran", True if ran else None)


def _cluster(look: Observer) -> Answers:
    profile, _ = _profile(look, CLUSTER_PROFILES)
    task = TrialTask(look, "cluster", CLUSTER_MINUTES)
    constants = {
        **_PYTHON,
        "DOCKER_CMD_MASTER": "sh /job/doctor.sh master",
        "DOCKER_CMD_WORKER": "sh /job/doctor.sh worker",
    }
    task.start(profile, constants, inputs={"doctor.sh": _script("cluster.sh")}, machines=CLUSTER_MACHINES)
    state = task.ended()
    saved = task.saved()
    roles = [saved.get(f"machine-{number}.txt", "nothing").strip() for number in range(CLUSTER_MACHINES)]
    wanted = ["0 of 2 master", "1 of 2 worker"]
    yield "Q20", Seen(names(roles), roles == wanted)
    share = saved.get("share.txt", "").strip()
    yield "Q21", Seen(share or "nothing", share == _SHARED)
    reason = f": {task.errors()}" if state == "Failure" else ""
    yield "Q22", Seen(f"{state}{reason}, {names(saved)}", state == "Success" and len(saved) >= CLUSTER_MACHINES)


def _app(look: Observer, image: Image) -> Answers:
    app, (profile, _) = image.effective_app, _profile(look, image.profile)
    task = TrialTask(look, "app", APP_MINUTES)
    key = keys.derive_session_key(look.token, task.name)
    token, base = keys.derive_app_token(look.token, task.name), keys.derive_base_url(look.token, task.name)
    constants = {"DOCKER_SSH": key.public, **_repository(image), **bootstrap.base_url_constants(base, "")}
    constants[app.token_env or "JUPYTER_TOKEN"] = token
    files = {each.key: each.path.read_bytes() for each in bootstrap.attach([], constants)}
    task.start(profile, constants, inputs=files)
    if not task.runs():
        raise NoAnswerError(f"the task is {task.state}: {task.errors() or 'no reason is told'}")
    if task.wait(lambda: any(each.get("applicationPort") == 22 for each in task.forwards()), _FORWARD_SECONDS) is None:
        raise NoAnswerError("port 22 cannot be reached from outside")
    found = [each for each in task.forwards() if each.get("applicationPort") == app.port]
    yield "Q25", Seen(f"yes, {found[0].get('forwarderHost')}" if found else "no", is_expected=True)
    ssh = next(each for each in task.forwards() if each.get("applicationPort") == 22)
    forward = Forward(22, str(ssh.get("forwarderHost")), int(ssh.get("forwarderPort") or 0))
    has_token, has_base = asyncio.run(_try_app(task, forward, app.port or 8888, key.private, (base, token)))
    task.stop()
    yield "Q23", _yes(has_token)
    yield "Q24", _yes(has_base)


async def _try_app(
    task: TrialTask, forward: Forward, port: int, private_key: str, told: tuple[str, str]
) -> tuple[bool, bool]:
    """Wait for JupyterLab through a tunnel; return whether it uses the token, and whether the base URL."""
    base, token = told
    tunnel = Tunnel("root", [private_key], tunnel_port(base))
    end = asyncio.get_running_loop().time() + _APP_SECONDS
    try:
        while asyncio.get_running_loop().time() < end:
            try:
                if not tunnel.is_open:
                    await tunnel.open(forward, port, lambda _: None)
                assert tunnel.port is not None
                for path, is_base in ((base, True), ("/", False)):
                    if await answers(tunnel.port, f"{path}api"):
                        asked = f"{path}api/contents"
                        has_token = await _answers_soon(tunnel.port, f"{asked}?token={token}")
                        return has_token and not await answers(tunnel.port, asked), is_base
            except TunnelError:
                await tunnel.disconnect()
            await in_thread(task.look.pause, 1.0)
        raise NoAnswerError("JupyterLab does not answer")
    finally:
        await tunnel.close()


async def _answers_soon(port: int, path: str) -> bool:
    """Whether an app that is up answers this path: a busy one needs more than one try."""
    for _ in range(_TRIES):
        if await answers(port, path):
            return True
    return False


def _image(look: Observer, image: Image, name: str) -> Answers:
    profile, known = _profile(look, (*_BATCH_PROFILES, *image.profile))
    if not can_run(image, known):
        yield f"I-{image.id}", Seen("this cluster does not play it", None)
        return
    task = TrialTask(look, name, IMAGE_MINUTES)
    server = {name: str(value) for name, value in image.constants.items() if name.startswith("DOCKER_SRV")}
    task.start(profile, {**server, **_repository(image), "DOCKER_CMD": "true"})
    state = task.ended()
    text = "yes" if state == "Success" else f"{state}: {task.errors()}"
    yield f"I-{image.id}", Seen(text, state == "Success")


def _repository(image: Image) -> dict[str, str]:
    told = {"DOCKER_TAG": image.tag or image.digest, **docker.constants(image.registry, image.repo)}
    return {name: value for name, value in told.items() if value}


def _script(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _yes(is_so: bool) -> Seen:
    return Seen("yes" if is_so else "no", is_so)
