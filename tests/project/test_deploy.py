"""`docs/deploy.md` prints what was tried: its commands are understood, and its nginx is that of the tests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from support import hub, nginx
from support.repository import ROOT

from run_qarnot.commands.parser import make_parser
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import Settings
from run_qarnot.page.extension import ROUTE
from run_qarnot.page.serving import from_arguments

TEXT = (ROOT / "docs" / "deploy.md").read_text()
DIRECTIVE = re.compile(r"^\s*((?:proxy|client)_\w+ [^;]+);", re.MULTILINE)


def commands() -> list[list[str]]:
    """The ways in which the page's server is started there."""
    lines = re.findall(r"run-qarnot (dashboard .+)$", TEXT, re.MULTILINE)
    lists = [json.loads(found)[1:] for found in re.findall(r"^CMD (\[.+\])$", TEXT, re.MULTILINE)]
    return [shlex.split(line) for line in lines if "`" not in line] + lists


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_commands_are_understood(command: list[str]) -> None:
    how = from_arguments(make_parser().parse_args(command))
    assert how.trust_proxy, "both stand behind a proxy"
    assert not how.open_browser


def test_there_are_a_service_and_a_container() -> None:
    assert len(commands()) == 2


def test_nginx_does_what_that_of_the_tests_does() -> None:
    (block,) = re.findall(r"```nginx\n(.*?)```", TEXT, re.DOTALL)
    tested = {*DIRECTIVE.findall(nginx._LOCATION), *DIRECTIVE.findall(nginx.FORWARDED)}
    documented = set(DIRECTIVE.findall(block))
    assert {line for line in documented if not line.startswith("proxy_pass")} == {
        line for line in tested if not line.startswith("proxy_pass")
    }


def test_the_configuration_of_the_hub_is_that_of_the_tests() -> None:
    compile(hub.documented_configuration(), "jupyterhub_config.py", "exec")


def test_the_values_for_kubernetes_open_the_page_with_a_catalog_that_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    values = yaml.safe_load(block)["singleuser"]
    assert values["defaultUrl"] == f"/{ROUTE}/"
    catalog = values["extraFiles"]["images.toml"]
    assert values["extraEnv"]["RUN_QARNOT_IMAGES"] == catalog["mountPath"]
    images = tmp_path / "images.toml"
    images.write_text(catalog["stringData"])
    found = find_plugins(Settings(images=images)).catalog()
    assert "our-lab" in found.images
    assert not found.problems
