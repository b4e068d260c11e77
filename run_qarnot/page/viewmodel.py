"""The model of the form, and why Start is not possible: without widgets, network or disk.

Start is enabled exactly when `Form.blockers` is empty, and the list of blockers is on the page.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.core import times
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.language import number
from run_qarnot.core.names import make_name
from run_qarnot.model.links import Filling
from run_qarnot.model.price import Price
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.spec import (
    SCHEDULING,
    SessionSpec,
    faults,
    parse_count,
    parse_hours,
    parse_idle,
    parse_machines,
    parse_size,
)
from run_qarnot.page import words
from run_qarnot.page.uploads import Arrival, Incoming

FORM_FIELDS = (
    "name",
    "hours",
    "idle",
    "resume",
    "key",
    "buckets",
    "scheduling",
    "cores",
    "memory",
    "machine",
    "machines",
    "git",
    "open",
)
SECRET_FIELDS = ("git_token",)  # typed beside those; the browser never gets them back
_MACHINES = ("specification", "cpu_model", "gpu", "ssd")  # the constraints that name a machine or a part of one
NO_PRICE = Price()
OptionValue = str | bool | float | list[str]


class Blocker(NamedTuple):
    """A reason why Start is not possible, and the `data-testid` of the field it belongs to."""

    text: str
    field: str = ""


@dataclass(frozen=True)
class Form:
    """What the visitor has entered so far, as entered."""

    image: str = ""
    name: str = field(default_factory=make_name)
    hours: str = ""
    resume: str = ""
    key: str = field(default="", repr=False)
    buckets: str = ""  # one per line
    scheduling: str = ""
    cores: str = ""
    memory: str = ""
    machine: str = ""
    machines: str = ""  # how many; empty for the image's own
    idle: str = ""  # minutes without use after which it stops; empty for the image's own
    git: str = ""  # a repository, URL[@REF]
    git_token: str = field(default="", repr=False)
    open: str = ""  # path of what is opened first in it
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    def with_image(self, image: Image) -> Form:
        """Choose an image; values that depend on it are reset."""
        if image.id == self.image:
            return self
        return replace(self, image=image.id, hours=times.write_hours(image.hours), idle="", machines="", options={})

    def texts(self) -> dict[str, str]:
        """The typed fields, without secrets."""
        return {name: getattr(self, name) for name in FORM_FIELDS}

    def with_texts(self, texts: Mapping[str, str]) -> Form:
        """Set the typed fields: `FORM_FIELDS`, and those of `SECRET_FIELDS` that are in `texts`."""
        names = (*FORM_FIELDS, *(name for name in SECRET_FIELDS if name in texts))
        return replace(self, **{name: texts[name] for name in names})  # type: ignore[arg-type]  # no `options`

    def with_link(self, link: Filling, image: Image) -> Form:
        """Set the values of a link. `links.read_link` has checked each of them."""
        chosen = self.with_image(image)
        options = {**chosen.options, **link.options}
        return replace(
            chosen,
            hours=link.hours or chosen.hours,
            idle=link.idle or chosen.idle,
            machines=str(link.machines or chosen.machines),
            git=link.git or chosen.git,
            git_token="" if link.git else chosen.git_token,  # of another repository, perhaps
            open=link.opened or chosen.open,
            options=options,
        )

    def with_machine(self, hardware: Mapping[str, object], scheduling: str, image: Image) -> Form:
        """Set the machine of a session, without the constraints of its image.

        Arguments:
            hardware: constraints, as in `SessionSpec`.
            scheduling: as in `SessionSpec`.
            image: of the session.
        """
        wanted = {name: value for name, value in hardware.items() if image.hardware.get(name) != value}
        cores, memory = (int(str(wanted.get(name, 0))) for name in ("minimum_cores", "minimum_ram_mb"))
        machines = [name if value is True else str(value) for name, value in wanted.items() if name in _MACHINES]
        return replace(
            self,
            scheduling="" if scheduling == image.scheduling else scheduling,
            cores=str(cores or ""),
            memory=str(math.ceil(memory / 1000) or ""),
            machine=machines[0] if machines else "",
        )

    def given_options(self) -> dict[str, OptionValue]:
        """The image's options that have an entered value."""
        return {name: value for name, value in self.options.items() if value not in ("", [])}

    def with_option(self, name: str, value: OptionValue) -> Form:
        return replace(self, options={**self.options, name: value})

    def spec(self, catalog: Catalog) -> SessionSpec:
        """Return the request of the form.

        Raises:
            RunQarnotError: the first reason why it cannot be started.
        """
        image = catalog.get(self.image)
        return SessionSpec(
            image=image,
            name=self.name.strip(),
            hours=parse_hours(self.hours, image),
            user_key=self.key.strip() or None,
            resume=self.resume or None,
            options=self.given_options(),
            buckets=tuple(self.buckets.split()),
            scheduling=self.scheduling if self.scheduling in SCHEDULING else "",
            hardware=parse_size(self.cores, self.memory),
            machine=self.machine,
            idle=parse_idle(self.idle),
            machines=parse_machines(self.machines),
            repository=parse_repository(self.git, token=self.git_token),
            open=self.open,
        ).checked()

    def hardware(self, image: Image, machines: Mapping[str, str]) -> dict[str, object]:
        """Return the constraints on the machine: those of the image and the entered ones.

        Arguments:
            image: the chosen one.
            machines: the kinds of the machines that can be chosen, by name.

        Raises:
            InputError: a size is not a number.
        """
        kind = machines.get(self.machine, "")
        chosen: dict[str, object] = {kind: True if kind == self.machine else self.machine} if kind else {}
        return {**image.hardware, **parse_size(self.cores, self.memory), **chosen}

    def asked_hours(self, image: Image) -> float:
        """Return the entered hours; the image's default if they are not a number."""
        try:
            return parse_hours(self.hours, image)
        except InputError:
            return image.hours

    def asked_machines(self, image: Image) -> int:
        """Return how many machines were entered; as many as the image wants if that is no number."""
        try:
            return parse_machines(self.machines) or image.machines
        except InputError:
            return image.machines

    def blockers(
        self,
        catalog: Catalog,
        *,
        account: str,
        uploads: Iterable[Incoming],
        preset: bool = False,
        not_here: Container[str] = (),
        price: Price = NO_PRICE,
    ) -> list[Blocker]:
        """Return every reason why Start is not possible, in the order of the page.

        Arguments:
            account: "known", "checking", or any other text for none.
            uploads: the files of the list.
            preset: the operator's account is used, so that there is no field for a token.
            not_here: ids of images that the cluster cannot run.
            price: as far as it is known.
        """
        return [
            *_account_blockers(account, preset=preset),
            *self._image_blockers(catalog, not_here),
            *self._price_blockers(catalog, price),
            *_upload_blockers(tuple(uploads)),
        ]

    def _price_blockers(self, catalog: Catalog, price: Price) -> Iterator[Blocker]:
        image = catalog.images.get(self.image)
        if image is None:
            return
        hours, machines = self.asked_hours(image), self.asked_machines(image)
        if not price.is_beyond(hours, machines):
            return
        most = price.most(hours, machines)
        if most is None or not price.left or price.left < 0:
            yield Blocker(words.blocker("no-credits"), "token")
        else:
            yield Blocker(words.blocker("credits", most=number(most, 2), left=number(price.left, 2)), "hours")

    def _image_blockers(self, catalog: Catalog, not_here: Container[str]) -> Iterator[Blocker]:
        image = catalog.images.get(self.image)
        if image is None:
            yield Blocker(words.blocker("no-image"))
            return
        if image.id in not_here:
            yield Blocker(words.blocker("not-here", image=image.name), f"image-{image.id}")
        hours = image.hours
        try:
            hours = parse_hours(self.hours, image)
        except InputError as error:
            yield _as_blocker(error)
        idle = None
        try:
            idle = parse_idle(self.idle)
        except InputError as error:
            yield _as_blocker(error)
        machines = None
        try:
            machines = parse_machines(self.machines)
        except InputError as error:
            yield _as_blocker(error)
        sizes = (partial(parse_count, self.cores, "cores"), partial(parse_count, self.memory, "memory"))
        yield from map(_as_blocker, faults(sizes))
        key, resume = self.key.strip() or None, self.resume or None
        git = partial(parse_repository, self.git)  # without the token: what is half typed may be an ordinary word
        yield from map(_as_blocker, faults([git]))
        name, options = self.name.strip(), self.given_options()
        spec = SessionSpec(image, name, hours, key, resume, options, idle=idle, machines=machines, open=self.open)
        yield from map(_as_blocker, spec.blockers())
        app = image.effective_app
        if app.port is None and not app.ends_by_itself and key is None:  # it would cost money, and no one could log in
            yield Blocker(words.blocker("needs-key"), "ssh-key")


def _as_blocker(error: RunQarnotError) -> Blocker:
    return Blocker(str(error.advice), error.field or "")


def _account_blockers(account: str, *, preset: bool) -> Iterator[Blocker]:
    if account == "checking":
        yield Blocker(words.blocker("checking"), "token")
    elif account != "known":
        yield Blocker(words.blocker("no-team-account" if preset else "no-account"), "token")


def _upload_blockers(uploads: tuple[Incoming, ...]) -> Iterator[Blocker]:
    coming = [incoming.key for incoming in uploads if incoming.arrival is Arrival.COMING]
    if coming:
        names = ", ".join(coming[:3]) + (" …" if len(coming) > 3 else "")
        yield Blocker(words.blocker("uploading", names=names), "upload")
    for incoming in uploads:
        if incoming.arrival is Arrival.BROKEN:
            yield Blocker(words.blocker("broken-file", name=incoming.key), "upload")
