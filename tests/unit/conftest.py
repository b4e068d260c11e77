"""Unit tests start from nothing: what other tests have protected is not hidden from these."""

import pytest

from run_qarnot.core import redaction


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())
