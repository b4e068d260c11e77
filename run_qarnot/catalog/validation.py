"""What pydantic says of an entry → problems in words for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from run_qarnot.catalog.image import INTERNAL, Image, Option, Ready
from run_qarnot.catalog.problem import Problem, make_problem, show_value
from run_qarnot.catalog.toml_positions import Lines
from run_qarnot.core.messages import FORMS
from run_qarnot.core.names import nearest

IMAGE_KEYS = tuple(name for name in Image.model_fields if name not in INTERNAL)
_DEPTH = {"constants": 2, "hardware": 2, "ready": 2, "options": 3}  # how many parts of a place are keys of the file
_UNIONS = {"constants": "text, a number, true or false", "default": "text, a number, true, false or a list"}

_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "mapping_type": "a table",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_LIMITS = {
    "greater_than": ("least", "gt", "more than {}"),
    "greater_than_equal": ("least", "ge", "{} or more"),
    "less_than": ("most", "lt", "less than {}"),
    "less_than_equal": ("most", "le", "{} or less"),
}


def problems_of(
    error: ValidationError, source: str, entry: str, lines: Lines | None = None, table: tuple[str, ...] | None = None
) -> list[Problem]:
    """Return one problem for each key that is wrong. `table` is the place in the file, if not that of the entry."""
    place = table or ("images", entry)
    problems: dict[tuple[str, ...], Problem] = {}
    for fault in error.errors(include_url=False):
        key = _key_of(fault)
        if key not in problems:
            code, facts = _words(fault, key)
            line = lines.of(*place, *key) if lines else None
            shown = ".".join((*(table or ()), *key))
            problems[key] = make_problem(code, source, entry=entry, key=shown, line=line, **facts)
    return list(problems.values())


def _key_of(fault: Mapping[str, Any]) -> tuple[str, ...]:
    """The place as keys of the file: without the index in a list, and the branches of a union."""
    parts = tuple(str(part).strip() for part in fault["loc"])
    if fault["type"] == "catalog" and fault["ctx"]["key"]:
        parts = (*parts, fault["ctx"]["key"])
    return parts[: _DEPTH.get(parts[0], 1)] if parts else ()


def _words(fault: Mapping[str, Any], key: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The code of a fault, and its facts."""
    kind, context, last = fault["type"], fault.get("ctx", {}), key[-1] if key else ""
    found = show_value(fault["input"])
    if kind == "catalog":
        return context["code"], context["facts"]
    if kind == "extra_forbidden":
        known = _known_keys(key)
        return "key-unknown", {"found": show_value(last), "allowed": ", ".join(known), "nearest": nearest(last, known)}
    if kind == "missing":
        return "key-missing", {}
    union = _UNIONS.get("constants" if key[:1] == ("constants",) else last)
    if union or kind in _WANTED:
        return "type", {"wanted": union or _WANTED[kind], "found": found}
    if kind in {"literal_error", "enum"}:
        offered = [name for name in re.findall(r"'([^']*)'", str(context.get("expected"))) if name]
        meant = nearest(str(fault["input"]), offered)
        return "not-offered", {"found": found, "allowed": ", ".join(offered), "nearest": meant}
    if kind in _LIMITS:
        code, name, words = _LIMITS[kind]
        return code, {"found": found, "allowed": words.format(f"{context[name]:g}")}
    if last in FORMS:
        return "form", {"wanted": FORMS[last], "found": found}
    return "value", {"problem": fault["msg"], "found": found}


def _known_keys(key: tuple[str, ...]) -> tuple[str, ...]:
    if len(key) > 2 and key[0] == "options":
        return tuple(Option.model_fields)
    return tuple(Ready.model_fields) if len(key) > 1 and key[0] == "ready" else IMAGE_KEYS
