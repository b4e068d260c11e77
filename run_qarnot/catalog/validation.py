"""Turns pydantic's errors of an entry into problems for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from run_qarnot.catalog.image import INTERNAL, Image, Option, Ready
from run_qarnot.catalog.problem import Problem, ProblemFacts, make_problem, show_value
from run_qarnot.catalog.toml_positions import Lines
from run_qarnot.core.locale.en import FORMS
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.names import nearest

IMAGE_KEYS = tuple(name for name in Image.model_fields if name not in INTERNAL)
_DEPTH = {"constants": 2, "hardware": 2, "ready": 2, "options": 3}  # how many parts of a location are keys of the file
_UNIONS = {"constants": Message("type.scalar"), "default": Message("type.scalar-or-list")}

_WANTED = {
    "string_type": Message("type.text"),
    "string_sub_type": Message("type.text"),
    "int_type": Message("type.integer"),
    "int_parsing": Message("type.integer"),
    "int_from_float": Message("type.integer"),
    "float_type": Message("type.number"),
    "float_parsing": Message("type.number"),
    "finite_number": Message("type.number"),
    "bool_type": Message("type.boolean"),
    "bool_parsing": Message("type.boolean"),
    "tuple_type": Message("type.list"),
    "mapping_type": Message("type.table"),
    "dict_type": Message("type.table"),
    "model_type": Message("type.table"),
    "model_attributes_type": Message("type.table"),
}
_LIMITS = {
    "greater_than": ("least", "gt"),
    "greater_than_equal": ("least", "ge"),
    "less_than": ("most", "lt"),
    "less_than_equal": ("most", "le"),
}


def problems_of(
    error: ValidationError, source: str, entry: str, lines: Lines | None = None, table: tuple[str, ...] | None = None
) -> list[Problem]:
    """Return a problem for each wrong key. `table` is the location in the file, if it is not the entry's."""
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
    """Return the location as keys of the file: without list indices and branches of a union."""
    parts = tuple(str(part).strip() for part in fault["loc"])
    if fault["type"] == "catalog" and fault["ctx"]["key"]:
        parts = (*parts, fault["ctx"]["key"])
    return parts[: _DEPTH.get(parts[0], 1)] if parts else ()


def _words(fault: Mapping[str, Any], key: tuple[str, ...]) -> tuple[str, ProblemFacts]:
    """Return the code of an error, and its facts."""
    kind, context, last = fault["type"], fault.get("ctx", {}), key[-1] if key else ""
    found = show_value(fault["input"])
    if kind == "catalog":
        return context["code"], context["facts"]
    if kind == "extra_forbidden":
        known = _known_keys(key)
        allowed = Verbatim(", ".join(known))
        return "key-unknown", {"found": show_value(last), "allowed": allowed, "nearest": nearest(last, known)}
    if kind == "missing":
        return "key-missing", {}
    union = _UNIONS.get("constants" if key[:1] == ("constants",) else last)
    if union or kind in _WANTED:
        return "type", {"wanted": union or _WANTED[kind], "found": found}
    if kind in {"literal_error", "enum"}:
        offered = [name for name in re.findall(r"'([^']*)'", str(context.get("expected"))) if name]
        meant = nearest(str(fault["input"]), offered)
        return "not-offered", {"found": found, "allowed": Verbatim(", ".join(offered)), "nearest": meant}
    if kind in _LIMITS:
        code, name = _LIMITS[kind]
        return code, {"found": found, "allowed": Message(f"limit.{name}", number=f"{context[name]:g}")}
    if last in FORMS:
        return "form", {"wanted": Message(f"form.{last}"), "found": found}
    return "value", {"problem": Verbatim(fault["msg"]), "found": found}


def _known_keys(key: tuple[str, ...]) -> tuple[str, ...]:
    if len(key) > 2 and key[0] == "options":
        return tuple(Option.model_fields)
    return tuple(Ready.model_fields) if len(key) > 1 and key[0] == "ready" else IMAGE_KEYS
