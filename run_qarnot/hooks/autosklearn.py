"""The checks and conversions of auto-sklearn beyond its entry in `images.toml`: options that exclude each other, lists
with spaces, and several machines. It applies to every image of the profile."""

from __future__ import annotations

from run_qarnot.hooks.api import Refusal, TaskDraft
from run_qarnot.hooks.spec import hookimpl
from run_qarnot.model.spec import SessionSpec

PROFILE = "auto-sklearn-cluster"
_LISTS = ("ESTIMATORS", "PREPROCESSORS")
_NONE = "None"  # the profile's word for an empty list


@hookimpl
def rq_prepare(plan: TaskDraft, spec: SessionSpec) -> None:
    """Refuse options that auto-sklearn cannot combine, and convert the others to the format of the profile."""
    if plan.profile != PROFILE:
        return
    constants = {name: str(value) for name, value in plan.constants.items()}
    for kind in _LISTS:
        if constants.get(f"INCLUDE_{kind}") and constants.get(f"EXCLUDE_{kind}"):
            raise Refusal(
                f"{kind.lower()} can be included or excluded, not both: to include some excludes all others already."
            )
    total, each = (float(constants.get(name) or 0) for name in ("TOTAL_TIME_LIMIT", "PER_RUN_TIME_LIMIT"))
    if each > total:
        raise Refusal(f"one run may take {each:g} minutes, which is more than the {total:g} of the whole training.")
    if total > plan.hours * 60:
        raise Refusal(f"the training takes {total:g} minutes, and the session stops after {plan.hours:g} hours.")
    for name in [f"{way}_{kind}" for way in ("INCLUDE", "EXCLUDE") for kind in _LISTS]:
        plan.constants[name] = constants.get(name, "").replace(",", " ") or _NONE
    if (nodes := spec.image.options.get("nodes")) is not None:
        plan.instances = int(nodes.check("nodes", spec.options.get("nodes", nodes.default)))
