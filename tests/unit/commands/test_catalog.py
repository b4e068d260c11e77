"""`images` and `check`, without an account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.commands import catalog, entry

ENTRIES = """schema = 1
[images.base]
title = "JupyterLab"
repo = "a/b"
[images.old]
repo = "a/old"
hidden = true
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QARNOT_CLIENT_TOKEN", raising=False)
    found = tmp_path / "images.toml"
    found.write_text(ENTRIES)
    return found


def test_images_lists_what_is_offered(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["images"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ID", "base"]


def test_images_as_json_has_the_hidden_ones_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["images", "--json"]) == 0
    assert [(image["id"], image["source"]) for image in json.loads(capsys.readouterr().out)] == [
        ("base", "images.toml"), ("old", "images.toml"),
    ]  # fmt: skip
    assert entry.run(["images", "--json", "jupyter"]) == 0
    assert [image["id"] for image in json.loads(capsys.readouterr().out)] == ["base"]


def test_images_that_do_not_fit_are_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["images", "nothing like it"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_check_ends_with_0_for_a_catalog_without_problems(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["check"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "2 images, 0 problems\n")


def test_check_names_problems_in_the_order_of_their_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f'{ENTRIES}repoo = "x"\n[images.more]\ntitel = "x"\n')
    assert entry.run(["check", str(file), "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)
    assert [problem["entry"] for problem in problems][:2] == ["old", "more"]
    lines = [problem["line"] for problem in problems]
    assert lines == sorted(lines)
    assert entry.run(["check", str(file)]) == 1
    assert f"{len(problems)} problems" in capsys.readouterr().err


def test_a_constant_that_its_profile_does_not_know_is_told() -> None:
    image = Image(id="a", repo="a/b", constants={"DOCKER_TAG": "1", "DOCKER_CMDD": "x", "MINE": "1"})
    known = ["DOCKER_REPO", "DOCKER_TAG", "DOCKER_CMD"]
    found = {p.key: p for p in catalog._constant_problems(image, "docker-batch", known, Catalog())}
    assert found.keys() == {"constants.DOCKER_CMDD", "constants.MINE"}
    assert not found["constants.DOCKER_CMDD"].warning, "nearly a name that is known"
    assert found["constants.MINE"].warning, "the container may read it"
