"""Which buckets of an ended session may be deleted with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.cloud.api import BucketUser
from run_qarnot.core.errors import SessionError
from run_qarnot.core.state import State
from run_qarnot.engine.leftovers import deletable_buckets
from run_qarnot.model.view import SessionView

VIEW = SessionView(
    "id-1", "calm", "base", "batch", "Command", State.ENDED, 1, inputs="calm-in", results="calm-out"
)  # fmt: skip
BOTH = {"calm-in", "calm-out"}


def deletable(*users: BucketUser, view: SessionView = VIEW, preparing: tuple[str, ...] = ()) -> list[str]:
    async def bucket_users() -> list[BucketUser]:
        return list(users)

    plans = {"launch": SimpleNamespace(name="new", resources=preparing)} if preparing else {}
    client: Any = SimpleNamespace(bucket_users=bucket_users, preparing=plans)
    return asyncio.run(deletable_buckets(client, view, {"id-1"}))


def test_both_buckets_go_with_the_only_session_that_names_them() -> None:
    assert deletable(BucketUser("id-1", "calm", "Success", BOTH)) == ["calm-in", "calm-out"]


def test_buckets_of_another_name_stay() -> None:
    assert deletable(view=replace(VIEW, inputs="team-data")) == ["calm-out"]


@pytest.mark.parametrize("state", ["FullyExecuting", "Success"])
def test_buckets_that_something_else_names_stay(state: str) -> None:
    with pytest.raises(SessionError) as caught:
        deletable(BucketUser("id-2", "continues\x1b[31m", state, {"calm-out"}))
    assert caught.value.code == "in-use"
    assert "\x1b" not in str(caught.value), "anybody on the account may have chosen the name"


def test_buckets_of_a_session_that_is_being_prepared_stay() -> None:
    with pytest.raises(SessionError, match="new"):
        deletable(preparing=("calm-out",))


def test_a_start_that_was_never_submitted_leaves_the_buckets_to_the_one_that_was() -> None:
    never = replace(VIEW, id="")
    assert deletable(BucketUser("id-2", "calm", "Success", BOTH), view=never) == []
    with pytest.raises(SessionError):
        deletable(BucketUser("id-2", "calm", "FullyExecuting", BOTH), view=never)
