"""Runs all checks one after another and removes everything they created, even after Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from run_qarnot.catalog import Catalog
from run_qarnot.cloud.api import Cloud
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import english
from run_qarnot.core.redaction import redact
from run_qarnot.doctor import account, network, spend, storage
from run_qarnot.doctor.observer import NotWantedError, Observer
from run_qarnot.doctor.question import Check, Finding, NoAnswerError, Seen
from run_qarnot.doctor.report import Report
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.settings import Settings, check_token

Tell = Callable[[str], None]
_MOST_CHARACTERS = 600  # of an answer
_REMOVE_SECONDS = 30.0  # after Ctrl-C


@dataclass
class Examination:
    """One run of the doctor.

    Arguments:
        look: gives access to the account.
        tell: called with progress messages.
        found: called with each finding.
    """

    look: Observer
    tell: Tell
    found: Callable[[Finding], None]

    @classmethod
    async def begin(
        cls, settings: Settings, token: str, catalog: Catalog, tell: Tell, found: Callable[[Finding], None]
    ) -> Examination:
        """Connect to the account.

        Raises:
            RunQarnotError: the token is refused, or the cluster does not respond.
        """
        token = check_token(token)
        cloud = await in_thread(Cloud, settings, token)
        return cls(Observer(settings, token, catalog, cloud), tell, found)

    @property
    def most(self) -> str:
        """The upper limit of what `run(spending=True)` uses, in words."""
        return spend.most(self.look)

    async def run(self, *, spending: bool) -> Report:
        """Run all checks and remove what they created.

        Arguments:
            spending: run also the checks that start tasks.
        """
        findings: list[Finding] = []
        spent: float | None = None
        work = asyncio.create_task(self._ask(findings, spending=spending))
        try:
            spent = await asyncio.shield(work)
        except BaseException:  # re-raised (including Ctrl-C) after removing what was made
            self.look.give_up()
            self.tell("Removing what was made; Ctrl-C again leaves it there.")
            with contextlib.suppress(Exception):  # whatever the checks raised, continue with the removal
                await asyncio.wait_for(work, _REMOVE_SECONDS)
            await self._remove()
            raise
        left = await self._remove()
        look = self.look
        changed = tuple(look.settings.compat.changed.items())
        return Report(look.settings.cluster_url, look.cloud.email, look.cloud_now(), findings, left, changed, spent)

    async def _ask(self, findings: list[Finding], *, spending: bool) -> float | None:
        look = self.look
        checks = [*account.CHECKS, *account.catalog_checks(look.catalog), *network.CHECKS, *storage.CHECKS]
        await in_thread(self._remove_stale)
        await in_thread(self._answer_all, checks, findings)
        if not spending:
            return None
        await in_thread(self._answer_all, await spend.run(look, self.tell), findings)
        return await in_thread(spend.cost, look)

    def _remove_stale(self) -> None:
        with contextlib.suppress(RunQarnotError):
            for bucket in self.look.remove_stale():
                self.tell(f"Removed {bucket}, which an earlier examination had left.")

    def _answer_all(self, checks: Sequence[Check[Observer]], findings: list[Finding]) -> None:
        for check in checks:
            finding = _finding(check, self.look)
            findings.append(finding)
            self.found(finding)

    async def _remove(self) -> list[str]:
        left = await in_thread(self.look.remove)
        if left:
            self.tell(f"Not removed: {', '.join(left)}.")
        return left


def _finding(check: Check[Observer], look: Observer) -> Finding:
    try:
        seen = check.answer(look)
    except NotWantedError:
        raise
    except NoAnswerError as error:
        seen = Seen(str(error), is_expected=False)
    except RunQarnotError as error:
        seen = Seen(f"an error: {english(error.sentence)}", is_expected=False)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # a malformed response
        seen = Seen(f"an answer that cannot be read ({type(error).__name__})", is_expected=False)
    return Finding(check.question, redact(seen.text)[:_MOST_CHARACTERS], seen.verdict)
