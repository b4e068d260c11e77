"""Definitions for clones and updates: one that there is, with the values that a request gives (§2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from qarnot_local.runtime.definition import Definition, TaskDefinition
from qarnot_local.wire_model import WireModel

_Definition = TypeVar("_Definition", bound=Definition)
_Model = TypeVar("_Model", bound=WireModel)


def merged(own: _Model, given: WireModel, names: Iterable[str]) -> _Model:
    """A copy of `own` with these attributes of `given`."""
    return own.model_copy(update={name: getattr(given, name) for name in names})


def overridden(own: _Definition, given: _Definition) -> _Definition:
    """What to submit for a clone: all of the first one, with the values that the request gives in their place."""
    names = given.given
    base: dict[str, object] = {"shortname": None}
    if "pool_uuid" in names:
        base["profile"] = None  # the one before may be that of its pool
    if "job_uuid" in names:
        base["pool_uuid"] = None
    if "resource_buckets" in names:
        base["advanced_resource_buckets"] = []
    if "instance_count" in names and isinstance(own, TaskDefinition):
        base["advanced_ranges"] = None
    return merged(own.model_copy(update=base, deep=True), given, names)
