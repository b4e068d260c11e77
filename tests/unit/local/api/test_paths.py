"""Paths as clients write them."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from qarnot_local.api.paths import Paths

APP = FastAPI(openapi_url=None)


@APP.get("/tasks/{name}")
@APP.post("/tasks/search")
@APP.get("/secrets-manager/data/{key:path}")
def nothing() -> None:
    """A route alone."""


@pytest.mark.parametrize(
    ("method", "path", "repaired"),
    [
        ("POST", "//V1/Tasks/SEARCH/", "/tasks/search"),
        ("GET", "/v1/TASKS/Search", "/tasks/Search"),  # for GET, it is a name
        ("GET", "/Secrets-Manager/data/A/b", "/secrets-manager/data/A/b"),
        ("GET", "/v1", "/v1"),
        ("GET", "/Unknown", "/Unknown"),
    ],
)
def test_words_are_lowered_and_names_are_kept(method: str, path: str, repaired: str) -> None:
    assert Paths(APP.routes).repaired(method, path) == repaired
