"""What an account has to choose from: loaded on demand, and never shown to the next account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from run_qarnot.catalog import Catalog
from run_qarnot.cloud.models import Machine
from run_qarnot.core.errors import RefusedError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.state import State
from run_qarnot.model.files import StoredFile
from run_qarnot.model.view import SessionView
from run_qarnot.page.account_choices import AccountChoices

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BUCKETS = {"calm-heron-42-in": 1, "calm-heron-42-out": 7, "team-data": 9, "data": 2}


def view(state: State) -> SessionView:
    return SessionView("t1", "calm-heron-42", "base", "batch", "Command", state, 1, results="calm-heron-42-out")


class Account:
    """Answers as an account does, or refuses."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses, self.listed = refuses, list[str]()
        self.client = SimpleNamespace(storage=self)

    async def buckets(self) -> Iterable[str]:
        self._check()
        return BUCKETS

    async def machines(self) -> list[Machine]:
        self._check()
        return [Machine("amd_9454", "cpu_model", "amd_9454")]

    async def files(self, bucket: str) -> list[StoredFile]:
        self._check()
        self.listed.append(bucket)
        return [StoredFile("a", BUCKETS[bucket], NOW)]

    def _check(self) -> None:
        if self.refuses:
            raise RefusedError("rejected", message=Verbatim("no"))


def choices(*views: SessionView) -> tuple[AccountChoices, Any]:
    card: Any = SimpleNamespace(own_buckets=[], machine_kinds=[], resumable=[])
    page: Any = SimpleNamespace(sessions=SimpleNamespace(views=lambda: views))
    return AccountChoices(page, card, Catalog()), card


def offer(made: AccountChoices, account: Any) -> None:
    asyncio.run(made.offer(account))


def test_buckets_of_sessions_are_no_choice_and_results_have_a_size() -> None:
    made, card = choices(view(State.ENDED))
    account = Account()
    offer(made, account)
    assert card.own_buckets == ["data", "team-data"]
    assert card.machine_kinds == [{"name": "amd_9454", "kind": "cpu_model"}]
    assert [(row["name"], row["size"]) for row in card.resumable] == [("calm-heron-42", 7)]
    offer(made, account)
    assert account.listed == ["calm-heron-42-out"], "a size is asked for once"


def test_a_session_that_runs_has_no_size_yet() -> None:
    made, card = choices(view(State.READY))
    offer(made, Account())
    assert [row["size"] for row in card.resumable] == [None]


def test_a_cluster_that_refuses_leaves_no_choices_and_no_error() -> None:
    made, card = choices(view(State.ENDED))
    offer(made, Account(refuses=True))
    assert (card.own_buckets, card.machine_kinds) == ([], [])
    assert [row["size"] for row in card.resumable] == [None]


def test_an_account_that_was_forgotten_meanwhile_is_not_shown() -> None:
    made, card = choices(view(State.ENDED))

    class Slow(Account):
        async def buckets(self) -> Iterable[str]:
            made.forget()
            return BUCKETS

    offer(made, Slow())
    assert card.own_buckets == []
    assert card.resumable == []
