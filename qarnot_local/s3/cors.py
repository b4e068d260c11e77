"""CORS of buckets, as S3 has it: by the bucket's own rules.

moto lets every page do everything. A real storage allows nothing until `PutBucketCors` says so, answers a preflight
without looking for a signature, and refuses one that no rule fits with 403. The first rule that fits counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_Headers = list[tuple[str, str]]
_StartResponse = Callable[..., Any]
_OURS = "access-control-"


@dataclass(frozen=True)
class CorsRule:
    """One `CORSRule`; `*` in an origin or a header stands for anything."""

    methods: tuple[str, ...]
    origins: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: str = ""

    @classmethod
    def of_moto(cls, rule: Any) -> CorsRule:
        """From moto's own record, where one value is a text and several are a list."""
        return cls(
            _several(rule.allowed_methods),
            _several(rule.allowed_origins),
            tuple(name.lower() for name in _several(rule.allowed_headers)),
            _several(rule.exposed_headers),
            str(rule.max_age_seconds or ""),
        )

    def for_moto(self) -> dict[str, Any]:
        """As moto takes it: the fields of S3's own `CORSRule`."""
        answer = {"AllowedMethod": list(self.methods), "AllowedOrigin": list(self.origins)}
        answer |= {"AllowedHeader": list(self.headers), "ExposeHeader": list(self.exposed)}
        return {**answer, **({"MaxAgeSeconds": self.max_age} if self.max_age else {})}

    def fits(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        return (
            any(fnmatchcase(origin, allowed) for allowed in self.origins)
            and method in self.methods
            and all(any(fnmatchcase(name, allowed) for allowed in self.headers) for name in headers)
        )

    def answer(self, origin: str) -> _Headers:
        answer = [
            ("Access-Control-Allow-Origin", "*" if "*" in self.origins else origin),
            ("Access-Control-Allow-Methods", ", ".join(self.methods)),
            ("Access-Control-Expose-Headers", ", ".join(self.exposed)),
            ("Access-Control-Max-Age", self.max_age),
            ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
        ]
        return [(name, value) for name, value in answer if value]


def preflight(rules: Iterable[CorsRule], environ: Mapping[str, Any]) -> _Headers | None:
    """Return the headers of the answer to a preflight; None to refuse it."""
    origin, method = environ.get("HTTP_ORIGIN", ""), environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").lower().replace(" ", "")
    rule = next((rule for rule in rules if rule.fits(origin, method, filter(None, asked.split(",")))), None)
    if rule is None:
        return None
    return [*rule.answer(origin), *([("Access-Control-Allow-Headers", asked)] if asked else [])]


def by_rules(rules: Iterable[CorsRule], environ: Mapping[str, Any], start_response: _StartResponse) -> _StartResponse:
    """Wrap `start_response`: set the CORS headers of the rules in place of moto's."""
    origin, method = environ.get("HTTP_ORIGIN", ""), environ["REQUEST_METHOD"]
    rule = next((rule for rule in rules if origin and rule.fits(origin, method)), None)

    def begin(status: str, headers: _Headers, *more: Any) -> Any:
        others = [(name, value) for name, value in headers if not name.lower().startswith(_OURS)]
        return start_response(status, [*others, *(rule.answer(origin) if rule else [])], *more)

    return begin


def _several(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())
