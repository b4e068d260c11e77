"""A family of images by code: the same batch in each version of Python, one entry of the catalog each.

In `images.toml` this would be the same dozen lines again and again, to be changed in all of them each October.
"""

from __future__ import annotations

from run_qarnot import Image, Option, Settings, hookimpl

VERSIONS = ("3.11", "3.12", "3.13")

SCRIPT = Option(
    label="Script",
    help="One of the files that you add.",
    regex=r"[\w./-]+\.py",
    message="Write the name of a file that ends in .py.",
    default="main.py",
    constant="SCRIPT",
)
# What the script needs is installed first, if it says so. The variables are those of the container.
COMMAND = """sh -c 'if [ -f requirements.txt ]; then pip install -r requirements.txt; fi && exec python "$SCRIPT"'"""


def batch(version: str) -> Image:
    """Return the image of one version."""
    return Image(
        id=f"python-{version}",
        title=f"Python {version} script",
        summary="Runs your script, then stops by itself",
        category="Python scripts",
        icon="mdi-language-python",
        app="batch",
        profile=("docker-network", "docker-batch"),
        repo="library/python",
        tag=version,
        command=COMMAND,
        options={"script": SCRIPT},
    )


@hookimpl
def rq_images(settings: Settings) -> list[Image]:
    """One image for each version."""
    return [batch(version) for version in VERSIONS]
