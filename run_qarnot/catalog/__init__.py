"""The catalog: every image that can be started, whoever brought it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from run_qarnot.catalog.image import Image
from run_qarnot.catalog.reader import Problem, Reading
from run_qarnot.errors import InputError, NotFoundError
from run_qarnot.names import nearest


@dataclass(frozen=True)
class Catalog:
    """Checked images by id, in the order in which they were brought, and what was wrong on the way."""

    images: dict[str, Image] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images.values())

    def get(self, name: str) -> Image:
        """Return the image of that id.

        Raises:
            NotFoundError: there is none; says the nearest that there is.
            InputError: its entry has a problem.
        """
        if name in self.images:
            return self.images[name]
        for problem in self.problems:
            if problem.entry == name:
                raise InputError("image-broken", image=name, problem=str(problem))
        near = nearest(name, self.images)
        raise NotFoundError("image-unknown", image=name, hint=f"Did you mean “{near}”?" if near else "")


def merge(readings: Iterable[Reading]) -> Catalog:
    """Put readings together. Of two images with one id the first wins, and the second is told as a problem."""
    images: dict[str, Image] = {}
    problems: list[Problem] = []
    for reading in readings:
        problems.extend(reading.problems)
        for image in reading.images:
            first = images.setdefault(image.id, image)
            if first is not image:
                message = f"is skipped: {first.source} already brings an image of this id"
                problems.append(Problem(image.source, image.id, message=message))
    return Catalog(images, tuple(problems))
