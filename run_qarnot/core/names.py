"""Names of sessions and their buckets, and of files in buckets and on disks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container, Iterable

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message, quoted

BUCKET_SUFFIXES = ("-in", "-out")
_LONGEST_BUCKET = 63  # S3's rule
LONGEST_NAME = _LONGEST_BUCKET - max(map(len, BUCKET_SUFFIXES))
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_OWN_BUCKET = re.compile(rf"({_NAME.pattern})(-in|-out)(-[2-9])?")
_ANY_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
# Characters that XML 1.0 cannot hold, not even as references. The S3 protocol uses XML.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_KEY = 1000  # bytes; S3 takes 1024

_ADJECTIVES = (
    "able bold brave bright brisk calm clear clever cosy crisp eager early fair fancy fine fond fresh gentle glad "
    "golden grand green happy honest jolly keen kind lively lucky merry mild modest neat noble proud quick quiet "
    "rapid ready rosy sharp shiny silent silver smart snug solid spry steady sunny swift tidy vivid warm wise witty"
).split()
_ANIMALS = (
    "badger beaver bison bobcat camel crane curlew deer dolphin dove duck eagle egret falcon ferret finch fox gecko "
    "goose grouse gull hare hawk heron ibis jay kite koala lark lemur linnet lynx magpie marten mole moose newt "
    "ocelot osprey otter owl panda petrel pigeon plover puffin quail rabbit raven robin salmon seal shrew skylark "
    "snipe sparrow squirrel stork swallow swan swift tapir tern thrush toad trout turtle vole walrus weasel wren"
).split()


def make_name(taken: Container[str] = ()) -> str:
    """Make a friendly name such as `calm-heron-42` that is not among `taken`."""
    while True:
        name = f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_ANIMALS)}-{secrets.randbelow(90) + 10}"
        if name not in taken:
            return name


def make_launch_id() -> str:
    """Make the unique id of a launch: a valid `shortname` (`reference/qarnot-platform.md` §2.2)."""
    return f"rq-{secrets.token_hex(8)}"


def is_name(name: str) -> bool:
    """Return whether a session can have this name. Other tasks of the account may have any name."""
    return _NAME.fullmatch(name) is not None and len(name) <= LONGEST_NAME


def reference(name: str, task_id: str) -> str:
    """Return what identifies a session in commands, scripts and file names: its name if that is valid, otherwise its
    id."""
    return name if is_name(name) else task_id


def check_name(name: str) -> str:
    """Return `name` if buckets can be called after it.

    Raises:
        InputError: with the reason and the nearest valid name.
    """
    if is_name(name):
        return name
    raise InputError("name", field="name", name=name, problem=_name_problem(name), suggestion=suggest_name(name))


def _name_problem(name: str) -> Message:
    if not name:
        return Message("name-empty")
    if len(name) > LONGEST_NAME:
        return Message("name-long", length=len(name), most=LONGEST_NAME)
    if wrong := sorted(set(re.findall(r"[^a-z0-9-]", name))):
        marks = tuple(Message("space") if mark == " " else Message("quoted", text=mark) for mark in wrong)
        return Message("name-contains", marks=marks)
    return Message("name-hyphen")


def suggest_name(name: str) -> str:
    """Return the nearest valid name."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME].strip("-")
    return cleaned or make_name()


def bucket_candidates(session: str, suffix: str) -> list[str]:
    """Return the names that a bucket of a session may have, the preferred first.

    Bucket names are shared by all accounts of a storage (`reference/storage-ceph.md`), so the first one may belong to
    another account. A session with a very long name has only one: a shortened name could belong to another session.

    Arguments:
        session: its name.
        suffix: one of `BUCKET_SUFFIXES`.
    """
    found = [f"{session}{suffix}", *(f"{session}{suffix}-{number}" for number in range(2, 10))]
    return [name for name in found if len(name) <= _LONGEST_BUCKET]


def is_bucket_of(session: str, bucket: str | None) -> bool:
    """Return whether a bucket was made for a session, judging by its name."""
    return bucket is not None and session_of_bucket(bucket) == session


def session_of_bucket(bucket: str) -> str | None:
    """Return the name of the session that a bucket belongs to, judging by its name; None for other buckets."""
    found = _OWN_BUCKET.fullmatch(bucket)
    return found[1] if found else None


def is_bucket_name(name: str) -> bool:
    """Return whether a bucket can be called `name`.

    This allows more than can be created today: older buckets may have capitals and underscores.
    """
    return bool(_ANY_BUCKET.fullmatch(name))


def fits_xml(text: str) -> bool:
    """Return whether XML 1.0 can hold `text`. Other keys break requests and answers that list keys."""
    return _NO_XML.search(text) is None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be, if any is near."""
    from difflib import get_close_matches  # imported only when a name is misspelt

    return next(iter(get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)), None)


def which(name: str, known: Iterable[str]) -> Message:
    """Return the hint for an unknown name: the nearest known name, otherwise all of them."""
    if near := nearest(name, known):
        return Message("did-you-mean", names=quoted(near))
    names = tuple(known)
    return Message("there-are", names=names) if names else Message("has-none")


def check_key(key: str) -> str:
    """Return `key`, the path of a file inside a bucket, if it is safe in a bucket and on a disk.

    Raises:
        InputError: for absolute paths, empty parts, `.`, `..`, backslashes, drive letters, control characters, what XML
            cannot hold, over 1000 bytes.
    """
    parts = key.split("/")
    unsafe = (
        not {"", ".", ".."}.isdisjoint(parts)
        or "\\" in key
        or re.match(r"[A-Za-z]:", key) is not None
        or any(ord(mark) < 32 or ord(mark) == 127 for mark in key)
        or any(
            part != part.strip() for part in parts
        )  # the SDK and S3 tools strip spaces, so that two names become one file
        or not fits_xml(key)
        or len(key.encode("utf-8", "surrogatepass")) > _LONGEST_KEY
    )
    if unsafe:
        raise InputError("file-name", field="upload", name=ascii(key)[:120])
    return key
