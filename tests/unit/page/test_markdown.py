"""Markdown of plugins is shown as text: it may look like something, and never does anything."""

from __future__ import annotations

import json

import pytest

from run_qarnot.page.markdown import Block, read_markdown


def text_of(block: Block) -> str:
    return "".join(span["text"] for span in block["spans"])


def test_what_people_write_looks_as_they_mean_it() -> None:
    blocks = read_markdown(
        "# Title\n\nSome **bold *both*** and `code`\n\n- one\n- two\n  1. inner\n\n> said\n\n```py\nx < 1\n```\n---\n"
    )
    assert [(block["kind"], block["depth"], block["marker"], text_of(block)) for block in blocks] == [
        ("heading", 0, "", "Title"),
        ("text", 0, "", "Some bold both and code"),
        ("text", 1, "•", "one"),
        ("text", 1, "•", "two"),
        ("text", 2, "1.", "inner"),
        ("text", 1, "", "said"),
        ("code", 0, "", "x < 1"),
        ("rule", 0, "", ""),
    ]
    assert [span["style"] for span in blocks[1]["spans"]] == ["", "strong", "strong em", "", "code"]


def test_a_link_leads_to_a_web_address() -> None:
    (block,) = read_markdown("[here](https://example.org/?a=1&amp;b=2)")
    assert block["spans"] == [{"text": "here", "style": "", "href": "https://example.org/?a=1&b=2"}]


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](&#x6A;avascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](//example.org/)",
        "[x](/relative)",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "![x](https://example.org/spy.png)",
        "![x](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
    ],
)
def test_nothing_else_leads_anywhere(text: str) -> None:
    blocks = read_markdown(text)
    assert not [span["href"] for block in blocks for span in block["spans"] if span["href"]]
    assert {name for block in blocks for span in block["spans"] for name in span} <= {"text", "style", "href"}


def test_html_is_the_text_that_it_is() -> None:
    (block,) = read_markdown("a <b onclick=x>b</b> &lt;i&gt;")
    assert text_of(block) == "a <b onclick=x>b</b> <i>"


def test_secrets_are_hidden() -> None:
    assert "abcdefgh" not in json.dumps(read_markdown("http://localhost/?token=abcdefgh"))


@pytest.mark.parametrize("text", ["> " * 5000, "[" * 20_000, "*a" * 10_000, "`" * 20_000, "<" * 20_000, "- " * 9999])
def test_what_is_made_to_be_slow_is_not(text: str) -> None:
    assert len(read_markdown(text)) < 20_000
