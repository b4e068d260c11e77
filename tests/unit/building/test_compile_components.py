"""The build of the page's components, with Vue's own compiler."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

from building import compile_components
from building.compile_components import VUE_VERSION, read_compiler

SOURCE = "<template><p :title='words.more'>{{ count }}</p></template>\n<script>export default {}</script>\n"


def test_the_compiler_is_of_the_version_of_vue_that_ipyvue_brings() -> None:
    """It fails when ipyvue brings another minor version: take the compiler of that one (compile_components.py)."""
    licenses = [file.read_text() for file in importlib.metadata.files("ipyvue") or [] if file.match("*.LICENSE.txt")]
    found = {version for text in licenses for version in re.findall(r"@vue/runtime-core v(\d+\.\d+)", text)}
    assert found == {VUE_VERSION.rpartition(".")[0]}


def test_a_compiler_that_is_not_npms_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "compiler.tgz"
    other.write_bytes(compile_components.COMPILER.read_bytes() + b"\0")
    monkeypatch.setattr(compile_components, "COMPILER", other)
    with pytest.raises(ValueError, match="its hash differs"):
        read_compiler()


def test_a_component_becomes_a_script_a_function_and_a_style() -> None:
    made = compile_components._compile({"one": f"{SOURCE}<style>.rq-a {{ color: red; }}</style>"})["one"]
    assert made["script"].strip() == "export default {}"
    assert "export function render(" in made["template"]
    assert made["style"].strip() == ".rq-a { color: red;\n}"


@pytest.mark.parametrize(
    "wrong", [SOURCE.replace("</p>", ""), SOURCE.replace("count", "count +"), SOURCE.replace("{}", "{")]
)
def test_a_mistake_ends_the_build_and_names_the_file(wrong: str) -> None:
    with pytest.raises(Exception, match=r"one\.vue"):
        compile_components._compile({"one": wrong})
