"""`dashboard.ipynb`: short enough to read at a glance, and it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.repository import ROOT

NOTEBOOK = ROOT / "dashboard.ipynb"
MOST_CELLS, MOST_LINES = 4, 12


def test_it_is_short_and_has_no_outputs() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert 0 < len(cells) <= MOST_CELLS
    for cell in cells:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert len("".join(cell["source"]).splitlines()) <= MOST_LINES


def test_it_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an account and without a cluster: nothing is asked of the network before there is a token."""
    for name in ("QARNOT_CLIENT_TOKEN", "QARNOT_CLUSTER_URL", "QARNOT_STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody is there: a call would fail and be seen
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("RUN_QARNOT_DOWNLOADS", str(tmp_path))  # as in a kernel of our server
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type in {"error", "stream"}]
