"""Start is possible exactly when the list of reasons is empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncssh import generate_private_key
from support.pages import catalog

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.reader import read_entries
from run_qarnot.core.redaction import redact
from run_qarnot.model.links import Filling
from run_qarnot.model.price import Price
from run_qarnot.page.uploads import Arrival, Incoming
from run_qarnot.page.viewmodel import NO_PRICE, Form

CATALOG = catalog()
FORM = Form(name="calm-heron-42").with_image(CATALOG.images["base"])


def reasons(form: Form, account: str = "known", *uploads: Incoming) -> list[str]:
    return [blocker.field or blocker.text for blocker in form.blockers(CATALOG, account=account, uploads=uploads)]


def incoming(arrival: Arrival) -> Incoming:
    return Incoming(1, "data.csv", 10, Path("x"), arrival=arrival)


def test_a_name_is_proposed_so_that_nothing_has_to_be_entered() -> None:
    assert reasons(Form().with_image(CATALOG.images["base"])) == []


def test_who_could_not_get_in_is_asked_for_a_key() -> None:
    entries = {"machine": {"app": "ssh", "repo": "a/b", "profile": "docker-network-ssh"}, "job": {"app": "batch"}}
    machine, job = read_entries({name: {"repo": "a/b", **entry} for name, entry in entries.items()}, "t.toml").images
    shown = Catalog({machine.id: machine, job.id: job})
    form = Form(name="x").with_image(machine)
    (blocker,) = form.blockers(shown, account="known", uploads=())
    assert blocker.field == "ssh-key"
    key = generate_private_key("ssh-ed25519").export_public_key().decode()
    assert form.with_texts({**form.texts(), "key": key}).blockers(shown, account="known", uploads=()) == []


def test_minutes_without_use_are_the_images_own_unless_they_are_given() -> None:
    (lab,) = read_entries({"lab": {"repo": "a/b"}}, "t.toml").images
    shown = Catalog({"lab": lab})
    form = Form(name="x").with_image(lab)
    assert form.spec(shown).idle_minutes == 60
    assert form.with_link(Filling(image="lab", idle="1h30"), lab).spec(shown).idle_minutes == 90
    wrong = form.with_link(Filling(image="lab", idle="soon"), lab)
    assert [blocker.field for blocker in wrong.blockers(shown, account="known", uploads=())] == ["idle"]


def many() -> Catalog:
    entry = {"repo": "a/b", "start": "bundled", "machines": 3, "max_machines": 8, "cluster": "dask"}
    (image,) = read_entries({"many": entry}, "t.toml").images
    return Catalog({"many": image})


def test_machines_are_as_many_as_the_image_wants_unless_they_are_given() -> None:
    shown = many()
    form = Form(name="x").with_image(shown.images["many"])
    assert form.spec(shown).machine_count == 3
    linked = form.with_link(Filling(image="many", machines=5), shown.images["many"])
    assert linked.spec(shown).machine_count == 5
    assert linked.with_image(CATALOG.images["base"]).machines == "", "another image wants another number"


@pytest.mark.parametrize("machines", ["0", "-1", "four", "9", "1.5", "99999999"])
def test_impossible_machines_are_a_reason(machines: str) -> None:
    shown = many()
    form = Form(name="x").with_image(shown.images["many"])
    form = form.with_texts({**form.texts(), "machines": machines})
    assert [blocker.field for blocker in form.blockers(shown, account="known", uploads=())] == ["machines"]


def test_the_price_that_the_credits_must_pay_is_that_of_all_machines() -> None:
    shown = many()
    form = Form(name="x").with_image(shown.images["many"])
    form = form.with_texts({**form.texts(), "hours": "1", "machines": "8"})
    (reason,) = form.blockers(shown, account="known", uploads=(), price=Price(0.04, 0.30))
    assert "may cost 0.32 €" in reason.text
    assert form.blockers(shown, account="known", uploads=(), price=Price(0.04, 0.33)) == []


def test_a_token_is_typed_in_beside_what_is_told_again() -> None:
    form = FORM.with_texts({**FORM.texts(), "git": "https://example.org/a/b", "git_token": "token-0123456789"})
    assert "token-0123456789" not in str(form.texts())
    assert "token-0123456789" not in repr(form)
    half = form.with_texts({**form.texts(), "git_token": "github"})
    assert reasons(half) == []
    assert redact("https://github.com") == "https://github.com", "only a whole token is hidden from all output"
    repository = form.spec(CATALOG).repository
    assert repository is not None
    assert repository.token == "token-0123456789"
    linked = form.with_link(Filling(image="base", git="https://example.com/c/d"), CATALOG.images["base"])
    assert linked.git_token == "", "it is not sent where a link leads to"


def test_where_there_is_no_field_for_a_token_none_is_asked_for() -> None:
    (blocker,) = FORM.blockers(CATALOG, account="asking", uploads=(), preset=True)
    assert "team account" in blocker.text


def test_each_thing_that_is_missing_or_wrong_is_a_reason() -> None:
    assert reasons(FORM, "asking") == ["token"]
    assert reasons(FORM, "checking") == ["token"]
    assert reasons(Form(name="x")) == ["Choose an environment (2)."]
    assert reasons(FORM.with_texts({**FORM.texts(), "name": "Bad Name"})) == ["name"]
    assert reasons(FORM.with_texts({**FORM.texts(), "key": "nonsense"})) == ["ssh-key"]
    assert reasons(FORM.with_texts({**FORM.texts(), "cores": "many"})) == ["cores"]
    assert reasons(FORM.with_texts({**FORM.texts(), "memory": "0"})) == ["memory"]
    assert reasons(FORM, "known", incoming(Arrival.COMING)) == ["upload"]
    assert reasons(FORM, "known", incoming(Arrival.BROKEN)) == ["upload"]
    assert reasons(FORM, "known", incoming(Arrival.HERE)) == []


def test_all_reasons_are_told_at_once() -> None:
    options = {"first": {"type": "int", "max": 3}, "second": {"type": "int", "min": 1}}
    (image,) = read_entries({"x": {"repo": "a/b", "options": options}}, "t.toml").images
    form = Form(name="Bad Name").with_image(image).with_option("first", "9").with_option("second", "0")
    form = form.with_texts({**form.texts(), "hours": "99", "cores": "many", "memory": "-1"})
    blockers = form.blockers(Catalog({image.id: image}), account="asking", uploads=())
    assert {blocker.field for blocker in blockers} == set(
        "token name hours cores memory option-first option-second".split()
    )


@pytest.mark.parametrize("hours", ["", "four", "0", "-1", "25", "nan", "inf", "1e9"])
def test_impossible_hours_are_a_reason(hours: str) -> None:
    assert reasons(FORM.with_texts({**FORM.texts(), "hours": hours})) == ["hours"]


@pytest.mark.parametrize(("hours", "expected"), [("4", 4.0), (" 1.5 ", 1.5), ("1,5", 1.5), ("24", 24.0)])
def test_hours_are_read_as_people_write_them(hours: str, expected: float) -> None:
    assert FORM.with_texts({**FORM.texts(), "hours": hours}).spec(CATALOG).hours == expected


def test_options_are_checked_and_belong_to_their_image() -> None:
    form = FORM.with_image(CATALOG.images["torch"])
    assert form.hours == "2"
    assert reasons(form.with_option("workers", "9")) == ["option-workers"]
    assert reasons(form.with_option("workers", "8")) == []
    assert form.with_option("workers", "8").spec(CATALOG).options == {"workers": "8"}
    assert form.with_option("workers", "").spec(CATALOG).options == {}
    assert form.with_option("workers", "9").with_image(CATALOG.images["base"]).options == {}


def test_a_form_does_not_print_its_key() -> None:
    assert "ssh-ed25519" not in repr(Form(key="ssh-ed25519 AAAA"))


@pytest.mark.parametrize(
    ("hardware", "machine"),
    [({"specification": "28c-128g"}, "28c-128g"), ({"gpu": True}, "gpu"), ({"ssd": True}, ""), ({}, "")],
)
def test_a_machine_that_was_chosen_is_chosen_again(hardware: dict[str, str | bool], machine: str) -> None:
    wants_a_fast_disk = catalog().images["base"].model_copy(update={"hardware": {"ssd": True}})
    assert Form().with_machine(hardware, "", wants_a_fast_disk).machine == machine


def texts(form: Form, price: Price = NO_PRICE, not_here: tuple[str, ...] = ()) -> list[str]:
    found = form.blockers(CATALOG, account="known", uploads=(), price=price, not_here=not_here)
    return [blocker.text for blocker in found]


def test_what_the_cluster_cannot_run_is_said_before_start() -> None:
    (reason,) = texts(FORM, not_here=("base",))
    assert reason.startswith("A command needs a container")
    assert texts(FORM, not_here=("torch",)) == []


def test_what_the_credits_cannot_pay_is_said_before_start() -> None:
    assert texts(FORM, Price(0.04, 50)) == []
    (reason,) = texts(FORM, Price(0.04, 0.10))
    assert "may cost 0.16 €, and the account has 0.10 € left" in reason
    assert texts(FORM.with_texts({**FORM.texts(), "hours": "2"}), Price(0.04, 0.10)) == []
    assert texts(FORM, Price(None, 0)) == ["The account has no credits left."]


def test_the_hardware_is_that_of_the_image_and_what_was_entered() -> None:
    image = CATALOG.images["base"].model_copy(update={"hardware": {"minimum_cores": 2, "ssd": True}})
    form = FORM.with_texts({**FORM.texts(), "cores": "8", "machine": "28c-128g"})
    assert form.hardware(image, {"28c-128g": "specification"}) == {
        "minimum_cores": 8,
        "ssd": True,
        "specification": "28c-128g",
    }
    assert FORM.with_texts({**FORM.texts(), "machine": "gpu"}).hardware(image, {"gpu": "gpu"})["gpu"] is True
