"""Entries become images: keys, merging, searching, options."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repository import ROOT

from run_qarnot.catalog import Catalog, docker, merge
from run_qarnot.catalog.apps import App
from run_qarnot.catalog.image import HARDWARE, Image, Option
from run_qarnot.catalog.reader import Reading, read_entries, read_file
from run_qarnot.core import language
from run_qarnot.core.errors import InputError, NotFoundError
from run_qarnot.core.redaction import redact
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.connections import Mount
from run_qarnot.model.plan import make_plan
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec

ALL_KEYS = """
schema = 1
[images.all]
title = "All"
summary = "s"
description = "d"
icon = "mdi-fire"
category = "c"
docs_url = "https://example.org/"
app = "web"
profile = ["jupyterlab", "docker-network-ssh"]
start = "bundled"
repo = "example/all"
registry = "quay.io"
digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
command = "run"
ssh_user = "me"
port = 5000
open_path = "/x"
token_env = "TOKEN"
ready = { pattern = "up", path = "/up" }
proxy = "prefix"
snapshot_minutes = 2.5
idle_minutes = 30
hours = 1
max_hours = 2
constants = { A = "a", B = 2, C = true }
hardware = { minimum_cores = 8, gpu = true }
scheduling = "on-demand"
ssh_keys = "many"
options = { x = { type = "int" } }
hidden = true
"""


def test_every_key_of_the_contract(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text(ALL_KEYS)
    reading = read_file(tmp_path / "images.toml")
    assert reading.problems == ()
    (image,) = reading.images
    assert (image.profile, image.effective_app.port) == (("jupyterlab", "docker-network-ssh"), 5000)
    assert (image.effective_app.probe_path, image.effective_app.ready_pattern) == ("/up", "up")
    assert image.effective_app.mount is Mount.PREFIX
    contract = (
        "title summary description icon category docs_url app profile start repo registry tag digest command ssh_user "
        "worker_command machines max_machines cluster cluster_profile ports "
        "port open_path token_env ready proxy snapshot_minutes hours max_hours idle_minutes constants hardware "
        "scheduling ssh_keys options hidden"
    )
    assert set(contract.split()) == set(Image.model_fields) - {"id", "source", "kind"}
    wanted = "label help type choices min max regex message default constant"
    assert set(wanted.split()) == set(Option.model_fields)


def test_how_an_app_can_be_mounted_follows_its_kind_unless_the_entry_says_it() -> None:
    entries = {"lab": {}, "strip": {"proxy": "strip"}, "web": {"app": "web"}, "ssh": {"app": "ssh", "proxy": "prefix"}}
    entries = {name: {"repo": "example/x", **entry} for name, entry in {**entries, "odd": {"proxy": "prefx"}}.items()}
    reading = read_entries(entries, "x.toml")
    mounts = {image.id: image.effective_app.mount.value for image in reading.images}
    assert mounts == {"lab": "prefix", "strip": "strip", "web": "strip", "ssh": "none"}
    (problem,) = reading.problems
    assert (problem.key, problem.code, problem.facts["nearest"]) == ("proxy", "not-offered", "prefix")
    assert problem.facts["allowed"] == "prefix, strip, none"
    assert "`proxy` must be prefix, strip, none" in map(str, App(kind="x", title="X", port=1, proxy="no").problems())


def test_the_entry_wins_over_the_defaults_and_the_user_over_both(tmp_path: Path) -> None:
    reading = read_entries(
        {"a": {"hours": 3, "constants": {"X": "2"}}, "b": {"digest": "sha256:" + "0" * 64}},
        "x.toml",
        {
            "repo": "a/b",
            "hours": 2,
            "tag": "v1",
            "constants": {"X": "1", "Y": "1"},
            "options": {"n": {"default": "d", "constant": "N"}},
        },
    )
    a, b = reading.images
    assert (a.hours, a.tag, dict(a.constants)) == (3, "v1", {"X": "2", "Y": "1"})
    assert (b.hours, b.tag, b.digest[:6]) == (2, "", "sha256")  # of what excludes each other, the entry's stays
    assert SessionSpec(image=a, name="calm-heron-42", hours=1).checked().hours == 1


def test_of_two_images_with_one_id_the_first_wins_and_the_second_is_told() -> None:
    first, second = Image(id="a", title="First", source="one.py"), Image(id="a", title="Second", source="two.py")
    catalog = merge([Reading((first,)), Reading((second,))])
    assert catalog.get("a").title == "First"
    (problem,) = catalog.problems
    assert (problem.code, problem.source, problem.entry) == ("entry-twice", "two.py", "a")
    assert "one.py already has" in problem.message


def test_an_app_of_a_plugin_is_carried_by_the_image() -> None:
    app = App(kind="viewer", title="Viewer", port=5006)
    catalog = merge(
        [read_entries({"a": {"app": "viewer"}, "b": {"app": "viewr"}}, "x", {"repo": "a/b"})], {"viewer": app}
    )
    assert catalog.get("a").effective_app.port == 5006
    assert [problem.facts["nearest"] for problem in catalog.problems] == ["viewer"]
    with pytest.raises(InputError, match="viewr"):
        catalog.get("b")


def test_an_image_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="“base”"):
        merge([read_entries({"base": {"repo": "a/b"}}, "x")]).get("bse")


def test_search_takes_every_word_and_leaves_out_what_is_hidden() -> None:
    entries = {
        "a": {"title": "PyTorch", "summary": "deep learning", "category": "ML"},
        "b": {"title": "Deep sea", "category": "Bio"},
        "c": {"title": "Deep secret", "hidden": True},
    }
    catalog = merge([read_entries(entries, "x", {"repo": "a/b"})])
    assert [image.id for image in catalog.search("DEEP")] == ["a", "b"]
    assert [image.id for image in catalog.search("learn deep")] == ["a"]
    assert [image.id for image in catalog.search("deep", category="Bio")] == ["b"]
    assert catalog.categories == {"ML": 1, "Bio": 1}
    assert len(catalog.search()) == 2


def test_a_key_stroke_in_ten_thousand_images_is_quick() -> None:
    images = {f"i{n}": Image.model_construct(id=f"i{n}", title=f"Image {n}", source="x") for n in range(10_000)}
    catalog = Catalog(images)
    catalog.search("warm")
    started = time.process_time()
    assert len(catalog.search("image 99")) > 100
    assert time.process_time() - started < 0.05


def test_the_hardware_that_an_entry_may_ask_for_is_what_qarnot_offers() -> None:
    from run_qarnot.cloud import internals

    assert set(HARDWARE) == set(internals._HARDWARE)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        (Option(type="float"), "nan", "not a number"),
        (Option(type="float"), "inf", "not a number"),
        (Option(type="int"), "1.5", "not a whole number"),
        (Option(type="int", max=5), "6", "5 is the maximum"),
        (Option(type="multi", choices=("a", "b")), ["a", "c"], "“c” is not offered"),
        (Option(regex=".+", message="Fill it in.", default=""), "", "x must be filled in. Fill it in."),
        (Option(), "a\0b", "control characters"),
        (Option(type="bool"), "maybe", "neither yes nor no"),
    ],
)
def test_a_value_is_checked_by_its_option(option: Option, value: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        option.check("x", value)
    assert said in str(caught.value)


def test_a_comma_is_read_and_limits_are_written_with_one_where_people_do() -> None:
    option = Option(type="float", min=0.5)
    with pytest.raises(InputError):
        option.check("x", "1,5")  # perhaps a thousand and a half, in thousands
    language.set_language("fr")
    try:
        assert option.check("x", "1,5") == "1.5"
        with pytest.raises(InputError) as caught:
            option.check("x", "0,25")
    finally:
        language.set_language("en")
    assert (
        caught.value.advice.text("fr") == "« 0,25 » ne convient pas pour x : 0,5 est le minimum. Écrivez 0,5 ou plus."
    )


def test_a_value_is_put_into_one_form() -> None:
    assert Option(type="int").check("x", " 1_000 ") == "1000"
    assert [Option(type="float").check("x", text) for text in ("2", "0.50", "1e-3", "1_0")] == [
        "2",
        "0.50",
        "1e-3",
        "10.0",
    ]
    assert Option(type="multi", choices=("a", "b")).check("x", "b, a,,b") == "b,a"
    assert Option(type="bool").check("x", True) == "true"


def test_a_field_that_must_be_filled_in() -> None:
    option = Option(regex=".+", message="Fill it in.", default="", constant="X")
    spec = SessionSpec(image=Image(id="a", options={"x": option}), name="calm-heron-42", hours=1)
    assert [blocker.code for blocker in spec.blockers()] == ["option-empty"]


def test_a_secret_is_hidden_from_then_on() -> None:
    assert Option(type="secret").check("x", "hunter2-and-more") == "hunter2-and-more"
    assert "hunter2" not in redact("it is hunter2-and-more")


def test_an_option_without_a_constant_is_checked_too() -> None:
    image = Image(id="a", options={"n": Option(type="int", min=2)})
    spec = SessionSpec(image=image, name="calm-heron-42", hours=1, options={"n": "1"})
    assert [blocker.code for blocker in spec.blockers()] == ["option-value"]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("python", "library/python"),
        ("Team/Lab", "team/lab"),
        (" team/lab ", "team/lab"),
        ("/team/lab/", "team/lab"),
        ("team/my lab", "team/my-lab"),
        ("docker://quay.io/team/lab", "quay.io/team/lab"),
        ("docker pull team/lab:1", "team/lab"),
        ("//team/lab", "team/lab"),
        ("https://hub.docker.com/_/python", "library/python"),
        ("https://hub.docker.com/r/team/lab/tags?page=1", "team/lab"),
        ("https://quay.io/repository/team/lab", "quay.io/team/lab"),
        ("Quay.IO/Team/Lab:1.0", "quay.io/team/lab"),
        ("host:5000/team/lab:1", "host:5000/team/lab"),
        ("team/lab@sha256:12", "team/lab"),
        ("docker.io/python", "library/python"),
        ("https://", ""),
    ],
)
def test_a_docker_repository_that_is_none_names_the_nearest(text: str, near: str) -> None:
    (problem,) = read_entries({"a": {"repo": text}}, "x").problems
    assert (problem.key, problem.facts["nearest"]) == ("repo", near)


@pytest.mark.parametrize(
    ("keys", "registry", "repo"),
    [
        ({"repo": "team/lab"}, None, "team/lab"),
        ({"repo": "docker.io/team/lab"}, None, "team/lab"),
        ({"repo": "a/b-c/d_e/f__g.h"}, None, "a/b-c/d_e/f__g.h"),
        ({"repo": "registry.example.org:5000/team/lab"}, "https://registry.example.org:5000", "team/lab"),
        ({"repo": "quay.io/lab"}, "https://quay.io", "lab"),
        ({"repo": "lab", "registry": "localhost:5000"}, "https://localhost:5000", "lab"),
        ({"repo": "team/lab", "registry": "ghcr.io"}, "https://ghcr.io", "team/lab"),
    ],
)
def test_a_registry_becomes_the_constant_for_it(keys: dict[str, str], registry: str | None, repo: str) -> None:
    (image,) = read_entries({"a": keys}, "x").images
    spec = SessionSpec(image=image, name="calm-heron-42", hours=1)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    plan = make_plan(spec, launch_id="rq-1", token="a-token-of-the-test", profiles=["x"], version="1", now=now)
    assert (plan.constants.get("DOCKER_SRV"), plan.constants["DOCKER_REPO"]) == (registry, repo)


@given(st.text(st.sampled_from("aB1./:@-_ \\h"), max_size=30))
def test_what_is_meant_by_a_docker_repository_is_one(text: str) -> None:
    near = docker.nearest_repo(text)
    assert not near or docker.repo_fault(near) is None
    assert not text or docker.repo_fault(text) is None or near != text


def test_a_file_without_a_schema_adds_to_the_images_that_come_along(tmp_path: Path) -> None:
    """The five lines of the README as a file of their own."""
    text = (ROOT / "README.md").read_text()
    (tmp_path / "images.toml").write_text(five := text.split("```toml\n")[1].split("```")[0])
    catalog = find_plugins(Settings(images=tmp_path / "images.toml", plugins=None)).catalog()
    shipped = find_plugins(Settings(plugins=None)).catalog()
    assert catalog.problems == ()
    assert set(catalog.images) == {"our-lab", *shipped.images}
    (tmp_path / "images.toml").write_text(five.replace("our-lab", "base"))
    catalog = find_plugins(Settings(images=tmp_path / "images.toml", plugins=None)).catalog()
    assert catalog.problems == ()
    assert catalog.get("base").title == "Our lab", "its own entries win"
    (tmp_path / "images.toml").write_text(f"schema = 1\n{five}")
    catalog = find_plugins(Settings(images=tmp_path / "images.toml", plugins=None)).catalog()
    assert set(catalog.images) == {"our-lab"}
