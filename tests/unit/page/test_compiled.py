"""The components as the browser gets them: compiled with the package, or from the `.vue` files as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_qarnot.page import compiled

COMPONENTS = sorted(compiled.SOURCES.glob("*.vue"))


@pytest.fixture(autouse=True)
def under_voila(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VOILA_BASE_URL", "/")
    compiled.digests.cache_clear()
    compiled.template.cache_clear()
    yield
    compiled.digests.cache_clear()
    compiled.template.cache_clear()


@pytest.mark.parametrize("source", COMPONENTS, ids=lambda path: path.stem)
def test_every_component_comes_compiled(source: Path) -> None:
    assert compiled.template(source).esm_export == source.stem, "it has changed since it was compiled: run `make demo`"


def test_one_that_has_changed_is_compiled_in_the_browser(tmp_path: Path) -> None:
    changed = tmp_path / "share.vue"
    changed.write_text((compiled.SOURCES / "share.vue").read_text() + "\n<!-- more -->\n")
    template = compiled.template(changed)
    assert "<!-- more -->" in template.template
    assert "const ProblemAlert" in template.template, "with what all share"
    assert not template.esm_module


def test_elsewhere_than_under_voila_nobody_serves_what_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOILA_BASE_URL")
    assert compiled.template(COMPONENTS[0]).template


def test_the_library_for_md5_is_the_one_of_npm() -> None:
    """hash-wasm 4.13.0: `npm pack hash-wasm@VERSION`, and of that `dist/md5.umd.min.js`."""
    library = (compiled.SOURCES / "vendor" / "hash-wasm-md5.umd.min.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() == "b437f79fefe54646bd742029aed6f8905e0afd9d4136d932df76ee2549100008"
    assert "const HASH_WASM = " in compiled.parts(compiled.SOURCES / "files.vue")[2]
