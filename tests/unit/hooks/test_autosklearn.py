"""What is built in for auto-sklearn."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.repository import ROOT

from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import RefusedError
from run_qarnot.hooks import autosklearn
from run_qarnot.hooks.api import TaskDraft
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.plan import TaskPlan, make_plan
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec


def sklearn(**options: object) -> TaskPlan:
    found = find_plugins(Settings(images=ROOT / "images.toml"))
    image = found.catalog().get("auto-sklearn")
    spec = SessionSpec(image=image, name="calm-heron-42", hours=4, options={"target": "class", **options}).checked()
    profiles = list(spec.image.profile)
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    plan = make_plan(spec, launch_id="rq-1", token="token", profiles=profiles, version="1", now=now)
    return found.prepare(plan, spec)


def test_auto_sklearn_sends_what_the_original_sent() -> None:
    plan = sklearn(include_estimators="lda,mlp", nodes="5")
    wanted = {
        "TARGET_COL": "class", "TOTAL_TIME_LIMIT": "15", "PER_RUN_TIME_LIMIT": "5", "N_CV_FOLDS": "3",
        "ENSEMBLE_SIZE": "50", "ENSEMBLE_NBEST": "50", "INCLUDE_ESTIMATORS": "lda mlp", "EXCLUDE_ESTIMATORS": "None",
        "INCLUDE_PREPROCESSORS": "None", "EXCLUDE_PREPROCESSORS": "None",
    }  # fmt: skip
    assert {name: plan.constants.get(name) for name in wanted} == wanted
    assert not {"DOCKER_REPO", "DOCKER_TAG"} & plan.constants.keys()  # the profile knows its own image
    assert (plan.profile, plan.instances) == ("auto-sklearn-cluster", 5)
    assert sklearn().instances == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"include_estimators": "lda", "exclude_estimators": "mlp"},
            "estimators can be included or excluded, not both",
        ),
        ({"include_preprocessors": "pca", "exclude_preprocessors": "pca"}, "preprocessors can be included or excluded"),
        ({"per_run_time": "20"}, "one run may take 20 minutes, which is more than the 15"),
        ({"total_time": "600"}, "the session stops after 4 hours"),
    ],
)
def test_auto_sklearn_refuses_what_does_not_go_together(options: dict[str, object], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        sklearn(**options)


def test_other_profiles_are_left_alone() -> None:
    draft = TaskDraft("a", "docker-batch", {"INCLUDE_ESTIMATORS": "a,b"}, [], [], {}, "", 1.0, 10.0, 1)
    autosklearn.rq_prepare(draft, SessionSpec(image=Image(id="a"), name="a", hours=1))
    assert draft.constants == {"INCLUDE_ESTIMATORS": "a,b"}
