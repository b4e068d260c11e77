"""Card 3: files, more options, the blockers, and the Start button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets
from ipywidgets import widget_serialization

from run_qarnot.core.errors import InputError
from run_qarnot.model.keys import is_private_key
from run_qarnot.model.spec import SCHEDULING
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event
from run_qarnot.page.components.files import Files
from run_qarnot.page.components.share import Share
from run_qarnot.page.uploads import Uploads
from run_qarnot.page.viewmodel import FORM_FIELDS, SECRET_FIELDS

_LONGEST_FIELD = 20_000


class StartCard(Component):
    """The browser holds the typed values; `draft` is their initial state.

    When `revision` grows, the browser replaces the fields that the draft names in `only`, and no others, whose latest
    input may still be on its way to the kernel.
    """

    source = Path(__file__).with_suffix(".vue")

    files: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    blockers: Any = traitlets.List().tag(sync=True)
    entry: Any = traitlets.Dict().tag(sync=True)  # how the session will be opened: kind, asks, agreed
    draft: Any = traitlets.Dict().tag(sync=True)
    revision = traitlets.Int(0).tag(sync=True)
    resumable: Any = traitlets.List().tag(sync=True)
    own_buckets: Any = traitlets.List().tag(sync=True)  # of the account, but of no session
    machine_kinds: Any = traitlets.List().tag(sync=True)  # that the account may use
    schedulings: Any = traitlets.List(["", *SCHEDULING]).tag(sync=True)
    price: Any = traitlets.Dict().tag(sync=True)  # a row of `props.price_row`
    most_hours = traitlets.Float(24).tag(sync=True)
    usual_machines = traitlets.Int(1).tag(sync=True)
    most_machines = traitlets.Int(1).tag(sync=True)
    usual_idle = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)  # minutes; None: not available
    never_idle = traitlets.Bool(False).tag(sync=True)  # an app for people that cannot be judged
    one_key = traitlets.Bool(False).tag(sync=True)  # the image accepts no other key besides the user's
    image_title = traitlets.Unicode("").tag(sync=True)
    starting = traitlets.Bool(False).tag(sync=True)
    share: Any = traitlets.Any().tag(sync=True, **widget_serialization)

    def __init__(self, page: PageActions, tasks: Background, uploads: Uploads) -> None:
        self.looked = False  # whether More options was opened
        self._page = page
        share = Share(tasks, lambda address: page.form.share(address))
        files = Files(tasks, uploads, lambda: page.form.show_blockers())
        super().__init__("start", tasks, share=share, files=files)

    def retranslate(self) -> None:
        super().retranslate()
        self.share.retranslate()
        self.files.retranslate()

    @event
    def vue_form(self, fields: Fields) -> None:
        """Receive the typed values."""
        self._take(fields)

    @event
    async def vue_look(self, _fields: Fields) -> None:
        """Load the choices when More options is opened."""
        self.looked = True
        await self._page.form.offer_choices()

    @event
    def vue_save_preset(self, fields: Fields) -> None:
        """Send the values that a launch link can contain; the browser stores them under a name."""
        self._take(fields)
        self.call("preset", self._page.form.preset())

    @event
    def vue_apply_preset(self, fields: Fields) -> None:
        """Fill the form with stored values; the browser adds those that a launch link cannot contain."""
        self._page.form.apply_preset(fields.text("query", _LONGEST_FIELD))

    @event
    async def vue_start(self, fields: Fields) -> None:
        self._take(fields)
        await self._page.form.start()

    @event
    def vue_agree(self, fields: Fields) -> None:
        """Set whether the visitor agrees to open the session in another way than by a click on this page."""
        self._page.entry.agree(agreed=fields.flag("agreed"))

    def show_draft(self, values: dict[str, str], only: Sequence[str] = FORM_FIELDS, *, source: str = "") -> None:
        """Replace fields in the browser.

        Arguments:
            values: of all fields.
            only: names of the fields to replace.
            source: "usual": the visitor's last choices may override them; "preset": the rest of a preset does.
        """
        self.draft = {**values, "only": list(only), "usual": source == "usual", "preset": source == "preset"}
        self.revision += 1

    def _take(self, fields: Fields) -> None:
        values = {name: fields.text(name, _LONGEST_FIELD) for name in (*FORM_FIELDS, *SECRET_FIELDS)}
        if is_private_key(values["key"]):  # it is erased at once
            self.call("erase_key")
            self._page.form.set_texts({**values, "key": ""})
            raise InputError("key-private", field="ssh-key")
        self._page.form.set_texts(values)
