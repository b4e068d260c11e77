"""Pages that are written by programs are as these would write them now."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_about_the_life_of_a_session_is_not_stale() -> None:
    spec = importlib.util.spec_from_file_location("make_lifecycle", ROOT / "docs/make_lifecycle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.text(), "run `make docs`"
