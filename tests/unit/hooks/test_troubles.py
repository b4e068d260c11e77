"""A plugin may do anything: each costs one visible row, by name, and everything else works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine, clean_environment

from run_qarnot.catalog.problem import Problem
from run_qarnot.hooks import isolation
from run_qarnot.hooks.discovery import HOOKS
from run_qarnot.hooks.manager import Plugins, find_plugins
from run_qarnot.model.settings import Settings

CATALOG = 'schema = 1\n[images.base]\nrepo = "team/base"\ntitle = "Base"\n'
START = "from run_qarnot import *\nimport time, sys\n"
GOOD = START + "@hookimpl\ndef rq_images(settings):\n    return [Image(id='good', title='Good', repo='team/good')]\n"


def hook(body: str, signature: str = "rq_images(settings)") -> str:
    return f"{START}@hookimpl\ndef {signature}:\n    {body}\n"


def plugins(folder: Path, **files: str) -> Plugins:
    """Plugins from files, beside a catalog and a good plugin that comes last."""
    (folder / "images.toml").write_text(CATALOG)
    home = folder / "plugins"
    home.mkdir(exist_ok=True)
    for name, text in {**files, "zz_good": GOOD}.items():
        (home / f"{name}.py").write_text(text)
    return find_plugins(Settings(images=folder / "images.toml", plugins=home))


def test_one_image_needs_no_list_around_it(tmp_path: Path) -> None:
    found = plugins(tmp_path, one=hook("return Image(id='one', repo='team/one')"))
    assert "one" in found.catalog().images
    assert found.problems == []


TROUBLES: dict[str, tuple[str, str, str]] = {
    "syntax": ("def x(:\n", "plugin-load", "SyntaxError"),
    "import_error": ("import nothing_of_that_name\n", "plugin-load", "ModuleNotFoundError: No module named"),
    "load_raises": ("1 / 0\n", "plugin-load", "ZeroDivisionError"),
    "load_exits": ("import sys\nsys.exit(3)\n", "plugin-load", "it tried to end the program"),
    "load_prints": ("print('hello')\n", "plugin-printed", "loading it printed “hello”"),
    "load_sleeps": ("import threading\nthreading.Event().wait(60)\n", "plugin-slow", "loading it took over"),
    "latin": ("x = 'Café'\n", "plugin-load", "SyntaxError"),
    "misspelt": (hook("return []", "rq_image(settings)"), "hook-unknown", "did you mean “rq_images”?"),
    "in_a_class": (
        START + "class Ours:\n    @hookimpl\n    def rq_images(self, settings):\n        return []\n",
        "hook-class", "`rq_images` is a method of the class Ours, which is not called",
    ),
    "in_a_class_unmarked": (
        START + "class Ours:\n    @staticmethod\n    def rq_event(session, event): ...\nours = Ours()\n",
        "hook-class", "`rq_event` is a method of the class Ours",
    ),
    "no_repo": (hook("return [Image(id='x', title='X')]"), "repo-missing", "must be given, such as"),
    "no_repo_in_an_entry": (hook("return {'x': {'title': 'X'}}"), "repo-missing", "must be given, such as"),
    "unmarked": ("def rq_images(settings):\n    return []\n", "hook-unmarked", "not marked with @hookimpl"),
    "unmarked_misspelt": ("def rq_imgaes(settings):\n    return []\n", "hook-unknown", "“rq_images”?"),
    "signature": (hook("return []", "rq_images(settings, more)"), "hook-arguments", "found more); allowed: settings"),
    "anything": (hook("return []", "rq_images(*things)"), "hook-arguments", "found things"),
    "asynchronous": (START + "@hookimpl\nasync def rq_images(settings): ...\n", "hook-kind", "asynchronous"),
    "wrapper": (START + "@hookimpl(wrapper=True)\ndef rq_images(settings):\n    yield\n", "hook-kind", "a wrapper"),
    "raises": (hook("raise RuntimeError('oh no')"), "plugin-failed", "`rq_images` failed: RuntimeError: oh no"),
    "raises_nonsense": (
        START + "class E(Exception):\n    def __str__(self): 1 / 0\n\n@hookimpl\ndef rq_images():\n    raise E\n",
        "plugin-failed", "`rq_images` failed: E",
    ),
    "raises_late": (hook("yield 1 / 0"), "plugin-failed", "ZeroDivisionError"),
    "exits": (hook("sys.exit()"), "plugin-failed", "it tried to end the program"),
    "interrupts": (hook("raise KeyboardInterrupt"), "plugin-failed", "KeyboardInterrupt"),
    "recurses": (hook("return rq_images(settings)"), "plugin-failed", "RecursionError"),
    "sleeps": (hook("import threading; threading.Event().wait(60)"), "plugin-slow", "`rq_images` took over"),
    "endless": (
        hook("import os\n    while os.path.exists(__file__):\n        for _ in range(10**6): pass"),
        "plugin-slow", "`rq_images` took over",
    ),
    "prints": (hook("print('{\"json\": 1}')"), "plugin-printed", "`rq_images` printed"),
    "rubbish": (hook("return 42"), "hook-answer", "must return images"),
    "rubbish_in_a_list": (hook("return ['base']"), "hook-answer", "(found str)"),
    "wrong_image": (hook("return [Image(id='x', hours='4')]"), "type", "hours: must be a number (found “4”)"),
    "no_id": (hook("return [Image(title='x')]"), "key-missing", "id: must be given"),
    "wrong_entry": (hook("return {'x': {'titel': ''}}"), "key-unknown", "did you mean “title”?"),
    "wrong_id": (hook("return {'X Y': {}}"), "form", "small letters"),
    "unknown_app": (hook("return [Image(id='x', repo='a/b', app='jupyter')]"), "app", "“jupyterlab”?"),
    "twice": (hook("return [Image(id='base', repo='a/b')]"), "entry-twice", "images.toml already has"),
    "apps_rubbish": (hook("return ['x']", "rq_apps()"), "hook-answer", "must return App objects (found str)"),
    "apps_wrong": (hook("return [App(kind='x', title='X', port='80')]", "rq_apps()"), "app-wrong", "`port` must be"),
    "apps_twice": (hook("return [App(kind='ssh', title='S')]", "rq_apps()"), "app-twice", "run_qarnot already"),
    "options_raise": (hook("1 / 0", "rq_options(image)"), "plugin-failed", "`rq_options` failed"),
    "options_rubbish": (hook("return 5", "rq_options(image)"), "hook-answer", "a mapping of name"),
    "options_wrong": (
        hook("return {'x': {'typ': 'int'}} if image.id == 'base' else None", "rq_options(image)"),
        "key-unknown", "did you mean “type”?",
    ),
    "options_named": (
        hook("return {'a b': {}} if image.id == 'base' else None", "rq_options(image)"), "form", "a name of letters",
    ),
    "options_twice": (
        START + "@hookimpl\ndef rq_images():\n    return {'o': {'repo': 'a/b', 'options': {'n': {}}}}\n"
        "@hookimpl\ndef rq_options(image):\n    return {'n': {}} if image.id == 'o' else None\n",
        "option-twice", "the option “n” is skipped",
    ),
}  # fmt: skip


@pytest.fixture
def removed(tmp_path: Path) -> Iterator[None]:
    """By this the endless plugin ends: else it would take half of the processor from all tests after it."""
    yield
    shutil.rmtree(tmp_path / "plugins")


@pytest.mark.usefixtures("removed")
@pytest.mark.parametrize("name", TROUBLES)
def test_a_bad_plugin_costs_one_row_and_nothing_else(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "slow" in TROUBLES[name][1]:
        monkeypatch.setattr(isolation, "SLOW_SECONDS", 0.5)
    source, code, said = TROUBLES[name]
    found = plugins(tmp_path, **{name: source})
    if name == "latin":
        (tmp_path / "plugins" / "latin.py").write_bytes(source.encode("latin-1"))
        found = find_plugins(found.settings)
    catalog = found.catalog()
    assert {"base", "good"} <= set(catalog.images)
    (problem,) = catalog.problems
    assert (problem.source, problem.code) == (f"{name}.py", code), problem
    assert said in str(problem)
    assert "Traceback" not in str(problem)
    assert capsys.readouterr().out == ""


def test_the_traceback_is_in_the_details_with_the_line(tmp_path: Path) -> None:
    (problem,) = plugins(tmp_path, bad=hook("1 / 0")).catalog().problems
    assert problem.line == 5
    assert "ZeroDivisionError" in problem.details
    assert "Traceback" in problem.details
    (problem,) = plugins(tmp_path, bad="\n\ndef x(:\n").catalog().problems
    assert problem.line == 3


def test_a_second_look_tells_nothing_twice(tmp_path: Path) -> None:
    found = plugins(tmp_path, bad=hook("1 / 0"))
    assert len(found.catalog().problems) == len(found.catalog().problems) == 1


def test_one_bad_hook_leaves_the_others_of_its_plugin(tmp_path: Path) -> None:
    catalog = plugins(
        tmp_path, half=hook("return [Image(id='half', repo='a/b')]") + hook("pass", "rq_evnt(session)")
    ).catalog()
    assert "half" in catalog.images
    (problem,) = catalog.problems
    assert (problem.code, problem.facts["nearest"]) == ("hook-unknown", "rq_event")


def test_who_was_too_slow_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SLOW_SECONDS", 0.3)
    found = plugins(tmp_path, slow=hook("import threading; threading.Event().wait(60)"))
    found.catalog()
    monkeypatch.setattr(isolation, "SLOW_SECONDS", 5.0)
    assert len(found.catalog().problems) == 1


def test_a_folder_that_is_empty_missing_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text(CATALOG)
    (tmp_path / "empty").mkdir()

    def problems(name: str) -> list[Problem]:
        found = find_plugins(Settings(images=tmp_path / "images.toml", plugins=tmp_path / name))
        assert "base" in found.catalog().images
        return found.problems

    assert problems("empty") == []
    assert [(p.source, p.code) for p in problems("missing")] == [("missing", "file-missing")]
    assert [(p.source, p.code) for p in problems("images.toml")] == [("images.toml", "file-kind")]


def test_a_package_in_the_folder_is_a_plugin_and_other_folders_are_not(tmp_path: Path) -> None:
    package = tmp_path / "plugins" / "ours"
    package.mkdir(parents=True)
    (package / "helper.py").write_text("TITLE = 'From a package'\n")
    imports = "from .helper import TITLE\n" + START
    (package / "__init__.py").write_text(
        imports + "@hookimpl\ndef rq_images():\n    return {'ours': {'title': TITLE, 'repo': 'a/b'}}\n"
    )
    (tmp_path / "plugins" / "data").mkdir()
    catalog = plugins(tmp_path).catalog()
    assert catalog.problems == ()
    assert catalog.get("ours").title == "From a package"
    assert catalog.get("ours").source == "ours"


def test_two_plugins_of_one_name_are_told_apart(tmp_path: Path) -> None:
    package = tmp_path / "plugins" / "auto-sklearn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(hook("return {'never': {}}"))
    catalog = plugins(tmp_path).catalog()
    assert [(problem.source, problem.code) for problem in catalog.problems] == [("auto-sklearn", "plugin-name")]
    assert "never" not in catalog.images


def test_two_folders_do_not_share_a_module(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        plugins(tmp_path / name, same=f"{START}NAME = '{name}'\n" + hook("return {NAME: {'repo': 'a/b'}}"))
    first = find_plugins(Settings(images=tmp_path / "one" / "images.toml", plugins=tmp_path / "one" / "plugins"))
    second = find_plugins(Settings(images=tmp_path / "two" / "images.toml", plugins=tmp_path / "two" / "plugins"))
    assert "one" in first.catalog().images
    assert "two" in second.catalog().images


def test_plugins_that_misbehave_do_not_break_the_json_nor_hold_the_program(tmp_path: Path) -> None:
    plugins(tmp_path, prints=hook("print('x')"), exits=hook("sys.exit()"), sleeps=hook("time.sleep(3600)"))
    cli = CommandLine(tmp_path, clean_environment())
    answer = cli("images", "--json", timeout=30)
    assert [image["id"] for image in answer.json] == ["base", "good"]
    assert answer.err.count("problem:") == 3
    assert "Traceback" not in answer.err


def test_the_plugins_command_says_what_was_found_where(tmp_path: Path) -> None:
    plugins(tmp_path, bad=hook("1 / 0"), versioned=GOOD.replace("good", "v") + "__version__ = '7'\n")
    cli = CommandLine(tmp_path, clean_environment())
    rows = {row["name"]: row for row in cli("plugins", "--json").json}
    assert list(rows) == ["images.toml", "auto-sklearn", "bad.py", "versioned.py", "zz_good.py"]
    assert (rows["images.toml"]["where"], rows["bad.py"]["where"]) == ("built in", "folder")
    assert (rows["versioned.py"]["version"], rows["versioned.py"]["images"]) == ("7", 1)
    assert rows["bad.py"]["hooks"] == ["rq_images"]
    assert "ZeroDivisionError" in rows["bad.py"]["problems"][0]["details"]
    answer = cli("plugins")
    assert "versioned.py" in answer.out
    assert "bad.py" in answer.err
    assert "Traceback" not in answer.err


def test_the_token_is_in_nothing_that_a_plugin_gets(tmp_path: Path) -> None:
    source = hook("(__import__('pathlib').Path(__file__).parent / 'seen').write_text(repr(vars(settings)))")
    found = plugins(tmp_path, spy=source)
    found.settings = Settings(images=found.settings.images, token="the-qarnot-token", login_token="the-login-token")
    found.catalog()
    seen = (tmp_path / "plugins" / "seen").read_text()
    assert "cluster_url" in seen
    assert "the-qarnot-token" not in seen
    assert "the-login-token" not in seen


def test_the_hooks_are_those_of_the_contract() -> None:
    assert HOOKS == {
        "rq_images": ("settings",),
        "rq_apps": (),
        "rq_options": ("image",),
        "rq_prepare": ("plan", "spec"),
        "rq_event": ("session", "event"),
        "rq_panel": ("session",),
    }


def test_check_names_the_plugin_in_json_and_ends_with_one(tmp_path: Path) -> None:
    plugins(tmp_path, bad=hook("1 / 0"))
    answer = CommandLine(tmp_path, clean_environment())("check", "--json", expect=1)
    (problem,) = json.loads(answer.out)
    assert (problem["source"], problem["code"], problem["line"]) == ("bad.py", "plugin-failed", 5)
