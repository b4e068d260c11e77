"""The images of `images.toml` as a plugin brings them."""

from __future__ import annotations

from pathlib import Path

from run_qarnot.catalog.image import Image
from run_qarnot.hooks.builtin import rq_images
from run_qarnot.model.settings import Settings

ENTRY = '[images.base]\nrepo = "a/b"\n'


def images(folder: Path, text: str) -> list[list[Image]]:
    file = folder / "images.toml"
    file.write_text(text)
    return [list(reading.images) for reading in rq_images(Settings(images=file))]


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    assert [[image.id for image in found] for found in images(tmp_path, f"schema = 1\n{ENTRY}")] == [["base"]]


def test_a_file_that_adds_comes_before_the_shipped_images_and_replaces_those_of_its_ids(tmp_path: Path) -> None:
    own, shipped = images(tmp_path, f"{ENTRY}")
    assert [image.id for image in own] == ["base"]
    ids = [image.id for image in shipped]
    assert "scikit-learn" in ids
    assert "base" not in ids


def test_a_broken_entry_replaces_the_shipped_one_too(tmp_path: Path) -> None:
    own, shipped = images(tmp_path, '[images.base]\nrepoo = "a/b"\n')
    assert own == []
    assert "base" not in [image.id for image in shipped]
