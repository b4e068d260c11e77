"""The examples below the options of `run-qarnot COMMAND --help`."""

from __future__ import annotations

from collections.abc import Mapping

FIRST_STEPS = """\
first steps:
  run-qarnot demo                       the whole thing on this machine, without an account
  run-qarnot images                     what can be started
  run-qarnot launch base --open         start it, and open it in the browser
  run-qarnot sessions                   what runs, and what has run

An account's token is read from QARNOT_CLIENT_TOKEN. `run-qarnot COMMAND --help` has examples.
"""

EXAMPLES: Mapping[str, str] = {
    "demo": """
  run-qarnot demo
  run-qarnot demo --port 9000 --no-browser""",
    "dashboard": """
  run-qarnot dashboard
  run-qarnot dashboard --base-url /run-qarnot/ --trust-proxy
  run-qarnot dashboard --ip 0.0.0.0 --port 8866 --no-browser""",
    "cluster": """
  run-qarnot cluster
  run-qarnot cluster --port 8080 --state-dir ~/cluster""",
    "images": """
  run-qarnot images
  run-qarnot images sklearn
  run-qarnot images --json""",
    "plugins": """
  run-qarnot plugins
  run-qarnot plugins --json""",
    "new-plugin": """
  run-qarnot new-plugin our_images
  run-qarnot new-plugin our_images --package""",
    "check": """
  run-qarnot check
  run-qarnot check images.toml""",
    "doctor": """
  run-qarnot doctor
  run-qarnot doctor --spend --output report""",
    "launch": """
  run-qarnot launch base --open
  run-qarnot launch scikit-learn --input data/ --input main.ipynb --hours 2
  run-qarnot launch command --set command="python main.py" --input .
  run-qarnot launch base --from calm-heron-42 --name for-ada --hours 18:30
  run-qarnot launch machine --ssh-key ~/.ssh/id_ed25519.pub --detach""",
    "start": """
  run-qarnot start calm-heron-42
  run-qarnot start calm-heron-42 --hours 18:30 --image scikit-learn""",
    "extend": """
  run-qarnot extend calm-heron-42 4""",
    "sessions": """
  run-qarnot sessions
  run-qarnot sessions --json""",
    "show": """
  run-qarnot show calm-heron-42
  run-qarnot show calm --json
  run-qarnot show calm --watch""",
    "open": """
  run-qarnot open calm-heron-42
  run-qarnot open calm-heron-42 --no-browser""",
    "logs": """
  run-qarnot logs calm-heron-42
  run-qarnot logs calm-heron-42 --follow""",
    "add": """
  run-qarnot add calm-heron-42 more.csv data/
  run-qarnot add calm-heron-42 main.ipynb --replace""",
    "save": """
  run-qarnot save calm-heron-42""",
    "stop": """
  run-qarnot stop calm-heron-42
  run-qarnot stop calm-heron-42 --no-save""",
    "results": """
  run-qarnot results calm-heron-42
  run-qarnot results calm-heron-42 '*.png' --output pictures
  run-qarnot results calm-heron-42 --zip results.zip""",
    "delete": """
  run-qarnot delete calm-heron-42
  run-qarnot delete calm-heron-42 --files
  run-qarnot delete --left-over""",
    "link": """
  run-qarnot link base --hours 4
  run-qarnot link command --set command="python main.py" --base https://example.org/run-qarnot/""",
    "completion": """
  run-qarnot completion bash >> ~/.bashrc
  run-qarnot completion zsh > ~/.zfunc/_run-qarnot     (with `fpath+=~/.zfunc` before `compinit`)
  run-qarnot completion fish > ~/.config/fish/completions/run-qarnot.fish""",
}
