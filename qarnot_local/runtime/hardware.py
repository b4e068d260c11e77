"""Hardware constraints, answered by what this machine is (`reference/qarnot-platform.md` §2.2).

Only a GPU and a processor named by its model are refused. Constraints on cores, memory or the specification key are
accepted even if this machine does not meet them, so that programs written for the cloud can be tried here.
"""

from __future__ import annotations

from qarnot_local.runtime.definition import HardwareConstraint
from qarnot_local.runtime.machine import machine

# The vendor's document has no others: an unknown one is refused.
KINDS = frozenset(
    f"{kind}HardwareConstraint"
    for kind in """MinimumCore MaximumCore MinimumRam MaximumRam MinimumRamCoreRatio MaximumRamCoreRatio Specific SSD
    NoSSD Gpu NoGpu CpuModel""".split()
)


def offered() -> list[dict[str, str | int | float]]:
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


def is_known(constraint: HardwareConstraint) -> bool:
    """Whether the discriminator is one of the vendor's document."""
    return constraint.discriminator in KINDS


def refusal(constraint: HardwareConstraint) -> str | None:
    """Why no machine meets a constraint; None when one does."""
    kind = constraint.discriminator
    if kind == "GpuHardwareConstraint":
        return "there is no GPU here"
    if kind == "CpuModelHardwareConstraint" and constraint.cpu_model != machine().cpu_model:
        return f"no machine has the processor {constraint.cpu_model}"
    return None
