"""Raw answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from run_qarnot.cloud.probe import Answer, ApiProbe, StorageAnswer, StorageProbe, proxy_of
from run_qarnot.model.settings import Settings

NOWHERE = "http://127.0.0.1:9"


def test_no_answer_is_an_answer_too() -> None:
    probe = ApiProbe(Settings(cluster_url=NOWHERE), "a-token-of-nobody")
    for answer in (probe.ask("GET", "/info"), probe.fetch("GET", NOWHERE)):
        assert (answer.status, answer.text, answer.is_ok) == (0, "ConnectionError", False)


def test_a_storage_that_is_not_there_is_an_answer_too() -> None:
    storage = StorageProbe(NOWHERE, "ada@example.org", "a-token-of-nobody", timedelta())
    answer = storage.call("list_buckets")
    assert (answer.status, str(answer)) == (0, "EndpointConnectionError")
    assert storage.read("bucket", "key") is None


def test_answers_are_written_by_status_and_code() -> None:
    assert str(StorageAnswer(200, "200")) == "200"
    assert str(StorageAnswer(412, "PreconditionFailed")) == "412 PreconditionFailed"
    assert Answer(204).is_ok
    assert not Answer(302).is_ok


def test_nothing_on_this_machine_is_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert proxy_of("http://127.0.0.1:80") == ""
    assert proxy_of("https://api.qarnot.com") == "http://proxy.example:3128"
