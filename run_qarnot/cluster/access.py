"""Who may come in: one account, one token, which a test can let expire."""

from __future__ import annotations

import hmac


class Access:
    def __init__(self, email: str, token: str) -> None:
        self.email = email
        self.token = token
        self.is_expired = False

    def knows(self, given: bytes) -> bool:
        """Whether this is the account's token, expired or not."""
        return hmac.compare_digest(given, self.token.encode())

    def admits(self, given: bytes) -> bool:
        return self.knows(given) and not self.is_expired
