"""Pages and searches of lists."""

from __future__ import annotations

from typing import Any

import pytest

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.listing import Search, selected
from qarnot_local.api.pages import PageRequest, page
from qarnot_local.api.views import job_view
from qarnot_local.runtime.definition import JobDefinition
from qarnot_local.runtime.jobs import Job

JOBS = [Job(JobDefinition(name=name)) for name in "cab"]
FIELDS = job_view(JOBS[0])


def names(**request: Any) -> tuple[str, str | None]:
    answer = page(JOBS, job_view, FIELDS, PageRequest.model_validate(request))
    return "".join(each["name"] for each in answer["data"]), answer["nextToken"]


def test_pages_follow_one_another_in_order() -> None:
    found, token = names(orderBy="Name", maximumResults=2)
    assert found == "ab"
    assert names(orderBy="Name", maximumResults=2, token=token) == ("c", None)
    assert names() == ("bac", None)  # the newest first


@pytest.mark.parametrize("wrong", [{"orderBy": "x"}, {"orderType": "x"}, {"token": "x"}, {"token": 5}])
def test_what_is_unknown_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        names(**wrong)


@pytest.mark.parametrize("select", [["Name"], {"Fields": ["Name"]}])
def test_a_search_answers_the_fields_that_were_asked_for(select: Any) -> None:
    condition = {"field": "name", "operator": "Equal", "value": "a"}
    search = Search.model_validate({"filter": condition, "select": select, "maximumResults": 5})
    assert selected([job_view(job) for job in JOBS], FIELDS, search) == [{"name": "a"}]
