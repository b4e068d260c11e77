"""The documents and the schema say what the live objects are, and every snippet works."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.command import CommandLine, clean_environment
from support.repository import ROOT

import run_qarnot
from run_qarnot.catalog.reader import read_file
from run_qarnot.hooks.discovery import HOOKS
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import Settings

DOCUMENTS = [ROOT / "docs" / name for name in ("images.md", "plugins.md")]
REFERENCE = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
SCHEMA_FILE = ROOT / "run_qarnot" / "images.schema.json"


def snippets(language: str) -> list[Any]:
    return [
        pytest.param(match[1], id=f"{path.stem}-{number}")
        for path in DOCUMENTS
        for number, match in enumerate(re.finditer(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL))
    ]


@pytest.mark.parametrize("path", REFERENCE["DOCUMENTS"], ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    text = path.read_text()
    assert REFERENCE["filled"](text) == text, "run: python docs/make_reference.py"


def test_the_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text() == REFERENCE["schema_text"](), "run: python docs/make_reference.py"


def test_the_catalog_names_the_schema_and_obeys_it() -> None:
    first = (ROOT / "images.toml").read_text().splitlines()[0]
    assert (ROOT / first.removeprefix("#:schema ")).resolve() == SCHEMA_FILE
    jsonschema.validate(tomllib.loads((ROOT / "images.toml").read_text()), json.loads(SCHEMA_FILE.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "[images.a]\ntitel = 'x'",
        "[images.A]",
        "[images.a]\nport = 70000",
        "[images.a]\nport = '80'",
        "[images.a]\nprofile = []",
        "[images.a]\nstart = 'x'",
        "[images.a]\nsource = 'x'",
        "[images.a]\nid = 'x'",
        "[images.a]\nssh_keys = 'x'",
        "[images.a]\nhardware = { cores = 8 }",
        "[images.a]\ntag = 'x'\ndigest = 'sha256:" + "0" * 64 + "'",
        "[images.a.options.x]\nregex = 'x'",
        "[images.a.options.x]\ntypo = 'x'",
        "[defaults]\ntypo = 1",
        "[image.a]",
    ],
)
def test_the_schema_and_the_reader_refuse_the_same(tmp_path: Path, text: str) -> None:
    whole = f"schema = 1\n{text}\n"
    (tmp_path / "images.toml").write_text(whole)
    assert read_file(tmp_path / "images.toml").problems
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(whole), json.loads(SCHEMA_FILE.read_text()))


@pytest.mark.parametrize("text", snippets("toml"))
def test_every_catalog_in_the_documents_works(tmp_path: Path, text: str) -> None:
    (tmp_path / "images.toml").write_text(text)
    reading = read_file(tmp_path / "images.toml")
    assert reading.problems == ()
    assert reading.images
    jsonschema.validate(tomllib.loads(text), json.loads(SCHEMA_FILE.read_text()))


@pytest.mark.parametrize("text", snippets("python"))
def test_every_plugin_in_the_documents_works(tmp_path: Path, text: str) -> None:
    (tmp_path / "ours.py").write_text(text)
    found = find_plugins(Settings(images=ROOT / "images.toml", plugins=tmp_path))
    assert found.catalog().problems == ()
    assert found.found[-1].hooks


@pytest.mark.parametrize("text", snippets("sh"))
def test_every_command_in_the_documents_works(tmp_path: Path, text: str) -> None:
    """But for `demo`, which stays until Ctrl-C and is tried elsewhere."""
    (tmp_path / "images.toml").write_text(snippets("toml")[0].values[0])
    cli = CommandLine(tmp_path, clean_environment())
    for line in text.splitlines():
        words = line.split("#")[0].split()
        assert words[0] == "run-qarnot"
        if words[1] != "demo":
            cli(*words[1:])


def test_five_minutes_from_nothing_to_an_image(tmp_path: Path) -> None:
    """The first snippet of each document, in an empty folder: the image is in the catalog that the page shows."""
    (tmp_path / "images.toml").write_text(snippets("toml")[0].values[0])
    cli = CommandLine(tmp_path, clean_environment())
    cli("new-plugin", "ours")
    assert {"pytorch", "ours"} <= {image["id"] for image in cli("images", "--json").json}


def test_every_hook_is_documented_shown_by_a_plugin_and_tested() -> None:
    shown = "".join(path.read_text() for path in (ROOT / "plugins").glob("*.py")) + DOCUMENTS[1].read_text()
    tested = "".join(path.read_text() for path in (ROOT / "tests" / "unit" / "hooks").glob("*.py"))
    for hook in HOOKS:
        assert f"### `{hook}(" in DOCUMENTS[1].read_text()
        assert re.search(rf"@hookimpl\ndef {hook}\(", shown), hook
        assert hook in tested, hook


def test_the_public_names_are_few_and_all_are_documented() -> None:
    assert run_qarnot.__all__ == [
        "Account", "App", "Image", "Option", "Panel", "Refusal", "Session", "SessionEvent", "SessionInfo",
        "SessionSpec", "Settings",
        "TaskDraft", "__version__", "build", "hookimpl", "hookspec",
    ]  # fmt: skip
    for name in run_qarnot.__all__:
        assert f"| `{name}` |" in DOCUMENTS[1].read_text()
        assert getattr(run_qarnot, name) is not None


def test_the_icons_are_those_of_the_font() -> None:
    """Stale after a new ipyvuetify? Then write the names from its stylesheet into `catalog/icons.txt`."""
    from jupyter_core.paths import jupyter_path

    from run_qarnot.catalog.image import icon_names

    folders = [Path(folder) / "jupyter-vuetify" for folder in jupyter_path("nbextensions")]
    (script, *_) = [folder / "index.js" for folder in folders if (folder / "index.js").exists()]
    assert set(re.findall(r"\.mdi-([a-z0-9-]+)::before", script.read_text(encoding="utf-8"))) == set(icon_names())
