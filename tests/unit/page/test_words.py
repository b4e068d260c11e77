"""Words and ids: none is missing, none is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from run_qarnot.core.state import State
from run_qarnot.page import words, words_fr

FACTS = re.compile(r"\{\w+\}")
FOLDER = Path(words.__file__).parent
COMPONENTS = sorted((FOLDER / "components").glob("*.vue"), key=lambda path: path.stem)
IDS = (
    "token account upload upload-list git from more name hours idle ssh-key start blockers price sessions state phase "
    "elapsed open connections ssh-command vscode launcher log usage save stop stop-confirm continue results download "
    "share delete error cost carbon"
).split()


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_component_and_its_words_fit(path: Path) -> None:
    used = set(re.findall(r"\bwords\.(\w+)", path.read_text()))
    assert used == set(words.section(path.stem))


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_what_hears_the_kernel_does_so_while_it_is_mounted(path: Path) -> None:
    hears = re.search(r"^ +(?:async )?jupyter_\w+\(", path.read_text(), re.MULTILINE)
    assert bool(hears) == ("mixins: [HearsWhileMounted]," in path.read_text())


def test_french_has_every_word() -> None:
    assert {name: set(section) for name, section in words_fr.WORDS.items()} == {
        name: set(section) for name, section in words.WORDS.items()
    }
    for table in ("STATE_WORDS", "BATCH_WORDS", "BLOCKERS", "FIELDS"):
        french, english = getattr(words_fr, table), getattr(words, table)
        assert {name: FACTS.findall(text) for name, text in french.items()} == {
            name: FACTS.findall(text) for name, text in english.items()
        }


def test_no_word_is_left_in_english() -> None:
    same = {
        (name, key)
        for name, section in words.WORDS.items()
        for key, text in section.items()
        if words_fr.WORDS[name][key] == text
    }
    assert same <= {("shell", "title"), ("account", "where_url"), ("start", "machines"), ("session", "cpu")}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_no_colon_stands_outside_of_the_words(path: Path) -> None:
    """French has a space before it."""
    template = path.read_text().split("<script>")[0]
    assert re.findall(r"\}\}: |>: |': '", template) == []


def test_every_state_has_a_word() -> None:
    assert set(words.STATE_WORDS) == {state.value for state in State}


@pytest.mark.parametrize("name", IDS)
def test_the_ids_that_people_and_tests_rely_on_are_there(name: str) -> None:
    text = "\n".join(path.read_text() for path in COMPONENTS)
    assert f'data-testid="{name}"' in text or f"v-tid=\"'{name}'\"" in text or f": '{name}'\"" in text


@pytest.mark.parametrize("path", [*COMPONENTS, *(FOLDER / "template").rglob("*.*")], ids=lambda path: path.name)
def test_no_request_leaves_the_server_and_nothing_is_html(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    assert not re.findall(r"https?://(?!www\.w3\.org|www\.npmjs\.com/package/hash-wasm)\S+", text)
    assert "v-html" not in text
    assert "innerHTML" not in text
