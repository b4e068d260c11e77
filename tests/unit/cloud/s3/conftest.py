"""A client of botocore whose answers are written down: requests are checked against what S3's own model allows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.stub import Stubber

from run_qarnot.cloud.connection import storage_clients
from run_qarnot.cloud.s3.transfer import Transfer


@pytest.fixture
def storage() -> Iterator[Stubber]:
    """The answers of the storage, in their order; `storage.client` asks. All of them must be asked for."""
    calls, _ = storage_clients("http://127.0.0.1:1", "a@b.example", "token", timedelta())
    with Stubber(calls) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def work() -> Transfer:
    return Transfer("http://cluster", waits=(0.0, 0.0))
