"""The catalog: every image that can be started, whoever brought it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.hooks import Hooks, NoHooks
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.problem import Problem, ProblemFacts, make_problem, show_value
from run_qarnot.catalog.reader import Reading
from run_qarnot.catalog.search import SearchIndex, make_index, search
from run_qarnot.catalog.toml_positions import Lines
from run_qarnot.core.errors import InputError, NotFoundError
from run_qarnot.core.messages import Message, Verbatim, quoted
from run_qarnot.core.names import nearest


@dataclass(frozen=True)
class Catalog:
    """Checked images by id, in the order in which they were brought, and what was wrong on the way.

    Arguments:
        images: by id.
        problems: bad entries and plugins; everything else works.
        apps: the kinds of app that there are, by name.
        hooks: what plugins do with sessions.
        lines: of the files that images come from, by source.
    """

    images: dict[str, Image] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    apps: Mapping[str, App] = field(default_factory=lambda: BUILTIN)
    hooks: Hooks = field(default_factory=NoHooks, repr=False, compare=False)
    lines: Mapping[str, Lines] = field(default_factory=dict, repr=False, compare=False)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images.values())

    def get(self, name: str) -> Image:
        """Return the image of that id.

        Raises:
            NotFoundError: there is none; says the nearest that there is.
            InputError: its entry has a problem, or no entry could be read.
        """
        if name in self.images:
            return self.images[name]
        for problem in self.problems:
            if problem.entry == name:
                raise InputError("image-broken", image=name, problem=problem.placed)
        for problem in self.problems:
            if problem.code.startswith("file-") and not problem.entry:
                raise InputError("catalog-unread", image=name, problem=problem.placed)
        near = nearest(name, self.images) or next((image.id for image in self.search(name)), None)
        hint = Message("did-you-mean", names=quoted(near)) if near else Verbatim("")
        raise NotFoundError("image-unknown", image=name, hint=hint)

    def search(self, text: str = "", *, category: str | None = None) -> list[Image]:
        """Return the offered images, in the catalog's order, in which every word of `text` occurs, or nearly does.

        `category` narrows it to one; "" is that of the images without any.
        """
        found = [self._offered[position] for position in search(self._index, text)] if text else self._offered
        return [image for image in found if category in (None, image.category)]

    @cached_property
    def categories(self) -> dict[str, int]:
        """The categories of the offered images in the catalog's order, and how many images each has."""
        counts: dict[str, int] = {}
        for image in self._offered:
            counts[image.category] = counts.get(image.category, 0) + 1
        return counts

    @property
    def problems_so_far(self) -> tuple[Problem, ...]:
        """`problems`, and what was found out about plugins since: some fail only when something happens."""
        return tuple(dict.fromkeys((*self.problems, *self.hooks.problems)))

    def line_of(self, image: Image, *key: str) -> int | None:
        """Return where a key of an image stands in its file."""
        lines = self.lines.get(image.source)
        return lines.of("images", image.id, *key) if lines else None

    @cached_property
    def _offered(self) -> list[Image]:
        return [image for image in self if not image.hidden]

    @cached_property
    def _index(self) -> SearchIndex:
        return make_index(
            (image.id, image.title, image.summary, image.description, image.category, image.repo)
            for image in self._offered
        )


def merge(readings: Iterable[Reading], apps: Mapping[str, App] = BUILTIN, hooks: Hooks | None = None) -> Catalog:
    """Put readings together. Of two images with one id the first wins, and the second is told as a problem."""
    images: dict[str, Image] = {}
    problems: list[Problem] = []
    lines: dict[str, Lines] = {}
    for reading in readings:
        problems.extend(reading.problems)
        problems.extend(_unknown_app(e, apps, reading.lines or Lines("")) for e in reading.broken if e.app not in apps)
        for image in reading.images:
            where = reading.lines or Lines("")
            if image.app not in apps:
                problems.append(_unknown_app(image, apps, where))
            elif (first := images.get(image.id)) is not None:
                line = where.of("images", image.id)
                twice = make_problem("entry-twice", image.source, entry=image.id, line=line, first=first.source)
                problems.append(twice)
            else:
                images[image.id] = _with_app(image, apps)
                if reading.lines is not None:
                    lines[image.source] = reading.lines
    return Catalog(images, tuple(problems), apps, hooks or NoHooks(), lines)


def _with_app(image: Image, apps: Mapping[str, App]) -> Image:
    return image if image.app in BUILTIN else image.model_copy(update={"kind": apps[image.app]})


def _unknown_app(image: Image, apps: Mapping[str, App], lines: Lines) -> Problem:
    line = lines.of("images", image.id, "app")
    facts: ProblemFacts = {
        "found": show_value(image.app),
        "allowed": Verbatim(", ".join(apps)),
        "nearest": nearest(image.app, apps),
    }
    return make_problem("app", image.source, entry=image.id, key="app", line=line, **facts)
