"""Checks of the API that cost nothing (`reference/qarnot-platform.md`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from run_qarnot.catalog.image import Image
from run_qarnot.cloud.models import CONSTRAINT_KINDS
from run_qarnot.core.errors import NotFoundError
from run_qarnot.doctor.observer import Observer
from run_qarnot.doctor.question import Check, Question, Seen, asking, names

API_VERSION = "v1"
CLUSTER_PROFILES = ("docker-cluster-network-ssh", "docker-cluster-network")
CHECKS: list[Check[Observer]] = []
_COUNTS = ("taskCount", "runningTaskCount", "jobCount", "bucketCount", "usedQuotaBytesBucket")
_LIMITS = ("maxTask", "maxRunningTask", "maxJob", "maxBucket", "quotaBytesBucket")
_SCHEDULING = ("flex", "onDemand", "reserved")
_OTHER_CONSTRAINTS = {"NoGpuHardwareConstraint", "NoSSDHardwareConstraint", "MinimumRamCoreRatioHardwareConstraint",
                      "MaximumRamCoreRatioHardwareConstraint"}  # fmt: skip


@asking(
    CHECKS, "A1", "Which API versions are there?", expected=f"{API_VERSION}, without an end of life",
    does="keeps using the version it knows for as long as it answers", place="run_qarnot/doctor/account.py",
)  # fmt: skip
def versions(look: Observer) -> Seen:
    told = look.get("/versions")
    listed = [each for each in told.body or [] if isinstance(each, Mapping)] if isinstance(told.body, list) else []
    found = {str(each.get("version")): each.get("endOfLife") for each in listed}
    text = names([f"{version}{f' until {end}' if end else ''}" for version, end in found.items()])
    return Seen(text if listed else f"status {told.status}", API_VERSION in found and not found[API_VERSION])


@asking(
    CHECKS, "A2", "Does the cluster return the storage's URL?", expected="a URL",
    does="uses QARNOT_STORAGE_URL, else https://storage.qarnot.com", place="run_qarnot/cloud/api.py",
)  # fmt: skip
def storage_address(look: Observer) -> Seen:
    body = look.get("/settings").body
    told = body.get("storage") if isinstance(body, Mapping) else None
    parts = urlsplit(told) if isinstance(told, str) else urlsplit("")
    return Seen(f"{parts.scheme}://{parts.netloc}" if parts.netloc else repr(told), parts.scheme in {"http", "https"})


@asking(
    CHECKS, "A3", "Is a request without a token refused?", expected="401",
    does="reports a refused token only for a 401", place="run_qarnot/cloud/errors.py",
)  # fmt: skip
def without_token(look: Observer) -> Seen:
    answer = look.fetch("GET", f"{look.settings.cluster_url}/info")
    return Seen(str(answer.status), answer.status == 401)


@asking(
    CHECKS, "A4", "Does the API return the account's quotas?", expected=names(_LIMITS),
    does="shows no limits; shows the cluster's message when one is reached", place="run_qarnot/cloud/models.py",
)  # fmt: skip
def quotas(look: Observer) -> Seen:
    told = {name: look.info.get(name) for name in (*_LIMITS, *_COUNTS)}
    known = {name: value for name, value in told.items() if isinstance(value, int | float)}
    return Seen(names([f"{name} {value:g}" for name, value in known.items()]), set(_LIMITS) <= known.keys())


@asking(
    CHECKS, "A5", "Do the quotas leave room for a session?",
    expected="one more task and job, two more buckets, and free bytes",
    does="refuses the start and names the limit that was reached", place="run_qarnot/cloud/errors.py",
)  # fmt: skip
def room(look: Observer) -> Seen:
    wanted = dict(zip(_COUNTS, (1, 1, 1, 2, 1), strict=True))
    missing = [
        f"{most}: {look.info[count]:g} of {look.info[most]:g}"
        for count, most in zip(_COUNTS, _LIMITS, strict=True)
        if isinstance(look.info.get(count), int | float) and isinstance(look.info.get(most), int | float)
        and look.info[count] + wanted[count] > look.info[most]
    ]  # fmt: skip
    return Seen(f"full: {names(missing)}" if missing else "there is", not missing)


@asking(
    CHECKS, "A6", "How many credits are left?", expected="a number of euros above 0",
    does="shows none; shows the cluster's message when a start is refused", place="run_qarnot/cloud/api.py",
)  # fmt: skip
def credits_left(look: Observer) -> Seen:
    answer = look.get("/credits/v1/accounts/credits")
    value = answer.body.get("credits") if isinstance(answer.body, Mapping) else None
    is_number = isinstance(value, int | float)
    return Seen(f"{value:g}" if is_number else f"status {answer.status}", bool(is_number and value and value > 0))


@asking(
    CHECKS, "A7", "Which scheduling types are there?", expected=f"{names(_SCHEDULING)}, and the default",
    does="sends the type that was chosen; shows the cluster's message if it is refused",
    place="run_qarnot/cloud/internals.py",
)  # fmt: skip
def scheduling(look: Observer) -> Seen:
    quotas = look.info.get("computingQuotas")
    user = quotas.get("user") if isinstance(quotas, Mapping) else None
    usual = str(look.info.get("defaultScheduling") or "")
    found = [each for each in _SCHEDULING if isinstance(user, Mapping) and each in user]
    is_known = usual.casefold() in {each.casefold() for each in _SCHEDULING}
    return Seen(f"{names(found)}; usual: {usual or 'not told'}", len(found) == len(_SCHEDULING) and is_known)


@asking(
    CHECKS, "A8", "Which hardware constraints are offered?", expected="pages of known kinds, with a specification key",
    does="ignores unknown kinds", place="run_qarnot/cloud/models.py",
)  # fmt: skip
def hardware(look: Observer) -> Seen:
    body = look.get("/hardware-constraints?limit=50&offset=0").body
    page: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    rows = [each for each in page.get("data") or [] if isinstance(each, Mapping)]
    kinds = {str(each.get("discriminator")) for each in rows}
    unknown = kinds - CONSTRAINT_KINDS - _OTHER_CONSTRAINTS
    keys = [str(each["specificationKey"]) for each in rows if each.get("specificationKey")]
    text = f"{page.get('total', len(rows))} in all; unknown kinds: {names(unknown)}; machines: {names(keys[:8])}"
    return Seen(text, bool(rows) and not unknown and bool(keys))


@asking(
    CHECKS, "A9", "Are tasks listed in pages?", expected="data, isTruncated",
    does="treats the first page as the whole list", place="run_qarnot/cloud/api.py",
)  # fmt: skip
def pages(look: Observer) -> Seen:
    answer = look.ask("POST", "/tasks/paginate", {"filter": None, "token": None, "maximumResults": 1})
    found = sorted(answer.body) if isinstance(answer.body, Mapping) else []
    return Seen(names(found) if found else f"status {answer.status}", {"data", "isTruncated"} <= set(found))


@asking(
    CHECKS, "A10", "Can jobs be searched by their short name?", expected="a list",
    does="creates a second job when a response was lost; it is empty and deletes itself",
    place="run_qarnot/cloud/api.py",
)  # fmt: skip
def job_search(look: Observer) -> Seen:
    wanted = {"operator": "Equal", "field": "Shortname", "value": f"{look.name}-none"}
    answer = look.ask("POST", "/jobs/search", {"filter": wanted, "maximumResults": 1})
    return Seen(f"{answer.status}, {type(answer.body).__name__}", answer.is_ok and isinstance(answer.body, list))


@asking(
    CHECKS, "A11", "What is the response for a task that does not exist?", expected="404, with a message",
    does="takes a 404 without a message for one of a proxy, and retries",
    place="run_qarnot/cloud/errors.py",
)  # fmt: skip
def unknown_task(look: Observer) -> Seen:
    answer = look.get("/tasks/00000000-0000-4000-8000-000000000000")
    has_words = isinstance(answer.body, Mapping) and bool(answer.body.get("message"))
    return Seen(f"{answer.status}, {'a' if has_words else 'no'} message", answer.status == 404 and has_words)


@asking(
    CHECKS, "A12", "What is the response for a profile that does not exist?", expected="404",
    does="looks a profile up in the list of all profiles before using it", place="run_qarnot/engine/account.py",
)  # fmt: skip
def unknown_profile(look: Observer) -> Seen:
    answer = look.get(f"/profiles/{look.name}")
    return Seen(str(answer.status), answer.status == 404)


@asking(
    CHECKS, "A13", "Which profiles provide several machines?", expected=names(CLUSTER_PROFILES),
    does="does not offer images with several machines", place="run_qarnot/engine/account.py",
)  # fmt: skip
def cluster_profiles(look: Observer) -> Seen:
    found = [name for name in look.profiles if "cluster" in name]
    return Seen(names(found), set(CLUSTER_PROFILES) <= set(found))


def catalog_checks(images: Iterable[Image]) -> list[Check[Observer]]:
    """Return a check for each entry of the catalog: its profile exists and declares the constants that we send."""
    return [
        Check(
            Question(
                f"C-{image.id}",
                f"Does the account have a profile for {image.id}, with the constants it needs?",
                f"one of {', '.join(image.profile)}, with {names(_told(image))}",
                "tries the next profile of the entry, else shows that the account cannot start it",
                f"profile = … of [images.{image.id}] in images.toml",
            ),
            lambda look, image=image: profile_of(look, image),  # type: ignore[misc]
        )
        for image in images
    ]


def profile_of(look: Observer, image: Image) -> Seen:
    """Compare an entry of the catalog with the profile it would be started with."""
    profile = next((name for name in image.profile if name in look.profiles), None)
    if profile is None:
        return Seen("none of them", is_expected=False)
    look.check()
    try:
        known = look.cloud.profile_constants(profile)
    except NotFoundError:
        return Seen(f"{profile} is listed, and not found", is_expected=False)
    missing = _told(image) - known.keys()
    if "DOCKER_REPO" not in known:  # a profile that runs any image passes every constant to the container
        missing |= (image.constants.keys() | _options(image)) - known.keys()
    return Seen(f"{profile}; it does not know {names(missing)}" if missing else profile, not missing)


def _told(image: Image) -> set[str]:
    app = image.effective_app
    wanted = {
        "DOCKER_REPO": bool(image.repo),
        "DOCKER_TAG": bool(image.tag or image.digest),
        "DOCKER_CMD": bool(image.command) or image.start == "bundled",
        "DOCKER_SSH": not app.ends_by_itself,
    }
    return {name for name, is_told in wanted.items() if is_told}


def _options(image: Image) -> set[str]:
    return {option.constant for option in image.options.values() if option.constant}
