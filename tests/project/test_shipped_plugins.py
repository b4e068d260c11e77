"""The plugins in `plugins/` work, and so does the example in their README."""

from __future__ import annotations

import runpy
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.repository import ROOT

from run_qarnot.hooks.manager import find_plugins
from run_qarnot.settings import Settings

PLUGINS = ROOT / "plugins"


def settings(plugins: Path) -> Settings:
    return Settings(images=ROOT / "images.toml", plugins=plugins)


def test_the_shipped_plugins_bring_their_images_without_a_problem() -> None:
    catalog = find_plugins(settings(PLUGINS)).catalog()
    assert catalog.problems == ()
    image = catalog.get("overnight")
    assert image.source == "overnight.py"
    assert (image.repo, image.effective_app.kind) == ("qarnotlab/jupyterlab-base", "jupyterlab")
    assert image.hours <= image.max_hours


def test_a_broken_plugin_costs_one_row(tmp_path: Path) -> None:
    shutil.copy(PLUGINS / "overnight.py", tmp_path)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert {"base", "overnight"} <= set(catalog.images)
    (problem,) = catalog.problems
    assert problem.source == "broken.py"
    assert "nothing_of_that_name" in problem.message


def test_the_example_in_the_readme_works(tmp_path: Path) -> None:
    example = (PLUGINS / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "ours.py").write_text(example)
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert catalog.problems == ()
    assert (catalog.get("climate").title, catalog.get("genome").tag) == ("Climate", "v7")


def test_the_catalog_file_comes_first_and_wins(tmp_path: Path) -> None:
    """Plugins may add to what an admin wrote there, not replace it."""
    (tmp_path / "ours.py").write_text(
        "from run_qarnot import hookimpl\n\n\n"
        "@hookimpl\ndef rq_images(settings):\n    return {'base': {'title': 'Other'}, 'ours': {'title': 'Ours'}}\n"
    )
    catalog = find_plugins(settings(tmp_path)).catalog()
    assert next(iter(catalog.images)) == "base"
    assert list(catalog.images)[-1] == "ours"
    assert catalog.get("base").title == "JupyterLab"
    (problem,) = catalog.problems
    assert (problem.source, problem.entry) == ("ours.py", "base")


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [(18, 0, 14), (2, 0, 6), (2, 1, 30), (7, 59, 24), (8, 0, 24), (23, 50, 8.25), (23, 55, 8)],
)
def test_the_night_ends_in_the_morning(hour: int, minute: int, expected: float) -> None:
    overnight = runpy.run_path(str(PLUGINS / "overnight.py"))
    now = datetime(2026, 3, 1, hour, minute, tzinfo=UTC)
    hours = overnight["hours_until_morning"](now)
    assert hours == expected
    assert abs((now + timedelta(hours=hours)).replace(second=0).hour - overnight["MORNING"]) <= 1
