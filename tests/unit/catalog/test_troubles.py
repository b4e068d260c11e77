"""Everything that can be wrong in `images.toml` has its sentence: file, line, entry, key, found, allowed, nearest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from run_qarnot.catalog import merge
from run_qarnot.catalog.problem import Problem
from run_qarnot.catalog.reader import Reading, read_file
from run_qarnot.core.locale.en import PROBLEMS

HEAD = 'schema = 1\n[images.good]\nrepo = "team/good"\n'  # three lines; what is wrong comes after them


def read(folder: Path, text: str | bytes) -> Reading:
    path = folder / "images.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_file(path)


class Trouble(NamedTuple):
    """Lines after `HEAD`, and what is said of them."""

    entry: str
    key: str
    line: int
    code: str
    said: tuple[str, ...]


def bad(keys: str) -> str:
    return f"[images.bad]\n{keys}\n"


OPTION = "[images.bad]\n[images.bad.options.x]\n"
TROUBLES = {
    bad('titel = "x"'): Trouble("bad", "titel", 5, "key-unknown", ("“titel”", "allowed: title, summary", "“title”?")),
    bad("title = 5"): Trouble("bad", "title", 5, "type", ("must be text", "found 5")),
    bad('port = "80"'): Trouble("bad", "port", 5, "type", ("must be a whole number", "“80”")),
    bad('hidden = "yes"'): Trouble("bad", "hidden", 5, "type", ("must be true or false",)),
    bad('hours = "4"'): Trouble("bad", "hours", 5, "type", ("must be a number",)),
    bad("port = 70000"): Trouble("bad", "port", 5, "most", ("70000", "65535 or less")),
    bad("port = 0"): Trouble("bad", "port", 5, "least", ("1 or more",)),
    bad("hours = 30"): Trouble("bad", "hours", 5, "hours", ("found 30", "up to 24")),
    bad("machines = 3\nmax_machines = 2"): Trouble("bad", "machines", 5, "machines", ("found 3", "up to 2")),
    bad('cluster = "dask"'): Trouble("bad", "cluster", 5, "cluster-start", ('start = "bundled"',)),
    bad("hours = nan"): Trouble("bad", "hours", 5, "type", ("must be a number",)),
    bad('app = "jupiterlab"\nrepo = "a/b"'): Trouble(
        "bad", "app", 5, "app", ("“jupiterlab”", "ssh, web, batch", "“jupyterlab”?")
    ),
    bad('start = "bundeld"'): Trouble("bad", "start", 5, "not-offered", ("image, bundled", "“bundled”?")),
    bad('icon = "mdi-fir"'): Trouble("bad", "icon", 5, "icon", ("“mdi-fir”", "“mdi-fire”?")),
    bad('tag = "v1"\ndigest = "sha256:' + "a" * 64 + '"'): Trouble("bad", "digest", 6, "tag-digest", ("exclude",)),
    bad('digest = "sha256:1"'): Trouble("bad", "digest", 5, "form", ("64 digits", "“sha256:1”")),
    bad('docs_url = "javascript:x"'): Trouble("bad", "docs_url", 5, "form", ("https://",)),
    bad('title = "x"'): Trouble("bad", "repo", 4, "repo-missing", ("must be given", "team/image")),
    bad('repo = ""'): Trouble("bad", "repo", 5, "repo-missing", ("must be given",)),
    bad('repo = "quay.io/a/b:1.2"'): Trouble("bad", "repo", 5, "repo-tag", ('tag = "1.2"', "“quay.io/a/b”?")),
    bad('repo = "a/b@sha256:' + "a" * 64 + '"'): Trouble("bad", "repo", 5, "repo-tag", ("digest = ", "“a/b”?")),
    bad('repo = "https://hub.docker.com/r/a/b"'): Trouble("bad", "repo", 5, "form", ("“a/b”?",)),
    bad('repo = "Team/Lab"'): Trouble("bad", "repo", 5, "form", ("small letters", "“team/lab”?")),
    bad('registry = "https://quay.io/"\nrepo = "a/b"'): Trouble("bad", "registry", 5, "form", ("“quay.io”?",)),
    bad('registry = "quay.io"\nrepo = "ghcr.io/a/b"'): Trouble("bad", "repo", 6, "form", ("“ghcr.io/a/b”",)),
    bad("profile = []"): Trouble("bad", "profile", 5, "form", ("a list of at least one",)),
    bad("profile = [1]"): Trouble("bad", "profile", 5, "type", ("must be text",)),
    bad("constants = { A = [1] }"): Trouble("bad", "constants.A", 5, "type", ("text, a number",)),
    bad('constants = { "a b" = 1 }'): Trouble("bad", "constants.a b", 5, "form", ("a name of letters",)),
    bad("[images.bad.hardware]\ngpus = true"): Trouble(
        "bad", "hardware.gpus", 6, "key-unknown", ("minimum_cores", "“gpu”?")
    ),
    bad('hardware = { gpu = "yes" }'): Trouble("bad", "hardware.gpu", 5, "type", ("true or false",)),
    bad('ready = { pattern = "(" }'): Trouble("bad", "ready.pattern", 5, "regex", ("does not compile",)),
    bad('ready = { patern = "x" }'): Trouble("bad", "ready.patern", 5, "key-unknown", ("“pattern”?",)),
    bad('source = "mine"'): Trouble("bad", "source", 5, "key-unknown", ("“source”",)),
    OPTION + 'typ = "int"\n': Trouble("bad", "options.x.typ", 6, "key-unknown", ("“type”?",)),
    OPTION + 'type = "number"\n': Trouble("bad", "options.x.type", 6, "not-offered", ("text, int, float",)),
    OPTION + 'regex = "("\nmessage = "m"\n': Trouble("bad", "options.x.regex", 6, "regex", ("does not compile",)),
    OPTION + 'regex = "a"\n': Trouble("bad", "options.x.regex", 6, "regex-message", ("`message`",)),
    OPTION + 'type = "choice"\n': Trouble("bad", "options.x.choices", 5, "choices", ("choice needs `choices`",)),
    OPTION + 'choices = ["a"]\n': Trouble("bad", "options.x.choices", 6, "choices-unused", ("type text",)),
    OPTION + 'type = "multi"\nchoices = ["a", "b,c"]\n': Trouble(
        "bad", "options.x.choices", 7, "choices-form", ("contain a comma", "“b,c”", "“b c”?")
    ),
    OPTION + 'type = "choice"\nchoices = [" a"]\n': Trouble(
        "bad", "options.x.choices", 7, "choices-form", ("begin or end with a space",)
    ),
    OPTION + "min = 1\n": Trouble("bad", "options.x.min", 6, "limits-unused", ("type text",)),
    OPTION + 'type = "int"\nmin = 3\nmax = 1\n': Trouble("bad", "options.x.min", 7, "limits", ("3 and 1",)),
    OPTION + 'type = "int"\nmax = 3\ndefault = 9\n': Trouble(
        "bad", "options.x.default", 8, "default", ("3 is the maximum",)
    ),
    OPTION + 'type = "choice"\nchoices = ["a", "b"]\ndefault = "c"\n': Trouble(
        "bad", "options.x.default", 8, "default", ("“c” is not offered", "a, b")
    ),
    OPTION + 'constant = "A B"\n': Trouble("bad", "options.x.constant", 6, "form", ("the name of a constant",)),
    "[images.Bad]\n": Trouble("Bad", "id", 4, "form", ("small letters",)),
    "[images]\nbad = 1\n": Trouble("bad", "", 5, "table", ("must be a table",)),
    '[images.good]\ntitle = "Again"\n': Trouble("good", "", 4, "entry-twice", ("the same file",)),
    "[images.bad]\ntitle = \n": Trouble("bad", "", 5, "toml", ("not valid TOML",)),
    '[images.bad]\ntitle = "x\n': Trouble("bad", "", 5, "toml", ("not valid TOML",)),
    "[image.base]\n": Trouble("", "image", 4, "key-unknown", ("schema, defaults, images", "“images”?")),
    "[defaults]\nicon = 'mdi-fir'\n": Trouble("", "defaults.icon", 5, "icon", ("“mdi-fire”?",)),
    "[defaults]\nsummry = ''\n": Trouble("", "defaults.summry", 5, "key-unknown", ("“summary”?",)),
}


@pytest.mark.parametrize("text", TROUBLES, ids=[f"{t.entry}-{t.key}-{t.code}" for t in TROUBLES.values()])
def test_a_mistake_is_named_with_its_place_and_costs_one_entry(tmp_path: Path, text: str) -> None:
    wanted = TROUBLES[text]
    catalog = merge([read(tmp_path, HEAD + text)])
    (problem,) = catalog.problems
    assert (problem.source, problem.entry, problem.key) == ("images.toml", wanted.entry, wanted.key), problem
    assert (problem.code, problem.line) == (wanted.code, wanted.line), problem
    for words in wanted.said:
        assert words in str(problem)
    assert str(problem).startswith(f"images.toml:{wanted.line}: ")
    assert "good" in catalog.images
    assert wanted.entry in {"", "good"} or wanted.entry not in catalog.images


def only(reading: Reading) -> Problem:
    (problem,) = reading.problems
    return problem


def test_a_schema_of_another_time(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD).adds is False
    assert read(tmp_path, HEAD.removeprefix("schema = 1\n")) == replace(read(tmp_path, HEAD), adds=True)
    problem = only(read(tmp_path, "# x\nschema = 2\n[images.a]\nrepo = 'a/b'\n"))
    assert (problem.code, problem.line, problem.facts["found"]) == ("schema", 2, "2")


def test_several_mistakes_are_all_told(tmp_path: Path) -> None:
    problems = read(tmp_path, HEAD + bad('titel = "x"\nport = "a"\nhours = "b"')).problems
    assert {problem.line for problem in problems} == {5, 6, 7}


def test_what_depends_on_several_keys_or_on_plugins_is_told_beside_other_mistakes(tmp_path: Path) -> None:
    reading = read(tmp_path, HEAD + bad('titel = "x"\nhours = 30\napp = "jupiterlab"'))
    assert [(problem.code, problem.line) for problem in merge([reading]).problems] == [
        ("key-unknown", 5),
        ("hours", 6),
        ("app", 7),
    ]


def test_a_wrong_default_is_told_once_and_not_used(tmp_path: Path) -> None:
    reading = read(
        tmp_path, 'schema = 1\n[defaults]\nhours = 99\nsummary = "S"\nrepo = "a/b"\n[images.a]\n[images.b]\n'
    )
    assert only(reading).key == "defaults.hours"
    assert [(image.hours, image.summary) for image in reading.images] == [(4, "S"), (4, "S")]


def test_marks_of_windows_are_no_trouble(tmp_path: Path) -> None:
    reading = read(tmp_path, b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b'[images.bad]\r\ntitel = "x"\r\n')
    assert [image.repo for image in reading.images] == ["team/good"]
    assert only(reading).line == 5


def test_another_encoding(tmp_path: Path) -> None:
    problem = only(read(tmp_path, HEAD.encode() + '[images.a]\ntitle = "Café"\n'.encode("latin-1")))
    assert (problem.code, problem.line) == ("file-utf8", 5)
    assert "save the file as UTF-8" in problem.message
    assert "0xE9" in problem.message
    assert only(read(tmp_path, HEAD.encode("utf-16"))).code == "file-utf8"


def test_a_file_that_is_much_too_big(tmp_path: Path) -> None:
    problem = only(read(tmp_path, b"#" * 10_000_000))
    assert (problem.code, "10.0 MB" in problem.message) == ("file-size", True)
    assert "at most 5 MB" in problem.message


def test_a_file_that_is_a_folder_or_is_not_there(tmp_path: Path) -> None:
    assert only(read_file(tmp_path)).code == "file-kind"
    assert only(read_file(tmp_path / "images.toml")).code == "file-missing"
    os.mkfifo(tmp_path / "pipe")
    assert only(read_file(tmp_path / "pipe")).code == "file-kind"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # root, as CI may be, reads everything

    (tmp_path / "images.toml").write_text(HEAD)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    problem = only(read_file(tmp_path / "images.toml"))
    assert problem.code == "file-unreadable"
    assert "cannot be read: Permission denied" in problem.message


def test_a_table_is_found_however_it_is_written(tmp_path: Path) -> None:
    text = "schema = 1\n[images]\na.title = 1\nb = { title = 2 }\n"
    text += '[images."c"]\ndescription = """\n[images.d]\n"""\ntitle = 3\n'
    assert {(p.entry, p.line) for p in read(tmp_path, text).problems} == {("a", 3), ("b", 4), ("c", 9)}


def test_what_is_not_wrong_is_not_looked_for(tmp_path: Path) -> None:
    """The lines of a file are gone through only when something is wrong."""
    reading = read(tmp_path, HEAD)
    assert reading.lines is not None
    assert reading.lines._found is None


def test_every_sentence_of_the_table_is_tried_somewhere() -> None:
    tests = Path(__file__).parents[1]
    tried = "".join(path.read_text() for folder in ("catalog", "hooks") for path in (tests / folder).glob("*.py"))
    assert [code for code in PROBLEMS if f'"{code}"' not in tried] == []
