"""`completion`: a script that completes commands, options and paths in a shell."""

from __future__ import annotations

from argparse import Namespace

from run_qarnot.commands import show
from run_qarnot.commands.parser import make_parser, path_arguments
from run_qarnot.model.settings import Settings


def completion(settings: Settings, arguments: Namespace) -> int:
    """Print the script for a shell. It is static: pressing Tab does not start `run-qarnot`."""
    import shtab  # imported here, because nothing else needs it

    parser = make_parser()
    for action in path_arguments(parser):
        vars(action)["complete"] = shtab.FILE  # where shtab reads it
    show.out(shtab.complete(parser, shell=arguments.shell))
    return 0
