"""Card 2: the images of the catalog, its problems, and the options of the chosen image."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import traitlets

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event
from run_qarnot.page.props import Row, image_row

MANY = 8  # images, from which on there is a search field
MOST_SHOWN = 24  # about a screenful
_MOST_BROKEN = 50


class EnvironmentCard(Component):
    """Shows rows of `props.image_row`, `props.problem_rows` and `props.option_row`, at most a screenful."""

    source = Path(__file__).with_suffix(".vue")

    images: Any = traitlets.List().tag(sync=True)
    found = traitlets.Int(0).tag(sync=True)  # number of images that match the search
    many = traitlets.Bool(False).tag(sync=True)
    categories: Any = traitlets.List().tag(sync=True)
    broken: Any = traitlets.List().tag(sync=True)
    usual: Any = traitlets.Dict().tag(sync=True)  # seconds until a machine runs, by image
    most_used: Any = traitlets.List().tag(sync=True)  # ids of images, by earlier sessions, the most used first
    not_here: Any = traitlets.List().tag(sync=True)  # ids of images that the cluster cannot run
    chosen = traitlets.Unicode("").tag(sync=True)
    chosen_title = traitlets.Unicode("").tag(sync=True)
    options: Any = traitlets.List().tag(sync=True)
    about: Any = traitlets.Dict().tag(sync=True)  # the chosen image's row
    reasons: Any = traitlets.Dict().tag(sync=True)  # why the value of an option is invalid, by its test id

    def __init__(self, page: PageActions, tasks: Background) -> None:
        self._page = page
        self._catalog = Catalog()
        self._image: Image | None = None
        self._hidden: frozenset[str] = frozenset()  # images, by id
        self._searched: tuple[str, str | None] = ("", None)
        super().__init__("environment", tasks)

    def show(self, catalog: Catalog) -> None:
        """Show a catalog from its beginning; `show_problems` shows its problems."""
        self._catalog = catalog
        offered = sum(not image.hidden for image in catalog)
        self.many = offered >= MANY
        self.categories = [name for name in catalog.categories if name] if self.many else []
        self._search("", None)

    def hide(self, images: Collection[str]) -> None:
        """Do not offer images, by id: this account cannot start them. One that was chosen stays."""
        self._hidden = frozenset(images)
        self._search(*self._searched)
        if self._image is not None and not any(self._searched):
            self.choose(self._image)

    def show_problems(self, rows: list[Row]) -> None:
        """Show rows of `props.problem_rows`."""
        self.broken = rows[:_MOST_BROKEN]

    def choose(self, image: Image) -> None:
        """Show which image is chosen, even one that is further down or hidden."""
        self._image = image
        self.chosen, self.chosen_title, self.about = image.id, image.name, image_row(image)
        if image.id not in {row["id"] for row in self.images}:
            self.images = [image_row(image), *self.images]

    @event
    def vue_search(self, fields: Fields) -> None:
        """Search for a typed text, or in another category; "" means all."""
        self._search(fields.text("text", 200), fields.text("category") or None)

    @event
    def vue_choose(self, fields: Fields) -> None:
        self._page.form.choose(fields.text("id"))

    @event
    def vue_option(self, fields: Fields) -> None:
        self._page.form.set_option(fields.text("name"), fields.value("value"))

    def _search(self, text: str, category: str | None) -> None:
        self._searched = (text, category)
        found = [image for image in self._catalog.search(text, category=category) if image.id not in self._hidden]
        self.found = len(found)
        self.images = [image_row(image) for image in found[:MOST_SHOWN]]
