"""The FastAPI application: all routes behind the middleware."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from qarnot_local.access import Access
from qarnot_local.api import (
    account,
    clones,
    control_routes,
    errors,
    job_routes,
    listing,
    outputs,
    pool_routes,
    secret_routes,
    snapshots,
    task_routes,
)
from qarnot_local.api.context import Context
from qarnot_local.api.middleware import Middleware
from qarnot_local.runtime.clock import Clock

_PARTS = (account, listing, task_routes, clones, outputs, snapshots, job_routes, pool_routes, secret_routes)


def make_app(world: Context, access: Access, clock: Clock) -> ASGIApp:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(errors.ApiError, errors.answer_error)
    app.add_exception_handler(errors.MalformedError, errors.answer_malformed)
    app.add_exception_handler(HTTPException, errors.answer_unrouted)
    app.add_middleware(errors.UnhandledErrors)
    for part in (*_PARTS, control_routes):
        part.add_routes(app, world)
    return Middleware(app, access, world.faults, clock)
