"""Commands about the catalog: `images`, `check`."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.problem import Problem, ProblemFacts, make_problem, show_value
from run_qarnot.commands import show
from run_qarnot.core.errors import NotFoundError, RunQarnotError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.names import nearest
from run_qarnot.engine.daemon_executor import run
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import Settings

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

_DOCKER = "DOCKER_REPO"  # a profile with this constant runs any image, which gets every constant as a variable


def images(settings: Settings, arguments: Namespace) -> int:
    """Print the catalog, or the images that match a pattern. JSON without a pattern includes hidden images."""
    pattern = " ".join(arguments.pattern)
    catalog = find_plugins(settings).catalog()
    offered = catalog.search(pattern)
    if pattern and not offered:
        raise NotFoundError("image-unknown", image=pattern, hint=Verbatim(""))
    if arguments.json:
        listed = offered if pattern else catalog
        show.out_json([image.model_dump(mode="json") | {"source": image.source} for image in listed])
    else:
        show.table(("ID", "TITLE", "SUMMARY", "BY"), [(i.id, i.name, i.summary, i.source) for i in offered])
    for problem in catalog.problems:
        show.err(f"problem: {problem}")
    return 0


def check(settings: Settings, arguments: Namespace) -> int:
    """Print the problems of the catalog and the plugins; return 1 if there are any.

    With a token, the account is checked too. Its errors are raised after everything else is printed.
    """
    if arguments.path is not None:
        settings = replace(settings, images=arguments.path)
    catalog = find_plugins(settings).catalog()
    problems, unasked = list(catalog.problems), None
    if settings.token:
        try:
            problems += run(_account_problems(settings, catalog))
        except RunQarnotError as error:
            unasked = error
    _print(_in_reading_order(problems), len(catalog.images), as_json=arguments.json)
    if unasked is not None:
        raise unasked
    return 1 if any(not problem.warning for problem in problems) else 0


def _in_reading_order(problems: Sequence[Problem]) -> list[Problem]:
    """Sort problems by file, in the order of discovery, and by line."""
    sources = list(dict.fromkeys(problem.source for problem in problems))
    return sorted(problems, key=lambda problem: (sources.index(problem.source), problem.line or 0))


def _print(problems: Sequence[Problem], images: int, *, as_json: bool) -> None:
    if as_json:
        show.out_json([problem.as_json() for problem in problems])
        return
    for problem in problems:
        show.out(f"{'warning: ' if problem.warning else ''}{problem}")
        for line in problem.details.rstrip().splitlines():
            show.out(f"    {line}")
    warnings = sum(problem.warning for problem in problems)
    counted = [show.count(images, "image"), show.count(len(problems) - warnings, "problem")]
    show.err(", ".join([*counted, *([show.count(warnings, "warning")] if warnings else [])]))


async def _account_problems(settings: Settings, catalog: Catalog) -> list[Problem]:
    # Imported here: the SDK takes half a second, which who has no token need not wait for.
    from run_qarnot.engine.account import Account

    account = await Account.open(settings, settings.token or "", catalog)
    try:
        return [problem async for problem in _ask(account, catalog)]
    finally:
        await account.close()


async def _ask(account: Account, catalog: Catalog) -> AsyncIterator[Problem]:
    """Check every image against the account: whether its profile exists and its constants are known."""
    available = await account.profiles()
    known: dict[str, dict[str, str]] = {}
    for image in catalog:
        profile = next((name for name in image.profile if name in available), None)
        line = catalog.line_of(image, "profile")
        if profile is None:
            meant = next(filter(None, (nearest(name, available) for name in image.profile)), None)
            found, allowed = ", ".join(image.profile), Verbatim(", ".join(sorted(available)))
            yield _problem("profile", image, ("profile",), line, found=found, allowed=allowed, nearest=meant)
            continue
        if profile not in known:
            known[profile] = await account.profile_constants(profile)
        for problem in _constant_problems(image, profile, list(known[profile]), catalog):
            yield problem


def _constant_problems(image: Image, profile: str, known: Sequence[str], catalog: Catalog) -> Iterator[Problem]:
    """Yield constants that the profile does not know. They have no effect unless a program in the container reads them:
    if that is possible, and the name is not similar to a known one, the problem is only a warning."""
    used: dict[tuple[str, ...], str] = {("constants", name): name for name in image.constants}
    used |= {("options", name, "constant"): o.constant for name, o in image.options.items() if o.constant}
    by_small_letters = {name.lower(): name for name in known}
    for key, constant in used.items():
        if constant in known or re.search(rf"\b{re.escape(constant)}\b", image.command):
            continue
        meant = by_small_letters.get(nearest(constant, by_small_letters) or "")
        facts: ProblemFacts = {"profile": profile, "found": show_value(constant), "nearest": meant}
        facts["allowed"] = Verbatim(", ".join(known))
        warning = _DOCKER in known and meant is None
        yield _problem("constant", image, key, catalog.line_of(image, *key), warning=warning, **facts)


def _problem(
    code: str,
    image: Image,
    key: tuple[str, ...],
    line: int | None,
    *,
    warning: bool = False,
    **facts: Unpack[ProblemFacts],
) -> Problem:
    return make_problem(code, image.source, entry=image.id, key=".".join(key), line=line, warning=warning, **facts)
