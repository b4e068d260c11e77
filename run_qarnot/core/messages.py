"""Every sentence that a person may read about a state, an end or an error, in one place.

Values in braces are the facts that an error carries. A test holds `ERRORS` complete and without unused entries.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple

from run_qarnot.core import language, visible


class Words(NamedTuple):
    what: str  # what happened
    todo: str  # what to do, wherever one is
    typed: str = ""  # what to type, for who is in a terminal


STATES: Mapping[str, str] = {
    "preparing": "Preparing: your files travel to the cluster",
    "waiting": "Waiting: the cluster looks for a free machine",
    "loading": "Loading: a machine is found, files and software travel to it",
    "starting": "Starting: the machine is up, {app} is not answering yet",
    "ready": "Ready: {app} answers",
    "saving": "Saving: results travel to your bucket",
    "stopping": "Stopping: the machine is being given back",
    "ended": "Ended",
    "failed": "Failed",
    "unknown": "The cluster uses a word that this version does not know; still watching",
}

END_REASONS: Mapping[str, str] = {
    "stopped": "It was stopped; the results are in its bucket.",
    "time-limit": "Its time limit was reached; the results are in its bucket.",
    "finished": "It ended by itself; the results are in its bucket.",
    "failed": "Its reason is said beside.",
    "deleted": "It was deleted.",
    "given-up": "It was given up before it started; nothing runs.",
}

# Of a session that never had a machine.
END_BEFORE_A_RUN: Mapping[str, str] = {
    "stopped": "It was stopped before it ran; there are no results.",
    "time-limit": "Its time limit was reached before it ran; there are no results.",
}

ERRORS: Mapping[str, Words] = {
    # what the user gave
    "token-empty": Words("No Qarnot token was given.", "Copy yours from https://console.qarnot.com/settings/access-token and paste it.", "Here: `export QARNOT_CLIENT_TOKEN=…`. `run-qarnot demo` needs none."),
    "token-shape": Words("This is not a Qarnot token: it contains {problem}.", "Copy the whole token, and nothing else, from your Qarnot console."),
    "name": Words("The name “{name}” {problem}.", "Use small letters, digits and hyphens, for example “{suggestion}”."),
    "name-taken": Words("There is already a session called “{name}”.", "Choose another name, or continue from it.", "`--resume {name}` does that."),
    "bucket-taken": Words("The bucket “{bucket}” already holds files.", "Choose another session name, so that nothing there is mixed up or overwritten."),
    "bucket-foreign": Words("The bucket name “{bucket}” belongs to another account of the storage.", "Choose another session name; nothing was started."),
    "bucket-differs": Words("The bucket “{bucket}” holds another file “{name}” than yours: a start by the same name broke off, or is under way.", "Choose another session name; nothing was started, and nothing there was replaced."),
    "bucket-shared": Words("While your files travelled, others came into the same bucket “{bucket}”, such as “{name}”: somebody else starts a session by this name.", "Choose another session name, and your files are sent again; nothing was started, and nothing there was replaced."),
    "name-overtaken": Words("Another start by the name “{name}” was submitted while yours was being prepared; yours was not started.", "Choose another name, and your files are sent again. What was sent lies beside the other's files in “{bucket}”, where nothing was replaced."),
    "image-unknown": Words("There is no image called “{image}”.", "{hint}", "`run-qarnot images` lists them all."),
    "image-broken": Words("The image “{image}” cannot be used: {problem}", "Ask who keeps the catalog to correct it, or choose another image."),
    "catalog-unread": Words("There is no image called “{image}”, and something of the catalog could not be read: {problem}.", "Put that right, or name another file in RUN_QARNOT_IMAGES."),
    "option-unknown": Words("The image “{image}” has no option “{option}”.", "{hint}"),
    "option-value": Words("“{value}” will not do for {label}: {problem}.", "{hint}"),
    "option-empty": Words("{label} must be filled in.", "{hint}"),
    "option-form": Words("“{text}” is not an option.", "Write it as --set NAME=VALUE."),
    "link-secret": Words("“{option}” is a secret, which no link may carry.", "Type it into its field."),
    "link-twice": Words("The link says “{key}” several times; the first counts.", "Check whether that is what you want."),
    "link-long": Words("The link is too long; what stands behind its first {most} characters was left out.", "Fill that in by hand."),
    "link-local": Words("Only this computer can open the link: {host} is another one for everybody else.", "Give the dashboard's address as others see it.", "`--base https://…` does that."),
    "link-session": Words("The link leads to a server on {host} that is only yours, and only for as long as it runs.", "Give an address that lasts.", "Of Binder, that is the one of its badge: `--base 'https://mybinder.org/v2/…?urlpath=…'`."),
    "link-token": Words("The address holds a token, which was left out of the link.", "Others need one of their own; do not pass yours on."),
    "link-image": Words("Without its image nothing of this could be filled in: {keys}.", "Choose an image, and fill it in by hand."),
    "link-clock": Words("“{time}” is a time of the day, which may be over when somebody opens the link.", "Write a number of hours into it, such as 4."),
    "hours": Words("{hours} hours is not possible.", "Choose between {least} and {most} hours."),
    "hours-or-clock": Words("“{typed}” could be a time of the day, or a number of hours.", "Write {clock} for the time, or {hours} for the hours."),
    "key-private": Words("That is a private key. It was not used, kept or sent.", "Give the public one, which ends in .pub and begins with ssh-. PuTTYgen shows that of a .ppk file."),
    "key-format": Words("That is not an OpenSSH public key: {problem}.", "Paste one line such as “ssh-ed25519 AAAA… you@home”; `ssh-keygen -t ed25519` makes a pair."),
    "key-certificate": Words("That is a certificate, and not a key: the session's SSH server does not know who signed it.", "Give the public key that it was made for: the .pub file without “-cert” in its name."),
    "key-kind": Words("Current SSH servers take no key of the kind {kind}.", "Give another one; `ssh-keygen -t ed25519` makes a pair, and the file that ends in .pub is the public one."),
    "key-size": Words("An RSA key of {bits} bits is not taken by current SSH servers.", "Give one of {least} bits or more, or better another kind: `ssh-keygen -t ed25519` makes a pair."),
    "key-damaged": Words("The key is cut off or damaged.", "Copy the whole line of the .pub file, and nothing else."),
    "key-characters": Words("The key contains an invisible character ({character}), as some editors and web pages put in.", "Copy it again, from the .pub file itself."),
    "key-options": Words("Something stands before the key, such as options, which would not hold in a session.", "Give the line without that, from “ssh-ed25519”, “ssh-rsa” or the like on."),
    "file-missing": Words("There is no file or folder “{path}”.", "Check the path; nothing was changed."),
    "file-unreadable": Words("“{path}” cannot be read: {problem}.", "Change its permissions, or leave it out; nothing was changed."),
    "log-unwritable": Words("The log cannot be written to “{path}”: {problem}.", "Name a file in a folder that exists and that you may write to."),
    "file-name": Words("A file named {name} cannot be stored safely.", "Rename it: no “..”, no backslash, no leading slash, no space at either end, at most 1000 bytes."),
    "inputs-left-out": Words("Left out ({count}): {names}. The reason of the first: {problem}.", "Everything else is sent."),
    "file-twice": Words("Two of the inputs would both become “{name}”.", "Rename one of them, or put them in different folders."),
    "file-and-folder": Words("“{name}” cannot be both a file and the folder of “{other}”.", "Rename one of them; nothing was sent."),
    "machine-size": Words("A machine cannot be as large as “{value}”.", "Write a whole number such as 8, or leave it empty."),
    "machine-unknown": Words("The account has no machine “{machine}”.", "{hint}"),
    "bucket-unknown": Words("The account has no bucket “{bucket}”.", "{hint}"),
    "files-many": Words("“{name}” is one file too many: the list takes {most}.", "Put them into an archive, or send the folder from the command line.", "`run-qarnot launch IMAGE --input FOLDER` takes any number."),
    "files-refused": Words("Not taken ({count}): {names}. The reason of the first: {problem}", "The others are in the list. Put these right, and choose them again."),
    "settings": Words("{name} is set to “{value}”, which {problem}.", "{hint}"),
    "login-token-short": Words("RUN_QARNOT_LOGIN_TOKEN has {length} characters and could be guessed.", "Set it to a random text of at least {shortest} characters, or leave it away: then one is made at each start."),
    "no-login": Words("Without a login, everybody who can connect would use the account.", "Give --no-login together with --unix-socket only, when the program that connects has authenticated the visitor."),
    "base-url": Words("“{value}” cannot be the path of a page.", "Write the path alone, such as /run-qarnot/."),
    "listen": Words("The dashboard cannot listen on {address}: {problem}.", "Choose another with --ip, --port or --unix-socket."),
    # what is not there
    "session-unknown": Words("There is no session “{text}” in this account.", "Perhaps it was deleted.", "`run-qarnot sessions` lists those that there are."),
    "session-ambiguous": Words("“{text}” could mean several sessions: {names}.", "Write more of the name, or the id."),
    "session-whole": Words("There is no session called exactly “{text}”; nothing was deleted.", "{hint}", "To delete files too, write the whole name, or an id."),
    "no-results": Words("“{name}” has no results{pattern}.", "Save it first if it is running, or check the pattern."),
    "input-changed": Words("The session has changed “{name}” itself, and keeps its version.", "Rename yours, or have it replace the session's.", "Yours waits in the session's input bucket; on the command line, `--replace` puts it in place."),
    "input-exists": Words("There is already another file “{name}” in the bucket “{bucket}”.", "Rename yours, or say that it replaces the other; nothing was replaced.", "`--replace` puts yours in its place."),
    "output-exists": Words("“{path}” already exists.", "Choose another place, so that nothing is overwritten."),
    # what the cluster refuses
    "team-token-refused": Words("The cluster at {cluster} does not accept the team's token any more.", "Tell whoever runs this page: it needs a new one."),
    "token-refused": Words("The cluster at {cluster} does not accept this token.", "Copy it again from your Qarnot console; tokens can also expire or be revoked."),
    "forbidden": Words("The cluster does not allow this: {message}.", "Ask the administrator of your Qarnot account."),
    "credits": Words("The account has not enough credits: {message}.", "Add credits in your Qarnot console, then start again; nothing was started."),
    "quota-tasks": Words("The account has as many sessions as it may have: {message}.", "Stop or delete one, then start again.", "`run-qarnot sessions` lists them."),
    "quota-buckets": Words("The account has as many buckets as it may have.", "Delete sessions with their files, or buckets that are left over; what was stored before is kept.", "`run-qarnot delete NAME --files` and `run-qarnot delete --left-over` do that."),
    "quota-bytes": Words("The storage of the account is full.", "Delete sessions with their files, or buckets that are left over; what was stored before is kept.", "`run-qarnot delete NAME --files` and `run-qarnot delete --left-over` do that."),
    "profile-missing": Words("This account has none of the profiles that “{image}” needs: {profiles}.", "Ask Qarnot's support to enable one for your account, or choose another image."),
    "image-not-played": Words("“{image}” cannot be tried on this computer, because the local cluster has no containers and does not play this image.", "Choose another image, or connect to Qarnot; nothing was started."),
    "rejected": Words("The cluster did not accept the request: {message}.", "If the sentence does not help, send it to Qarnot's support; nothing was started."),
    "storage-refused": Words("The storage refused {action}: {message}.", "If the sentence does not help, send it to Qarnot's support; what was stored before is kept."),
    "storage-clock": Words("The storage refused the request: the clock of this machine is off by more than fifteen minutes.", "Set it right, then try again; what was stored before is kept."),
    "storage-token": Words("The storage does not accept this account's token.", "Copy it again from your Qarnot console; what was stored before is kept."),
    "storage-forbidden": Words("The storage refused {action}: {message}.", "What you named may belong to somebody else: choose another name, or ask the administrator of your Qarnot account."),
    "storage-gone": Words("“{name}” is not in the storage any more.", "Somebody may have deleted it: look whether the session and its buckets are still there."),
    "storage-large": Words("“{name}” is larger than the storage takes.", "Split it, or leave it out; what was stored before is kept."),
    "too-late": Words("“{name}” is not running any more.", "What it has saved is in its bucket.", "`run-qarnot show {reference}` says how it ended."),
    "plugin-name": Words("A plugin cannot be called “{name}”: {problem}.", "Use small letters, digits and underscores, and begin with a letter, for example “{suggestion}”."),
    "in-use": Words("The files of “{name}” are in use by {others}: what was continued from it holds only what has changed since.", "Delete those first, or delete “{name}” without its files; nothing was deleted.", "`run-qarnot delete {reference}` keeps the files."),
    "delete-unasked": Words("Nobody is here to be asked, so nothing of “{name}” was deleted.", "Say beforehand that its files may go: there is no way back.", "`run-qarnot delete {reference} --files --yes` does that."),
    "still-running": Words("“{name}” is still running.", "Stop it first.", "`run-qarnot stop {reference}` saves and stops it."),
    "still-needed": Words("This page still works for {names}: it sends files, or stops it.", "Wait until that is done, then change the account. A reload forgets the token at once, and gives that up."),
    "limit-fixed": Words("The time limit of “{name}” cannot be changed: the cluster keeps the one it was started with.", "{hint}"),
    "options-unknown": Words("“{name}” cannot be started again as it was: what was entered for {options} is not known any more.", "Save it and stop it, then continue from it with that filled in; nothing was stopped.", "`run-qarnot launch {image} --resume {reference} --set …` does that."),
    "options-lost": Words("“{name}” cannot be started again as it was: what was entered for {options} is not known any more.", "Press “Edit and start again”, and fill that in; nothing was started."),
    # what failed
    "session-failed": Words("“{name}” failed: {reason}", "Read the last lines of its output, then start again; your files are still in {inputs}."),
    "session-ended": Words("“{name}” ended before it was ready. {reason}", "Look at its output.", "`run-qarnot logs {reference}` shows it."),
    "given-up": Words("“{name}” was given up before it started.", "Start again whenever you like; nothing runs."),
    "save-failed": Words("The results of “{name}” could not be saved: {message}.", "It is still running. Try to save again; stop it without saving only if you can do without."),
    "other-token": Words("“{name}” was started with another Qarnot token, from which its key is derived.", "Use that token to open it, or stop it and continue from it; what it has saved is kept.", "`run-qarnot stop {reference}`, then `run-qarnot launch IMAGE --resume {reference}`."),
    "no-door": Words("“{name}” cannot be opened from here: {problem}.", "{hint}"),
    "tunnel": Words("The way to “{name}” could not be opened: {problem}.", "It is tried again by itself; if it stays so, your network may block SSH."),
    "upload": Words("“{name}” could not be uploaded: {problem}.", "Try again; what is already uploaded is kept."),
    "no-room": Words("“{name}” could not be uploaded: the machine that runs this page has no room for it.", "Remove files from the list, or start the session first and add it there: large files then go straight to the storage."),
    "download": Words("“{name}” could not be downloaded: {problem}.", "Try again: it goes on where it stopped."),
    "transfer-given-up": Words("The transfer was given up.", "Start it again whenever you like: it goes on where it stopped."),
    "broken": Words("Something went wrong on the way: {problem}.", "Try again; if it happens again, something between here and the storage changes what passes."),
    "write": Words("“{path}” could not be written: {problem}.", "Choose a folder where you may write and that has room."),
    "plugin-refused": Words("It was not started: {reason}", "Change that, then start again. The rule comes from “{plugin}”."),
    # what cannot be reached
    "unreachable": Words("The cluster at {cluster} does not answer: {problem}.", "Check the network and QARNOT_CLUSTER_URL, then try again."),
    "nonsense": Words("What answers at {cluster} does not speak Qarnot's language: {problem}.", "Check QARNOT_CLUSTER_URL."),
    "storage-unreachable": Words("The storage does not answer: {problem}.", "Check the network and QARNOT_STORAGE_URL, then try again."),
    "certificate": Words("The certificate of {whose} is not accepted: {problem}.", "If your network has certificates of its own, name their file in REQUESTS_CA_BUNDLE; else check the address and the clock."),
    "proxy": Words("The proxy of this network does not lead to {whose}: {problem}.", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, then try again."),
    # what is missing on this machine
    "local-cluster": Words("The local cluster could not be started on this server.", "Try again; if it fails again, the server's log says more."),
    "local-missing": Words("The local cluster needs the package “{package}”, which is not installed.", "Install it with: pip install 'run-qarnot[local]'"),
    "port-taken": Words("Port {port} of this machine is in use.", "Choose another with --port, or leave it away."),
    "part-ended": Words("The {part} ended by itself.", "Its last words are above; if they do not help, please report them."),
    "part-silent": Words("The {part} did not start within {seconds} seconds.", "Try again; if it happens again, please report what stands above."),
    "bug": Words("Something unexpected happened: {problem}.", "This is a fault of Run Qarnot; please report it with the details."),
}  # fmt: skip

# What can be wrong in a catalog or a plugin: one line each, after the place (file, line, entry, key). What was found,
# what is allowed and the nearest right name are put behind by `problem_words`.
PROBLEMS: Mapping[str, str] = {
    # the file
    "file-missing": "there is no such file or folder",
    "file-kind": "is no file that can be read as text",
    "file-unreadable": "cannot be read: {problem}",
    "file-size": "has {size} MB, which is too much for a catalog",
    "file-utf8": "is not UTF-8 text: byte {byte} cannot be read; save the file as UTF-8",
    "toml": "is not valid TOML: {problem}",
    "schema": "must be {schema}",
    # an entry
    "table": "must be a table",
    "key-unknown": "there is no such key",
    "key-missing": "must be given",
    "type": "must be {wanted}",
    "value": "will not do: {problem}",
    "form": "must be {wanted}",
    "least": "is too little",
    "most": "is too much",
    "not-offered": "is not one of those that there are",
    "regex": "does not compile as a regular expression: {problem}",
    "regex-message": "needs a `message` beside it that says what is allowed",
    "choices": "a field of type {type} needs `choices`",
    "choices-unused": "has no meaning for a field of type {type}",
    "limits-unused": "has no meaning for a field of type {type}",
    "limits": "`min` is more than `max`",
    "default": "the default will not do: {problem}",
    "app": "there is no app of this kind",
    "icon": "there is no icon of this name",
    "repo-missing": "must be given, such as `repo = \"team/image\"`: the profile runs a docker image",
    "repo-tag": "is the name without its {named}, which stands in a key of its own: {named} = \"{value}\"",
    "choices-form": "a choice is no empty text, has no space at its ends and, of type multi, no comma",
    "tag-digest": "`tag` and `digest` exclude each other",
    "hours": "`hours` is more than `max_hours`",
    "entry-twice": "is skipped: {first} already brings an image of this id",
    # the account
    "profile": "this account has no such profile",
    "constant": "the profile “{profile}” does not know this constant",
    # a plugin
    "plugin-load": "could not be loaded: {problem}",
    "plugin-slow": "{what} took over {seconds} seconds and was skipped",
    "plugin-failed": "`{hook}` failed: {problem}",
    "plugin-name": "is skipped: another plugin is called so",
    "plugin-printed": "{what} printed “{text}”; use `logging` or return it",
    "hook-unknown": "`{hook}` is no hook",
    "hook-unmarked": "`{hook}` is not marked with @hookimpl and so is not called",
    "hook-arguments": "`{hook}` asks for arguments that it cannot have",
    "hook-class": "`{hook}` stands in the class {owner}, where nobody calls it; write it as a function of the module",
    "hook-kind": "`{hook}` must be a plain function: it is {found_kind}",
    "hook-answer": "`{hook}` must return {wanted}",
    "app-wrong": "the app “{app}” cannot be used: {problem}",
    "app-twice": "the app “{app}” is skipped: {first} already brings one of this kind",
    "option-twice": "the option “{option}” is skipped: {first} already brings one of this name",
    "plan": "`rq_prepare` left `{part}` in a form that cannot be sent: {problem}; its changes are not used",
}  # fmt: skip

# What stands behind each of them, if it is known.
PROBLEM_TAILS: Mapping[str, str] = {
    "found": " (found {})",
    "allowed": "; allowed: {}",
    "nearest": "; did you mean “{}”?",
}

# What a key of the catalog must look like, after “must be”.
FORMS: Mapping[str, str] = {
    "id": "small letters, digits, “.”, “-” and “_”, with a letter or digit at both ends",
    "docs_url": "an address that begins with https:// or http://",
    "repo": "the name of a docker repository in small letters, such as team/image or quay.io/team/image",
    "registry": "the host of a docker registry, such as quay.io or registry.example.org:5000",
    "tag": "a docker tag: letters, digits, “.”, “-” and “_”",
    "digest": "“sha256:” and 64 digits from 0 to f",
    "ssh_user": "the name of a user",
    "open_path": "a path that begins with “/”",
    "path": "a path that begins with “/”",
    "token_env": "the name of a constant, such as JUPYTER_TOKEN",
    "constant": "the name of a constant, such as TIME_LIMIT",
    "profile": "a profile's name, or a list of at least one",
}


def problem_words(code: str, facts: Mapping[str, object]) -> str:
    """Return the sentence of a problem in a catalog: what is wrong, what was found, what is allowed, what was meant.

    Of the facts, `found`, `allowed` and `nearest` may be left out or empty.
    """
    said = {name: _say_fact(fact) for name, fact in facts.items()}
    words = _translation() or _english()
    tails = [tail.format(said[name]) for name, tail in words.PROBLEM_TAILS.items() if said.get(name) not in (None, "")]
    return "".join([words.PROBLEMS[code].format_map(said), *tails])


def error_words(code: str, facts: Mapping[str, object]) -> Words:
    """Return the sentences of an error with its facts in them, in the language in use."""
    said = {name: _say_fact(fact) for name, fact in facts.items()}
    return Words(*(part.format_map(said).strip() for part in (_translation() or _english()).ERRORS[code]))


def _say_fact(fact: object) -> object:
    """Facts come from anywhere: each is a part of one line, and nothing in it is invisible."""
    if isinstance(fact, float):
        return language.number(fact)
    if fact is None or isinstance(fact, int):
        return fact
    return visible.one_line(say(fact) if isinstance(fact, str) else str(fact))


def phase(state: str, app_title: str) -> str:
    """Return what a session is doing, as a sentence for people."""
    return (_translation() or _english()).STATES[state].format(app=say(app_title))  # type: ignore[no-any-return]


def end(state: str, reason: str | None, *, has_run: bool = True) -> str:
    """Return how a session ended, as sentences for people."""
    words = _translation() or _english()
    reasons = words.END_REASONS if has_run else {**words.END_REASONS, **words.END_BEFORE_A_RUN}
    return f"{words.STATES[state]}. {reasons[reason]}" if reason else str(words.STATES[state])


def say(text: str) -> str:
    """Return a phrase of ours in the language in use; whatever else it is stays as it is."""
    other = _translation()
    for pattern, gaps, translated in _phrases(other) if other is not None and len(text) < _LONGEST_PHRASE else ():
        if (match := pattern.fullmatch(text)) is not None:
            return translated(*map(_say_gap, gaps, match.groups()))
    return text


def _say_gap(gap: str, text: str) -> str:
    return say(text) if gap == "{}" else language.written(text)


_LONGEST_PHRASE = 1000


def _english() -> ModuleType:
    return sys.modules[__name__]


def _translation() -> ModuleType | None:
    """The other tables, loaded when somebody speaks that language; None for English."""
    spoken = language.spoken()
    return None if spoken == "en" else importlib.import_module(f"run_qarnot.core.messages_{spoken}")


@functools.cache
def _phrases(other: ModuleType) -> list[tuple[re.Pattern[str], list[str], Callable[..., str]]]:
    """What a phrase looks like in English, its gaps, and how to say it."""
    return [
        (
            re.compile("".join(_GAPS.get(part) or re.escape(part) for part in _GAP.split(phrase)), re.DOTALL),
            _GAP.findall(phrase),
            translated.replace("{n}", "{}").format,
        )
        for phrase, translated in other.PHRASES.items()
    ]


_GAP = re.compile(r"(\{n?\})")
_GAPS = {"{}": r"(.+?)", "{n}": r"(-?[\d.]+(?:e[+-]\d+)?)"}
