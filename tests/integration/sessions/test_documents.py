"""Every command line of README and of the documents is run on a local cluster, in the order in which it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.command import CommandLine
from support.repository import ROOT

from qarnot_local import LocalCluster
from run_qarnot.commands.parser import parse

pytestmark = pytest.mark.slow

PAGES = ["README.md", "docs/index.md", "docs/tutorial.md", "docs/first-start.md"]
STAY = {"demo", "dashboard", "open", "cluster"}  # until Ctrl-C; the tests of each run it


def lines(page: str) -> list[list[str]]:
    """The lines of a document's shell snippets that are commands of ours, without comments, as a shell splits them."""
    snippets = re.findall(r"^ *```sh\n(.*?)^ *```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    words = [shlex.split(line, comments=True) for snippet in snippets for line in snippet.splitlines()]
    return [each[1:] for each in words if each[:1] == ["run-qarnot"]]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_does_what_it_is_there_for(
    page: str, cluster: LocalCluster, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cli.folder / "data").mkdir()
    (cli.folder / "data" / "table.csv").write_text("1\n")
    assert lines(page)
    for words in lines(page):
        if words[0] in STAY:
            assert parse(words) is not None
        else:
            cli(*words)


def test_the_tutorial_has_the_results_that_it_speaks_of(cluster: LocalCluster, cli: CommandLine) -> None:
    for words in lines("docs/tutorial.md"):
        if words[:2] in (["launch", "command"], ["results", "first-command"]):
            cli(*words)
    assert (Path(cli.folder) / "results" / "result.txt").read_text() == "made\n"
