"""Converts Markdown to blocks of plain text. The browser shows them as text and never as HTML.

Raw HTML is shown as text, an image as its description, and links lead only to allowed addresses (`props.safe_url`). The
text of a plugin, or of a file that it read, can therefore run nothing.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

from run_qarnot.core.redaction import redact
from run_qarnot.page.props import safe_url

if TYPE_CHECKING:
    from mistune import Markdown

_MOST_TEXT = 20_000
_STYLES = {"strong": "strong", "emphasis": "em", "codespan": "code"}

Token = Mapping[str, Any]  # of mistune's syntax tree


class Span(TypedDict):
    """A piece of a line: its text, its style ("strong em code") and its link."""

    text: str
    style: str
    href: str | None


class Block(TypedDict):
    """A line or paragraph. `kind` is "text", "heading", "code" or "rule"; `marker` is that of a list item."""

    kind: str
    depth: int
    marker: str
    spans: list[Span]


def read_markdown(text: str) -> list[Block]:
    """Return the blocks of a text in Markdown."""
    shown = redact(text[:_MOST_TEXT])
    try:
        return list(_blocks(cast("list[Token]", _parser().parse(shown)[0])))
    except RecursionError:  # nested too deeply: shown as plain text
        return [_block("code", 0, [_span(shown)])]


@functools.cache
def _parser() -> Markdown:
    import mistune  # imported here: pages without panels do not need it

    return mistune.create_markdown(renderer="ast")


def _blocks(tokens: Iterable[Token], depth: int = 0) -> Iterator[Block]:
    for token in tokens:
        match token["type"]:
            case "list":
                yield from _items(token, depth + 1)
            case "block_quote":
                yield from _blocks(token["children"], depth + 1)
            case "block_code" | "block_html":
                yield _block("code", depth, [_span(token["raw"].rstrip("\n"))])
            case "thematic_break":
                yield _block("rule", depth, [])
            case "heading":
                yield _block("heading", depth, list(_spans(token["children"])))
            case "paragraph" | "block_text":
                yield _block("text", depth, list(_spans(token["children"])))


def _items(token: Token, depth: int) -> Iterator[Block]:
    first = token["attrs"].get("start", 1)
    for number, item in enumerate(token["children"], first):
        marker = f"{number}." if token["attrs"]["ordered"] else "•"
        for block in _blocks(item["children"], depth):
            yield {**block, "marker": block["marker"] or marker}
            marker = ""


def _spans(tokens: Iterable[Token], style: str = "", href: str | None = None) -> Iterator[Span]:
    for token in tokens:
        kind = token["type"]
        own = f"{style} {_STYLES.get(kind, '')}".strip()
        if kind in {"linebreak", "softbreak"}:
            yield _span("\n" if kind == "linebreak" else " ", own, href)
        elif kind == "link":
            yield from _spans(token["children"], own, safe_url(html.unescape(token["attrs"]["url"])))
        elif "children" in token:
            yield from _spans(token["children"], own, href)
        elif token["raw"]:
            yield _span(html.unescape(token["raw"]) if kind == "text" else token["raw"], own, href)


def _block(kind: str, depth: int, spans: list[Span]) -> Block:
    return Block(kind=kind, depth=depth, marker="", spans=spans)


def _span(text: str, style: str = "", href: str | None = None) -> Span:
    return Span(text=text, style=style, href=href)
