"""Which images a cluster can run.

Qarnot runs every docker image. The local cluster has no containers: it runs the commands of a catalog on this computer,
and emulates some images with this computer's programs. It names these in a constant of each profile (`PROFILES` in
`qarnot_local/runtime/profiles.py`). A profile without that constant runs every image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from run_qarnot.catalog.image import Image
from run_qarnot.cloud.api import first_profile
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.engine.client import Client

_OF_THE_IMAGE = re.compile(r"(^|[\s'\"])/opt/")
PLAYED = "LOCAL_CLUSTER_IMAGES"
PLAYED_BUNDLED = "LOCAL_CLUSTER_BUNDLED_IMAGES"  # started by our own start script, with this computer's JupyterLab


def can_run(image: Image, constants: Mapping[str, str]) -> bool:
    """Whether an image runs on a profile.

    Arguments:
        image: an entry of the catalog.
        constants: of the profile, with their default values. `PLAYED` holds patterns of docker repositories.
    """
    if PLAYED not in constants:
        return True
    repo = image.repo or str(image.constants.get("DOCKER_REPO") or constants.get("DOCKER_REPO", ""))
    if image.start == "bundled":  # the start script needs a container
        is_lab = image.effective_app.kind == "jupyterlab" and not image.command
        return is_lab and _fits(repo, constants.get(PLAYED_BUNDLED, ""))
    if _OF_THE_IMAGE.search(image.command) and not _fits(repo, constants[PLAYED]):
        return False  # it names a program that exists only in the image
    if image.command or image.constants.get("DOCKER_CMD"):
        return True  # the computer itself can run it
    return _fits(repo, constants[PLAYED])


def _fits(repo: str, patterns: str) -> bool:
    return any(fnmatchcase(repo, pattern) for pattern in patterns.split())


async def not_runnable(client: Client, images: Iterable[Image]) -> list[str]:
    """Return the ids of the images that the account's cluster cannot run. Unknown ones count as runnable.

    Profiles that the account does not have are not considered: `Account.start` refuses them with its own error.
    """
    known: dict[str, Mapping[str, str]] = {}
    found = []
    try:
        available = await client.profiles()
        for image in images:
            for profile in first_profile(image.profile, available)[:1]:
                if profile not in known:
                    known[profile] = await client.profile_constants(profile)
                if not can_run(image, known[profile]):
                    found.append(image.id)
    except RunQarnotError:
        return found
    return found
