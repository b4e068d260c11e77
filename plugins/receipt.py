"""A receipt of the packages: what was installed in a session, as a table on its card.

The start script of the images keeps `requirements-full.txt` up to date, and each save puts it among the results.
"""

from __future__ import annotations

from run_qarnot import Panel, SessionInfo, hookimpl

CHOSEN, ALL = "requirements.txt", "requirements-full.txt"
MOST_ROWS = 500


def packages(text: str) -> dict[str, str]:
    """Return name → version of the lines such as `numpy==2.1.0` or `black[jupyter]==25.1`."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pairs = (line.partition("==") for line in lines if line and not line.startswith("-"))
    return {name.partition("[")[0].strip(): version.strip() for name, _, version in pairs}


@hookimpl
def rq_panel(session: SessionInfo) -> Panel | None:
    """A table of all packages, those first that the user installed. None before the first save."""
    chosen = packages(session.text(CHOSEN))
    every = packages(session.text(ALL)) or chosen
    if not every:
        return None
    ordered = sorted(every, key=lambda name: (name not in chosen, name.lower()))
    rows = tuple((name, every[name], "✓" if name in chosen else "") for name in ordered[:MOST_ROWS])
    return Panel(
        {"en": "Packages", "fr": "Paquets"},
        {
            "en": f"{len(every)} packages, {len(chosen)} of them installed by you.",
            "fr": f"{len(every)} paquets, dont {len(chosen)} que vous avez installés.",
        },
        head=({"en": "Package", "fr": "Paquet"}, "Version", {"en": "Installed by you", "fr": "Installé par vous"}),
        rows=rows,
    )
