"""Text from outside, made safe to show: on a terminal, in a log, on the page.

Names of sessions, messages of the cluster, names of files and the output of containers are written by anybody. A
terminal obeys what stands in them (colours, cursor, titles, links, the clipboard), and characters that nobody sees, or
that turn the direction of writing, make one text look like another. Such characters are written out: `\\n`, `\\x1b`,
`\\u202e`. This is the only place that says which they are.
"""

from __future__ import annotations

import re

# Controls of both sets, lone surrogates, and what Unicode calls ignorable: the direction of writing, zero width.
_HIDDEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SURROGATES = "\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{_HIDDEN}{_SURROGATES}]")
# In longer texts lines and tabs are meant; joiners and variants belong to emoji and to scripts such as Persian.
_IN_LINES = re.compile(f"(?![\n\t\u200c\u200d\ufe0e\ufe0f])[{_HIDDEN}{_SURROGATES}]")
_LONE = re.compile(f"[{_SURROGATES}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# What a program writes for a terminal: colours and the cursor; titles, links and strings for devices; the rest.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def one_line(text: str) -> str:
    """Return `text` as one line of visible characters: for names, cells of tables, facts inside of sentences."""
    return _IN_A_LINE.sub(_written_out, text)


def lines(text: str) -> str:
    """Return `text` with its lines and tabs, and everything else that cannot be seen written out."""
    return _IN_LINES.sub(_written_out, text)


def without_sequences(text: str) -> str:
    """Return the output of a program without what it says to the terminal, colours too."""
    return _SEQUENCES.sub("", text)


def without_surrogates(text: str) -> str:
    """Return `text` with halves of characters written out: JSON may hold them, and nothing can send or store them."""
    return _LONE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    mark = found[0]
    code = ord(mark)
    if mark in _SHORT:
        return _SHORT[mark]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
