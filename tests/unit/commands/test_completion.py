"""The script for a shell, in that shell."""

import subprocess
import sys
from pathlib import Path

import pytest

from run_qarnot.commands.completion import completion
from run_qarnot.commands.parser import make_parser, parse, path_arguments
from run_qarnot.commands.table import COMMANDS, SHELLS
from run_qarnot.model.settings import Settings

ASK = """source ./{script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
compopt() {{ :; }}
{function} run-qarnot "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shell")
    script = subprocess.run(
        [sys.executable, "-m", "run_qarnot", "completion", "bash"], check=True, capture_output=True, text=True
    ).stdout
    (folder / "script").write_text(script)
    (folder / "data.csv").touch()
    return folder


def complete(folder: Path, *words: str) -> set[str]:
    script = (folder / "script").read_text()
    function = script.rstrip().splitlines()[-1].split("-F ")[1].split()[0]
    asked = ASK.format(script="script", words=" ".join(f"'{word}'" for word in words), function=function)
    done = subprocess.run(["bash", "-c", asked], cwd=folder, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_paths(bash: Path) -> None:
    assert complete(bash, "run-qarnot", "la") == {"launch"}
    assert set(COMMANDS) <= complete(bash, "run-qarnot", "")
    assert complete(bash, "run-qarnot", "stop", "a", "--no") == {"--no-save"}
    assert complete(bash, "run-qarnot", "launch", "base", "--input", "da") == {"data.csv"}
    assert complete(bash, "run-qarnot", "launch", "base", "--scheduling", "f") == {"flex"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parse(["completion", shell])
    assert arguments is not None
    assert completion(Settings(), arguments) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


def test_every_file_and_folder_is_known_to_be_one() -> None:
    wanted = {"PATH", "FILE", "DIR", "D"}
    found = {id(action) for action in path_arguments(make_parser())}
    assert len(found) > 10
    assert all(action.metavar in wanted for action in path_arguments(make_parser()))


def test_nothing_else_loads_the_library() -> None:
    code = "import sys; from run_qarnot.commands import entry; sys.exit('shtab' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
