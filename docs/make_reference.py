"""Writes what the documents and the schema say of live objects. A test fails when that is due.

In a document, what stands between `<!-- generated: NAME -->` and `<!-- end -->` is replaced.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import report  # noqa: E402
from pydantic import BaseModel  # noqa: E402

import run_qarnot  # noqa: E402
from run_qarnot.catalog.apps import BUILTIN  # noqa: E402
from run_qarnot.catalog.image import HARDWARE, IMAGE_ID, INTERNAL, Image, Option, Ready  # noqa: E402
from run_qarnot.catalog.reader import SCHEMA  # noqa: E402
from run_qarnot.commands.parser import make_parser  # noqa: E402
from run_qarnot.core.locale.en import ERRORS, PROBLEMS  # noqa: E402
from run_qarnot.core.state import State  # noqa: E402
from run_qarnot.doctor import account, network, spend, storage  # noqa: E402
from run_qarnot.doctor.question import Question  # noqa: E402
from run_qarnot.hooks import spec  # noqa: E402
from run_qarnot.hooks.discovery import HOOKS  # noqa: E402
from run_qarnot.model.compat import switches  # noqa: E402
from run_qarnot.model.connections import closed_tunnel  # noqa: E402
from run_qarnot.model.view import MachineUse, SessionView  # noqa: E402

SCHEMA_FILE = ROOT / "run_qarnot" / "images.schema.json"
_PAGES = ("images", "plugins", "first-start", "reference", "troubleshooting", "python")
DOCUMENTS = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in _PAGES))
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HARDWARE_TYPES: Mapping[type, str] = {int: "integer", str: "string", bool: "boolean"}


def schema() -> dict[str, Any]:
    """The JSON Schema of `images.toml`."""
    entry = Image.model_json_schema()
    definitions = {name: entry["$defs"][name] for name in ("Option", "Port", "Ready")}
    keys = {name: value for name, value in entry["properties"].items() if name not in INTERNAL}
    for key in ("profile", "cluster_profile"):
        names = {part: keys[key].pop(part) for part in ("type", "items", "minItems")}
        keys[key]["anyOf"] = [{"type": "string"}, names]
    keys["ssh_keys"] = {**entry["$defs"]["KeyPolicy"], **keys["ssh_keys"]}
    keys["ssh_keys"].pop("$ref", None)
    keys["hardware"] |= {
        "properties": {name: {"type": HARDWARE_TYPES[kind]} for name, kind in HARDWARE.items()},
        "additionalProperties": False,
    }
    definitions["Option"]["dependencies"] = {"regex": ["message"]}
    definitions["Image"] = {
        "type": "object",
        "description": "A docker image and how to start it.",
        "properties": keys,
        "additionalProperties": False,
        "not": {"required": ["tag", "digest"]},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A catalog of images of Run Qarnot",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA, "description": "The version of this format."},
            "defaults": {"$ref": "#/$defs/Image", "description": "Merged under every entry."},
            "images": {
                "type": "object",
                "propertyNames": {"pattern": f"^{IMAGE_ID.pattern}$"},
                "additionalProperties": {"$ref": "#/$defs/Image"},
            },
        },
        "additionalProperties": False,
        "$defs": _plain(definitions),
    }


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def filled(text: str) -> str:
    """Return a document with its generated parts made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]()}\n{block[3]}", text)


def _plain(value: Any) -> Any:
    """Without the titles that pydantic makes up."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if not (key == "title" and isinstance(inner, str))}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _keys(model: type[BaseModel]) -> Callable[[], str]:
    def table() -> str:
        fields = {name: field for name, field in model.model_fields.items() if name not in INTERNAL}
        rows = (
            (f"`{name}`", _default(field.get_default(call_default_factory=True)), field.description or "")
            for name, field in fields.items()
        )
        return _table(("key", "default", "what it is"), rows)

    return table


def _default(value: Any) -> str:
    if value in (None, "", (), {}) or isinstance(value, BaseModel):
        return "–"
    if isinstance(value, tuple):
        value = value[0]
    return f"`{json.dumps(value)}`"


def _hardware() -> str:
    words = {int: "whole number", str: "text", bool: "true or false"}
    return _table(("constraint", "type"), ((f"`{name}`", words[kind]) for name, kind in HARDWARE.items()))


def _apps() -> str:
    rows = (
        (
            f"`{app.kind}`",
            str(app.title),
            str(app.port or "–"),
            f"`{app.probe_path}`" if app.probe_path else "–",
            f"`{app.mount}`",
        )
        for app in BUILTIN.values()
    )
    return _table(("app", "what people see", "port", "answers at", "proxy"), rows)


def _hooks() -> str:
    parts = []
    for name, arguments in HOOKS.items():
        doc = inspect.cleandoc(getattr(spec, name).__doc__)
        parts.append(f"### `{name}({', '.join(arguments)})`\n\n{_sections(doc)}\n")
    return "\n".join(parts)


def _sections(doc: str) -> str:
    """A docstring as Markdown: its argument lists become lists."""
    lines = []
    for line in doc.splitlines():
        argument = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
        lines.append(f"- `{argument[1]}`: {argument[2]}" if argument else re.sub("^    ", "", line))
    text = "\n".join(lines)
    return re.sub(r"^(Arguments|Returns|Raises):\n", lambda head: f"{head[1]}:\n\n", text, flags=re.MULTILINE)


def _names() -> str:
    rows = []
    for name in run_qarnot.__all__:
        value = getattr(run_qarnot, name) if name != "build" else importlib.import_module("run_qarnot.page.build").build
        doc = inspect.getdoc(value) if not isinstance(value, str) and callable(value) else ""
        rows.append((f"`{name}`", NAMES.get(name) or (doc or "").split("\n\n")[0].replace("\n", " ")))
    return _table(("name", "what it is"), rows)


def _speed() -> str:
    return _table(report.HEAD, report.rows())


def _commands() -> str:
    parts = []
    for name, parser in commands().items():
        text = parser.format_help().split("\n\nlogging:")[0]
        parts.append(f"### `{name}`\n\n```\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of all commands, by name; their help is 100 columns wide."""
    os.environ["COLUMNS"] = "100"
    (choices,) = [each.choices for each in make_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    found: Mapping[str, argparse.ArgumentParser] = choices
    return found


SETTINGS: Mapping[str, str] = {
    "QARNOT_CLIENT_TOKEN": "The token of the account; it is kept in memory only.",
    "QARNOT_CLUSTER_URL": "The cluster; the cloud when left out.",
    "QARNOT_STORAGE_URL": "The storage; what the cluster names when left out.",
    "QARNOT_CLUSTER_UNSAFE": "`true`: certificates of the cluster are not checked.",
    "RUN_QARNOT_IMAGES": "The catalog; `images.toml` in the present folder, else the one that is shipped.",
    "RUN_QARNOT_PLUGINS": "The folder of plugins; `plugins` in the present folder when left out.",
    "RUN_QARNOT_LOGIN_TOKEN": "The login token of a dashboard, at least 16 characters; a random one when left out.",
    "RUN_QARNOT_GIT_TOKEN": "A token that may read a private repository; it goes to the git server alone.",
    "RUN_QARNOT_DOI_URL": "The resolver of DOIs; `https://doi.org` when left out.",
    "RUN_QARNOT_LOG": "A file for `logging.config`.",
    "RUN_QARNOT_ADMINS": "Accounts, by e-mail, that see what is wrong with catalog and plugins; `*` for all.",
    "RUN_QARNOT_COMPAT": "Switches for what the cluster does otherwise: see “First start on the real cloud”.",
}


def _settings() -> str:
    return _table(("variable", "what it is"), ((f"`{name}`", text) for name, text in SETTINGS.items()))


def _switches() -> str:
    rows = ((f"`{name}=no`", f"{without[0].upper()}{without[1:]}.") for name, (without, _) in switches().items())
    return _table(("switch", "what Run Qarnot does then"), rows)


def _questions(questions: Iterable[Question]) -> str:
    rows = ((asked.number, asked.text, asked.expected, asked.does) for asked in questions)
    return _table(("number", "question", "expected", "where it differs, Run Qarnot"), rows)


def _free() -> str:
    return _questions(check.question for check in (*account.CHECKS, *network.CHECKS, *storage.CHECKS))


def _session_json() -> str:
    moment = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    view = SessionView(
        id="7c2b1f0e-5f0a-4c7b-8a52-1d3f0f6a9b10", name="calm-heron", image="base", app="jupyterlab",
        app_title="JupyterLab", state=State.READY, attempt=1, created=moment, ready=moment + timedelta(minutes=2),
        ends=moment + timedelta(hours=4), inputs="calm-heron-in", results="calm-heron-out", cost=0.12, carbon=3.5,
        connections=(closed_tunnel("run-qarnot open calm-heron", "JupyterLab"),),
        machines=(MachineUse(28, "Example CPU", 12.5, 131072.0, 2048.0),),
    )  # fmt: skip
    return f"```json\n{json.dumps(view.as_json(), indent=2)}\n```\n"


def _api() -> str:
    parts = []
    for kind in (run_qarnot.Account, run_qarnot.Session):
        parts.append(f"## `{kind.__name__}`\n\n{_sections(inspect.getdoc(kind) or '')}\n")
        for name, member in vars(kind).items():
            if name.startswith("_"):
                continue
            function: Any = member.fget if isinstance(member, property) else getattr(kind, name)
            call = "" if isinstance(member, property) else _call(function)
            parts.append(f"### `{kind.__name__}.{name}{call}`\n\n{_sections(inspect.getdoc(function) or '')}\n")
    return "\n".join(parts)


def _call(function: Callable[..., Any]) -> str:
    names = [
        f"{each.name}=…" if each.default is not each.empty else each.name
        for each in inspect.signature(function).parameters.values()
        if each.name != "self"
    ]
    return f"({', '.join(names)})"


def _errors() -> str:
    rows = ((text.what, text.todo) for text in ERRORS.values() if text.todo)
    return _table(("what happened", "what to do"), rows)


NAMES = {
    "__version__": "The version of Run Qarnot.",
    "hookimpl": "The mark of a hook.",
    "hookspec": "The mark of the hooks' own declarations; plugins do not need it.",
}


def _problems() -> str:
    return "".join(f"- {re.sub('{(schema)}', '1', words)}\n" for words in PROBLEMS.values())


BLOCKS: Mapping[str, Callable[[], str]] = {
    "keys": _keys(Image),
    "options": _keys(Option),
    "ready": _keys(Ready),
    "hardware": _hardware,
    "apps": _apps,
    "hooks": _hooks,
    "names": _names,
    "problems": _problems,
    "speed": _speed,
    "commands": _commands,
    "settings": _settings,
    "switches": _switches,
    "free": _free,
    "spend": lambda: _questions(spend.QUESTIONS),
    "session_json": _session_json,
    "errors": _errors,
    "api": _api,
}


def main() -> None:
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
