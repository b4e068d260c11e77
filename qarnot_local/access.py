"""Authentication: one account with one token, which a test can expire."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from qarnot_local.runtime.clock import Clock

_TOLERANCE = timedelta(minutes=15)


class Access:
    def __init__(self, email: str, token: str) -> None:
        self.email = email
        self.token = token
        self.is_expired = False
        self.clock: Clock | None = None  # by which requests to the storage must be signed; None: by any

    def is_skewed(self, signed: datetime | None) -> bool:
        """Whether a request was signed at another time than now."""
        return signed is not None and self.clock is not None and abs(signed - self.clock.now()) > _TOLERANCE

    def knows(self, given: bytes) -> bool:
        """Whether this is the account's token, expired or not."""
        return hmac.compare_digest(given, self.token.encode())

    def admits(self, given: bytes) -> bool:
        return self.knows(given) and not self.is_expired
