"""Card 2: the images of the catalog, what is broken in it, and the chosen image's own options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from run_qarnot.page.component import Component, Fields, event
from run_qarnot.page.tasks import Tasks
from run_qarnot.page.viewmodel import OptionValue


class EnvironmentCard(Component):
    """Shows rows of `rows.image_row`, `rows.problem_rows` and `rows.option_row`."""

    template_file = (__file__, "environment.vue")

    images: Any = traitlets.List().tag(sync=True)
    broken: Any = traitlets.List().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)
    chosen_title = traitlets.Unicode("").tag(sync=True)
    options: Any = traitlets.List().tag(sync=True)

    def __init__(
        self, tasks: Tasks, choose: Callable[[str], None], set_option: Callable[[str, OptionValue], None]
    ) -> None:
        self._choose = choose
        self._set_option = set_option
        super().__init__("environment", tasks)

    @event
    def vue_choose(self, fields: Fields) -> None:
        self._choose(fields.text("id"))

    @event
    def vue_option(self, fields: Fields) -> None:
        self._set_option(fields.text("name"), fields.value("value"))
