"""`link`: a launch link and its README badge."""

from __future__ import annotations

from argparse import Namespace

from run_qarnot.commands import show
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.links import base_problems, make_badge, make_link
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import parse_settings


def link(settings: Settings, arguments: Namespace) -> int:
    """Print a launch link and its badge. No account is needed; values are checked as on the form."""
    image = find_plugins(settings).catalog().get(arguments.image)
    options = parse_settings(arguments.set)
    given = {"hours": arguments.hours, "idle": arguments.idle, "machines": arguments.machines}
    repository = parse_repository(arguments.git)
    address = make_link(arguments.base, image, repository=repository, opened=arguments.open, options=options, **given)
    for problem in base_problems(arguments.base):
        show.err(f"{problem.what}\n{problem.todo} {problem.typed}".rstrip())
    show.out(address)
    show.out(make_badge(address, image, repository))
    return 0
