"""Questions: each says where the product adapts."""

from __future__ import annotations

import pytest
from support.repository import ROOT

from run_qarnot.catalog.image import Image
from run_qarnot.doctor import account, network, spend, storage
from run_qarnot.doctor.question import Question, Seen, Verdict, names
from run_qarnot.model.compat import switches

CHECKS = [*account.CHECKS, *network.CHECKS, *storage.CHECKS]
QUESTIONS = [*(check.question for check in CHECKS), *spend.QUESTIONS]


def test_every_question_has_a_number_of_its_own() -> None:
    numbers = [question.number for question in QUESTIONS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.number)
def test_a_question_names_the_switch_or_the_place_that_adapts(question: Question) -> None:
    place = switches()[question.place][1] if question.place in switches() else question.place
    assert (ROOT / place).is_file()
    assert all((question.text.endswith("?"), question.expected, question.does))


def test_every_switch_is_the_answer_to_a_question_and_is_used_where_it_says() -> None:
    for name, (without, place) in switches().items():
        assert without
        assert name.replace("-", "_") in (ROOT / place).read_text(), "the place names the switch"


def test_a_switch_is_written_as_it_is_typed() -> None:
    asked = Question("X1", "Is it?", "yes", "goes on", "conditional-puts")
    assert asked.adapts.startswith('RUN_QARNOT_COMPAT="conditional-puts=no" (run_qarnot/cloud/s3/client.py)')


@pytest.mark.parametrize(
    ("value", "verdict"), [(True, Verdict.EXPECTED), (False, Verdict.DIFFERS), (None, Verdict.UNKNOWN)]
)
def test_what_was_seen_is_judged(value: bool | None, verdict: Verdict) -> None:
    assert Seen("it", value).verdict is verdict


def test_names_are_written_in_one_line() -> None:
    assert names({"b", "a"}) == "a, b"
    assert names([]) == "–"


def test_every_entry_of_the_catalog_is_asked_about() -> None:
    images = [Image(id="a"), Image(id="b", profile=("x", "y"), app="batch", repo="team/image")]
    asked = [check.question for check in account.catalog_checks(images)]
    assert [each.number for each in asked] == ["C-a", "C-b"]
    assert asked[1].expected == "one of x, y, with DOCKER_REPO"


def test_there_are_all_of_them() -> None:
    assert len(QUESTIONS) > 60


def test_each_docker_image_of_the_catalog_is_tried_once() -> None:
    images = [
        Image(id=name, repo=repo) for name, repo in {"a": "team/x", "b": "team/x", "c": "team/y", "d": ""}.items()
    ]
    assert [image.id for image in spend.docker_images(images)] == ["a", "c"]


def test_every_trial_answers_questions_that_there_are() -> None:
    assert len({question.number for question in spend.QUESTIONS}) == 25
