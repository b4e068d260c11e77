"""What the definition of a task or of a pool says about its constants and its files (§2.2)."""

from __future__ import annotations

from typing import Any


def constants_in(definition: dict[str, Any]) -> dict[str, str]:
    """The client's own, overridden by those that are forced; a forced null only says that there is such a constant."""
    given = {constant["key"]: constant["value"] for constant in definition["constants"]}
    forced = {
        each["constantName"]: each["forcedValue"]
        for each in definition["forcedConstants"]
        if each.get("forcedValue") is not None
    }
    return given | forced


def resources_in(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """The buckets whose objects come along, whichever of the two lists they were given in."""
    simple = [{"bucketName": name} for name in definition["resourceBuckets"]]
    return [*simple, *definition["advancedResourceBuckets"]]
