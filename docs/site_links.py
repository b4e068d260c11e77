"""A hook of MkDocs: links to files of the repository that are no pages of the site lead to the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/oumnix/jupyterlab_binder/blob/HEAD"
_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
_COMMENT = re.compile(r"<!-- (generated: \w+|end) -->\n?")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return outward(markdown, f"docs/{page.file.src_uri}")


def outward(markdown: str, path: str) -> str:
    """Return a document whose links out of `docs/` lead to the repository.

    Arguments:
        path: of the document, from the top of the repository.
    """

    def led(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link[2]))
        if target.startswith("docs/") or not (ROOT / target).exists():
            return link[0]
        return f"{link[1]}{REPOSITORY}/{target}{link[3]}"

    return _COMMENT.sub("", _LINK.sub(led, markdown))
