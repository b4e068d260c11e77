"""`plugins` and `new-plugin`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from run_qarnot.commands import entry, plugins
from run_qarnot.core.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_plugin_is_found_with_its_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["new-plugin", "ours"]) == 0
    assert sorted(path.name for path in folder.rglob("*.py")) == ["ours.py", "test_ours.py"]
    capsys.readouterr()
    assert entry.run(["plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["ours.py"]["where"], rows["ours.py"]["images"], rows["ours.py"]["problems"]) == ("folder", 1, [])


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry.run(["new-plugin", "ours"])
    (folder / "plugins" / "ours.py").write_text("# mine")
    assert entry.run(["new-plugin", "ours"]) == 1
    assert (folder / "plugins" / "ours.py").read_text() == "# mine"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("Our Images", "our_images"), ("class", "class_plugin"), ("test", "test_plugin")],
)
def test_a_name_that_is_no_module_is_refused_with_one_that_is(name: str, suggestion: str) -> None:
    with pytest.raises(InputError) as caught:
        plugins._check_name(name)
    assert caught.value.facts["suggestion"] == suggestion
