"""Hardware constraints, answered by what this machine is (`reference/qarnot-platform.md` §2.2).

Refused is only what cannot be played: a GPU, or a processor that is named. A wish for more cores or memory than this
machine has, or for a machine of the cloud by its key, is let through, or no program written for the cloud could be
tried here.
"""

from __future__ import annotations

from typing import Any

from qarnot_local.runtime.machine import machine


def offered() -> list[dict[str, Any]]:
    own = machine()
    return [
        {"discriminator": "SpecificHardwareConstraint", "specificationKey": own.key},
        {"discriminator": "MinimumCoreHardwareConstraint", "coreCount": own.cores},
        {"discriminator": "MaximumCoreHardwareConstraint", "coreCount": own.cores},
        {"discriminator": "MinimumRamHardwareConstraint", "minimumMemoryMB": float(own.memory_mb)},
        {"discriminator": "MaximumRamHardwareConstraint", "maximumMemoryMB": float(own.memory_mb)},
        {"discriminator": "NoGpuHardwareConstraint"},
        {"discriminator": "SSDHardwareConstraint"},
        {"discriminator": "CpuModelHardwareConstraint", "cpuModel": own.cpu_model},
    ]


def cpu_models(wanted: str) -> list[dict[str, str]]:
    model = machine().cpu_model
    if wanted.casefold() not in model.casefold():
        return []
    return [{"discriminator": "CpuModelHardwareConstraint", "cpuModel": model}]


def refusal(constraint: dict[str, Any]) -> str | None:
    """Why no machine meets a constraint; None when one does."""
    kind = str(constraint.get("discriminator"))
    if kind == "GpuHardwareConstraint":
        return "there is no GPU here"
    if kind == "CpuModelHardwareConstraint" and constraint.get("cpuModel") != machine().cpu_model:
        return f"no machine has the processor {constraint.get('cpuModel')}"
    return None
