"""`completion`: what a shell needs to complete commands, options and paths."""

from __future__ import annotations

from argparse import Namespace

from run_qarnot.commands import show
from run_qarnot.commands.parser import make_parser, path_arguments
from run_qarnot.model.settings import Settings


def completion(settings: Settings, arguments: Namespace) -> int:
    """Print the script for a shell. It is complete in itself: a Tab starts no program of ours."""
    import shtab  # only here: nothing else needs it

    parser = make_parser()
    for action in path_arguments(parser):
        vars(action)["complete"] = shtab.FILE  # so shtab wants it
    show.out(shtab.complete(parser, shell=arguments.shell))
    return 0
