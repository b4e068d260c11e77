"""Models of JSON objects on the wire (`reference/qarnot-platform.md` §0.3, §0.5, §1.4).

Keys come in any case and are answered in camelCase. A null counts as not given. Unknown keys are ignored. A value of
another type is refused: `true` is no number and `"4"` is none either.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.alias_generators import to_camel

_UNITS = {"Ttl": "TTL", "Mb": "MB", "Gb": "GB"}  # written in capitals on the wire


def _alias(name: str) -> str:
    return functools.reduce(lambda text, unit: text.replace(*unit), _UNITS.items(), to_camel(name))


class WireModel(BaseModel):
    """A JSON object. Attributes have the names of Python, the wire has those of Qarnot."""

    model_config = ConfigDict(strict=True, alias_generator=_alias, serialize_by_alias=True)
    second_names: ClassVar[dict[str, str]] = {}  # other keys of a field, which count when the first one is not given

    @model_validator(mode="before")
    @classmethod
    def _spell(cls, given: Any) -> Any:
        """Drop nulls, and spell the known keys as their fields are."""
        if not isinstance(given, dict):
            return given
        names, second = _names(cls), {key.casefold(): name for key, name in cls.second_names.items()}
        known = {names[key.casefold()]: value for key, value in given.items() if _is_of(key, value, names)}
        return {second[key.casefold()]: value for key, value in given.items() if _is_of(key, value, second)} | known

    @property
    def given(self) -> set[str]:
        """The names of the attributes that were given with a value."""
        return {name for name in self.model_fields_set if getattr(self, name) is not None}


class Sent(WireModel):
    """An object that is answered as it was sent: what was not given is left out, not null."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


@functools.cache
def _names(kind: type[WireModel]) -> dict[str, str]:
    """Aliases by what they are in small letters."""
    return {alias.casefold(): alias for field in kind.model_fields.values() if (alias := field.alias)}


def _is_of(key: str, value: object, names: dict[str, str]) -> bool:
    return value is not None and key.casefold() in names
