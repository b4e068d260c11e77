"""JupyterLab as a person uses it: a notebook, a cell, its output."""

from __future__ import annotations

from playwright.sync_api import Page, expect

_MILLISECONDS = 90_000  # it starts a kernel, perhaps on a busy machine


def run_a_cell(lab: Page) -> None:
    """Make a notebook from the launcher, and run a cell in it."""
    lab.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=_MILLISECONDS)
    expect(lab.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=_MILLISECONDS)
    cell = lab.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.click()
    lab.keyboard.insert_text("print('six times seven is', 6 * 7)")
    lab.keyboard.press("Shift+Enter")
    expect(lab.locator(".jp-OutputArea-output").first).to_contain_text("six times seven is 42", timeout=_MILLISECONDS)
