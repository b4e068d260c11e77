"""Who you are, what you may use, what it costs (`reference/qarnot-platform.md` §1.2, §1.3, §3.1, §5)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request

from run_qarnot.cluster import manager as limits
from run_qarnot.cluster.api.errors import ApiError
from run_qarnot.cluster.api.requests import find_task, query
from run_qarnot.cluster.api.world import World
from run_qarnot.cluster.machine import machine
from run_qarnot.cluster.profiles import PROFILES

_PROJECT = "3a8f6d1e-0b52-4c1d-9a57-2f6f5f0c7d11"
_ORGANIZATION = "9d0c3b62-5a3f-4d0e-8c55-6f0a2f1d7e22"
_BUCKETS = 100
_BYTES = 10 * 2**30

# Invented by the local cluster, so that figures are there to be shown: nothing is paid for, nothing is measured.
_CREDITS = 50.0
_EUROS_PER_CORE_HOUR = 0.02
_WATTS_PER_CORE = 8.0
_GRAMS_PER_WH = 0.056  # CO2 equivalent, about the French grid
_OTHER_PUE = 1.55


def add_routes(app: FastAPI, world: World) -> None:
    @app.get("/settings")
    async def settings() -> dict[str, str]:
        return {"storage": world.storage_url}

    @app.get("/versions")
    async def versions() -> list[dict[str, Any]]:
        return [{"version": "v1", "endOfLife": None}]

    @app.get("/v1")
    async def root() -> dict[str, Any]:
        return {}

    @app.get("/info")
    async def info() -> dict[str, Any]:
        return await _info(world)

    @app.get("/profiles")
    async def profiles() -> list[str]:
        return list(PROFILES)

    @app.get("/profiles/{name}")
    async def profile(name: str) -> dict[str, Any]:
        if name not in PROFILES:
            raise ApiError(404, f"No such profile: {name}")
        return PROFILES[name].answer()

    @app.get("/hardware-constraints")
    async def hardware(request: Request) -> dict[str, Any]:
        return _page(request, [{"discriminator": "SpecificHardwareConstraint", "specificationKey": machine().key}])

    @app.get("/hardware-constraints/cpu-model-constraints/search")
    async def cpu_models(request: Request) -> list[dict[str, str]]:
        wanted = (query(request, "cpuModel") or "").casefold()
        model = machine().cpu_model
        return (
            [{"discriminator": "CpuModelHardwareConstraint", "cpuModel": model}] if wanted in model.casefold() else []
        )

    @app.get("/quotas/computing-quotas/user")
    async def user_quotas() -> dict[str, Any]:
        return _quotas(world)

    @app.get("/quotas/computing-quotas/organization")
    async def organization_quotas() -> dict[str, Any]:
        users = {world.email: _running(world)} if world.manager.running() else {}
        quotas = {name: {**quota, "runningCountsPerUser": users} for name, quota in _quotas(world).items() if quota}
        return {"name": "This machine", "reserved": [], **quotas}

    @app.get("/credits/v1/accounts/credits")
    async def credits_left() -> dict[str, float]:
        return {"credits": round(_CREDITS - sum(_euros(task.execution_seconds) for task in world.manager.tasks), 4)}

    @app.get("/credits/v1/tasks/{name}/credits")
    async def credits_used(name: str) -> dict[str, float]:
        return {"credits": round(_euros(find_task(world, name).execution_seconds), 6)}

    @app.get("/carbon/v1/tasks/{name}/carbon-facts")
    async def carbon(name: str, request: Request) -> dict[str, Any]:
        other = query(request, "comparisonDatacenter") or "Average European data center"
        return carbon_facts(find_task(world, name).execution_seconds, other)


def _euros(seconds: float) -> float:
    return seconds / 3600 * machine().cores * _EUROS_PER_CORE_HOUR


def carbon_facts(seconds: float, other: str) -> dict[str, Any]:
    """Plausible figures from the time alone, in both spellings: SDKs read the first, the OpenAPI says the second."""
    energy = seconds / 3600 * machine().cores * _WATTS_PER_CORE
    reused, own = energy * 0.8, energy * _GRAMS_PER_WH
    theirs = energy * _OTHER_PUE * _GRAMS_PER_WH
    heat = reused * _GRAMS_PER_WH
    saved = theirs - own + heat
    figures: list[tuple[str, str, Any]] = [
        ("total_consumed_energy_Wh", "totalConsumedEnergyWh", energy),
        ("total_energy_it_Wh", "totalEnergyITWh", energy),
        ("total_reused_energy_Wh", "totalReuseEnergyWh", reused),
        ("qarnot_carbon_footprint", "carbonFootprintC02Eq", own),
        ("equivalent_datacenter_name", "comparisonDataCenterName", other),
        ("equivalent_DC_carbon_footprint", "equivalentDCCarbonFootprintC02Eq", theirs),
        ("saved_carbon_footprint_compute", "savedCarbonFootprintComputeC02Eq", theirs - own),
        ("saved_carbon_footprint_heat", "savedCarbonFootprintHeatC02Eq", heat),
        ("saved_carbon_footprint_compute_heat", "savedCarbonFootprintComputeHeatC02Eq", saved),
        ("saved_carbon_footprint_percent", "savedCarbonFootprintPercentage", 100 * saved / theirs if theirs else 0.0),
        ("PUE", "pue", 1.0),
        ("ERE", "ere", 0.2),
        ("ERF", "erf", 0.8),
        ("WUE", "wue", 0.0),
    ]
    return {key: value for snake, camel, value in figures for key in (snake, camel)}


def _page(request: Request, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Clients continue at offset + limit, some ask for 2147483647, and 0 would be an endless loop (§2.2)."""
    numbers = [query(request, name) or "" for name in ("limit", "offset")]
    limit, offset = (int(text) if text.isdigit() else 0 for text in numbers)
    limit = min(max(limit, 1), 50) if limit else 50
    return {"data": items[offset : offset + limit], "offset": offset, "limit": limit, "total": len(items)}


def _running(world: World) -> dict[str, int]:
    count = len(world.manager.running())
    cores = count * machine().cores
    return {"runningInstancesCount": count, "runningCoresCount": cores, "runningCoreCount": cores}


def _quotas(world: World) -> dict[str, Any]:
    maximum = {"maxInstances": limits.MAX_RUNNING_TASKS, "maxCores": limits.MAX_RUNNING_TASKS * machine().cores}
    none = {"runningInstancesCount": 0, "runningCoresCount": 0, "runningCoreCount": 0}
    return {"flex": {**maximum, **_running(world)}, "onDemand": {**maximum, **none}, "reserved": []}


async def _info(world: World) -> dict[str, Any]:
    buckets, used = await asyncio.to_thread(world.manager.storage.usage)
    quotas = _quotas(world)
    instances, cores = quotas["flex"]["maxInstances"], quotas["flex"]["maxCores"]
    running = len(world.manager.running())
    return {
        "email": world.email,
        "maxBucket": _BUCKETS,
        "bucketCount": buckets,
        "quotaBytesBucket": _BYTES,
        "usedQuotaBytesBucket": used,
        "quotaBytes": _BYTES,
        "usedQuotaBytes": used,
        "maxTask": limits.MAX_TASKS,
        "taskCount": len(world.manager.tasks),
        "maxRunningTask": limits.MAX_RUNNING_TASKS,
        "runningTaskCount": running,
        "maxJob": limits.MAX_JOBS,
        "jobCount": len(world.manager.jobs),
        "maxPool": 0,
        "poolCount": 0,
        "maxRunningPool": 0,
        "runningPoolCount": 0,
        "runningInstanceCount": running,
        "runningCoreCount": running * machine().cores,
        "maxInstances": instances,
        "maxCores": cores,
        "maxFlexInstances": instances,
        "maxFlexCores": cores,
        "maxOnDemandInstances": instances,
        "maxOnDemandCores": cores,
        "reservedQuotas": [],
        "defaultScheduling": "Flex",
        "defaultReservedSpecificationKey": None,
        "computingQuotas": {"user": quotas, "organization": {"name": "This machine", **quotas}},
        "projects": [
            {
                "uuid": _PROJECT,
                "slug": "main",
                "name": "Main",
                "organizationUuid": _ORGANIZATION,
                "description": "",
                "isDefault": True,
            }
        ],
    }
