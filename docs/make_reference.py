"""Writes what the documents and the schema say of live objects. A test fails when that is due.

In a document, what stands between `<!-- generated: NAME -->` and `<!-- end -->` is replaced.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402

import run_qarnot  # noqa: E402
from benchmarks import report  # noqa: E402
from run_qarnot.catalog.apps import BUILTIN  # noqa: E402
from run_qarnot.catalog.image import HARDWARE, IMAGE_ID, INTERNAL, Image, Option, Ready  # noqa: E402
from run_qarnot.catalog.reader import SCHEMA  # noqa: E402
from run_qarnot.core.locale.en import PROBLEMS  # noqa: E402
from run_qarnot.hooks import spec  # noqa: E402
from run_qarnot.hooks.discovery import HOOKS  # noqa: E402

SCHEMA_FILE = ROOT / "run_qarnot" / "images.schema.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "images.md", ROOT / "docs" / "plugins.md")
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HARDWARE_TYPES: Mapping[type, str] = {int: "integer", str: "string", bool: "boolean"}


def schema() -> dict[str, Any]:
    """The JSON Schema of `images.toml`."""
    entry = Image.model_json_schema()
    definitions = {"Option": entry["$defs"]["Option"], "Ready": entry["$defs"]["Ready"]}
    keys = {name: value for name, value in entry["properties"].items() if name not in INTERNAL}
    names = {key: keys["profile"].pop(key) for key in ("type", "items", "minItems")}
    keys["profile"]["anyOf"] = [{"type": "string"}, names]
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
        argument = re.match(r"    (\w+): (.*)", line)
        lines.append(f"- `{argument[1]}`: {argument[2]}" if argument else re.sub("^    ", "", line))
    text = "\n".join(lines)
    return re.sub(r"^(Arguments|Returns):\n", lambda head: f"{head[1]}:\n\n", text, flags=re.MULTILINE)


def _names() -> str:
    rows = []
    for name in run_qarnot.__all__:
        value = getattr(run_qarnot, name) if name != "build" else importlib.import_module("run_qarnot.page.build").build
        doc = inspect.getdoc(value) if not isinstance(value, str) and callable(value) else ""
        rows.append((f"`{name}`", NAMES.get(name) or (doc or "").split("\n\n")[0].replace("\n", " ")))
    return _table(("name", "what it is"), rows)


def _speed() -> str:
    return _table(report.HEAD, report.rows())


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
}


def main() -> None:
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
