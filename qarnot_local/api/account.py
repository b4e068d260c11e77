"""Account, profiles, quotas, credits and carbon facts (`reference/qarnot-platform.md` §1.2, §1.3, §3.1, §5)."""

from __future__ import annotations

import asyncio
import re

from fastapi import FastAPI, Request

from qarnot_local.api.context import PROJECT, Context, euros
from qarnot_local.api.errors import ApiError
from qarnot_local.api.requests import find_task, query
from qarnot_local.runtime import hardware as constraints
from qarnot_local.runtime.machine import machine
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.wire import View

_ORGANIZATION = "9d0c3b62-5a3f-4d0e-8c55-6f0a2f1d7e22"

# Invented figures, so that clients have some to show: nothing is paid for, nothing is measured.
_BUDGET_CENTS = 100_000
_WATTS_PER_CORE = 8.0
_GRAMS_PER_WH = 0.056  # CO2 equivalent, about the French grid
_OTHER_PUE = 1.55


def add_routes(app: FastAPI, world: Context) -> None:
    @app.get("/settings")
    async def settings() -> dict[str, str]:
        return {"storage": world.storage_url}

    @app.get("/versions")
    async def versions() -> list[View]:
        return [{"version": "v1", "endOfLife": None}]

    @app.get("/v1")
    async def root() -> View:
        return {}

    @app.get("/info")
    async def info() -> View:
        return await _info(world)

    @app.get("/profiles")
    async def profiles() -> list[str]:
        return list(PROFILES)

    @app.get("/profiles/{name}")
    async def profile(name: str) -> View:
        if name not in PROFILES:
            raise ApiError(404, f"No such profile: {name}")
        return PROFILES[name].answer()

    @app.get("/hardware-constraints")
    async def hardware(request: Request) -> View:
        return _page(request, constraints.offered())

    @app.get("/hardware-constraints/cpu-model-constraints/search")
    async def cpu_models(request: Request) -> list[dict[str, str]]:
        return constraints.cpu_models(query(request, "cpuModel") or "")

    @app.get("/quotas/computing-quotas/user")
    async def user_quotas() -> View:
        return _quotas(world)

    @app.get("/quotas/computing-quotas/organization")
    async def organization_quotas() -> View:
        own = {kind: {world.email: counts} for kind, counts in _running(world).items() if any(counts.values())}
        quotas = {
            kind: {**quota, "runningCountsPerUser": own.get(kind, {})}
            for kind, quota in _quotas(world).items()
            if quota
        }
        return {"name": "This machine", "reserved": [], **quotas}

    @app.get("/credits/v1/accounts/credits")
    async def credits_left() -> dict[str, float]:
        return {"credits": round(world.credits_left(), 4)}

    @app.get("/credits/v1/tasks/{name}/credits")
    async def credits_used(name: str) -> dict[str, float]:
        return {"credits": round(euros(find_task(world, name).execution_seconds), 6)}

    @app.get("/carbon/v1/tasks/{name}/carbon-facts")
    async def carbon(name: str, request: Request) -> View:
        other = query(request, "comparisonDatacenter") or "Average European data center"
        return carbon_facts(find_task(world, name).execution_seconds, other)

    @app.get("/credits/v1/pools/{name}/credits")
    async def pool_credits(name: str) -> dict[str, float]:
        return {"credits": round(euros(_pool_seconds(world, name)), 6)}

    @app.get("/carbon/v1/pools/{name}/carbon-facts")
    async def pool_carbon(name: str, request: Request) -> View:
        other = query(request, "comparisonDatacenter") or "Average European data center"
        return carbon_facts(_pool_seconds(world, name), other)

    @app.get("/credits/v1/projects/{uuid}/budgets")
    async def budgets(uuid: str) -> View:
        if uuid not in world.projects:
            raise ApiError(404, f"No such project: {uuid}")
        return {"budgets": [_budget(world)]}


def _pool_seconds(world: Context, name: str) -> float:
    pool = world.manager.pools.find(name)
    if pool is None:
        raise ApiError(404, f"No such pool: {name}")
    return sum(task.execution_seconds for task in world.manager.tasks_of(pool))


def _budget(world: Context) -> View:
    spent = round(100 * euros(world.manager.execution_seconds()))
    return {
        "uuid": "6c1c2d1e-5b0f-4d56-8f3a-2b9f0a7c4e33",
        "alias": "main",
        "consumedAmountInCents": spent,
        "totalAmountInCents": _BUDGET_CENTS,
        "remainingAmountInCents": _BUDGET_CENTS - spent,
        "startDateUtc": "2026-01-01T00:00:00Z",
        "expirationDateUtc": None,
        "budgetOverrunPolicy": "AlertOnly",
        "isArchived": False,
    }


def carbon_facts(seconds: float, other: str) -> View:
    """Plausible figures from the time alone, in the spelling of the SDKs and in that of the OpenAPI document."""
    energy = seconds / 3600 * machine().cores * _WATTS_PER_CORE
    reused, own = energy * 0.8, energy * _GRAMS_PER_WH
    theirs = energy * _OTHER_PUE * _GRAMS_PER_WH
    heat = reused * _GRAMS_PER_WH
    saved = theirs - own + heat
    figures: list[tuple[str, str, float | str]] = [
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


def _page(request: Request, items: list[View]) -> View:
    """Clients continue at offset + limit, some ask for 2147483647, and 0 would be an endless loop (§2.2)."""
    numbers = [query(request, name) or "" for name in ("limit", "offset")]
    limit, offset = (int(text) if re.fullmatch("[0-9]{1,18}", text) else 0 for text in numbers)
    limit = min(max(limit, 1), 50) if limit else 50
    return {"data": items[offset : offset + limit], "offset": offset, "limit": limit, "total": len(items)}


def _running(world: Context) -> dict[str, dict[str, int]]:
    """Instances and cores in use, by scheduling type."""
    counts: dict[str, dict[str, int]] = {}
    for kind in ("flex", "onDemand", "reserved"):
        own = [task for task in world.manager.running() if task.definition.scheduling_type == kind]
        count = sum(instance.is_listed for task in own for instance in task.instances)
        cores = count * machine().cores
        # The vendor's document spells it without s, the SDKs read it with.
        counts[kind] = {"runningInstancesCount": count, "runningCoresCount": cores, "runningCoreCount": cores}
    return counts


def _quotas(world: Context) -> View:
    instances = world.manager.quotas.instances
    maximum = {"maxInstances": instances, "maxCores": instances * machine().cores}
    running = _running(world)
    return {kind: {**maximum, **running[kind]} for kind in ("flex", "onDemand")} | {"reserved": []}


async def _info(world: Context) -> View:
    manager, limits = world.manager, world.manager.quotas
    buckets, used = await asyncio.to_thread(manager.storage.usage)
    quotas = _quotas(world)
    instances, cores = quotas["flex"]["maxInstances"], quotas["flex"]["maxCores"]
    running = [counts for kind, counts in _running(world).items()]
    open_pools = sum(pool.is_open for pool in manager.pools)
    return {
        "email": world.email,
        "maxBucket": limits.buckets,
        "bucketCount": buckets,
        "quotaBytesBucket": limits.bytes,
        "usedQuotaBytesBucket": used,
        "quotaBytes": limits.bytes,
        "usedQuotaBytes": used,
        "maxTask": limits.tasks,
        "taskCount": len(manager.tasks),
        "maxRunningTask": limits.running_tasks,
        "runningTaskCount": len(manager.running()),
        "maxJob": limits.jobs,
        "jobCount": len(manager.jobs),
        "maxPool": limits.pools,
        "poolCount": len(manager.pools),
        "maxRunningPool": limits.running_pools,
        "runningPoolCount": open_pools,
        "runningInstanceCount": sum(counts["runningInstancesCount"] for counts in running),
        "runningCoreCount": sum(counts["runningCoresCount"] for counts in running),
        **{f"max{kind}Instances": instances for kind in ("", "Flex", "OnDemand")},
        **{f"max{kind}Cores": cores for kind in ("", "Flex", "OnDemand")},
        "reservedQuotas": [],
        "defaultScheduling": "Flex",
        "defaultReservedSpecificationKey": None,
        "computingQuotas": {"user": quotas, "organization": {"name": "This machine", **quotas}},
        "projects": [_project()],
    }


def _project() -> View:
    return {
        "uuid": PROJECT,
        "slug": "main",
        "name": "Main",
        "organizationUuid": _ORGANIZATION,
        "description": "",
        "isDefault": True,
    }
