"""Every sentence that a person may read about a state, an end or an error, in one place.

Values in braces are the facts that an error carries. A test holds `ERRORS` complete and without unused entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    what: str  # what happened
    todo: str  # what to do


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
    "failed": "It failed.",
    "deleted": "It was deleted.",
    "given-up": "It was given up before it started; nothing runs.",
}

ERRORS: Mapping[str, Words] = {
    # what the user gave
    "token-empty": Words("No Qarnot token was given.", "Copy yours from https://console.qarnot.com/settings/access-token and paste it."),
    "token-shape": Words("This is not a Qarnot token: it contains {problem}.", "Copy the whole token, and nothing else, from your Qarnot console."),
    "name": Words("The name “{name}” {problem}.", "Use small letters, digits and hyphens, for example “{suggestion}”."),
    "name-taken": Words("There is already a session called “{name}”.", "Choose another name, or continue from it with --resume {name}."),
    "bucket-taken": Words("The bucket “{bucket}” already holds files.", "Choose another session name, so that nothing there is mixed up or overwritten."),
    "image-unknown": Words("There is no image called “{image}”.", "{hint} `run-qarnot images` lists them all."),
    "image-broken": Words("The image “{image}” cannot be used: {problem}", "Ask who keeps the catalog to correct it, or choose another image."),
    "option-unknown": Words("The image “{image}” has no option “{option}”.", "{hint}"),
    "option-value": Words("“{value}” will not do for {label}: {problem}.", "{hint}"),
    "option-form": Words("“{text}” is not an option.", "Write it as --set NAME=VALUE."),
    "hours": Words("{hours} hours is not possible.", "Choose between {least} and {most} hours."),
    "key-private": Words("That is a private key. It was not used, kept or sent.", "Give the public one, which ends in .pub and begins with ssh-."),
    "key-format": Words("That is not an OpenSSH public key: {problem}.", "Paste one line such as “ssh-ed25519 AAAA… you@home”; `ssh-keygen -t ed25519` makes a pair."),
    "file-missing": Words("There is no file or folder “{path}”.", "Check the path; nothing was started."),
    "file-unreadable": Words("“{path}” cannot be read: {problem}.", "Change its permissions, or leave it out; nothing was started."),
    "file-name": Words("A file named {name} cannot be stored safely.", "Rename it: no “..”, no backslash, no leading slash, no space at either end, at most 1000 bytes."),
    "file-twice": Words("Two of the inputs would both become “{name}”.", "Rename one of them, or put them in different folders."),
    "settings": Words("{name} is set to “{value}”, which {problem}.", "{hint}"),
    "address-open": Words("The address {ip} can be reached by others, and no login token protects the dashboard.", "Set RUN_QARNOT_LOGIN_TOKEN to a long random text, or leave --ip away to stay on this machine."),
    # what is not there
    "session-unknown": Words("There is no session “{text}” in this account.", "`run-qarnot sessions` lists them."),
    "session-ambiguous": Words("“{text}” could mean several sessions: {names}.", "Write more of the name, or the id."),
    "no-results": Words("“{name}” has no results{pattern}.", "Save it first if it is running, or check the pattern."),
    "output-exists": Words("“{path}” already exists.", "Choose another place, so that nothing is overwritten."),
    # what the cluster refuses
    "token-refused": Words("The cluster at {cluster} does not accept this token.", "Copy it again from your Qarnot console; tokens can also expire or be revoked."),
    "forbidden": Words("The cluster does not allow this: {message}.", "Ask the administrator of your Qarnot account."),
    "credits": Words("The account has not enough credits: {message}.", "Add credits in your Qarnot console, then start again; nothing was started."),
    "quota-tasks": Words("The account has as many sessions as it may have: {message}.", "Stop or delete one (`run-qarnot sessions`), then start again."),
    "profile-missing": Words("This account has none of the profiles that “{image}” needs: {profiles}.", "Ask Qarnot's support to enable one for your account, or choose another image."),
    "rejected": Words("The cluster did not accept the request: {message}.", "If the sentence does not help, send it to Qarnot's support; nothing was started."),
    "storage-refused": Words("The storage refused {action}: {message}.", "Check the quota of your account; what was stored before is kept."),
    "too-late": Words("“{name}” is not running any more.", "Look at it with `run-qarnot show {name}`."),
    "still-running": Words("“{name}” is still running.", "Stop it first: `run-qarnot stop {name}`."),
    # what failed
    "session-failed": Words("“{name}” failed: {reason}", "Read the last lines of its output, then start again; your files are still in {inputs}."),
    "session-ended": Words("“{name}” ended before it was ready. {reason}", "`run-qarnot logs {name}` shows what it said."),
    "given-up": Words("“{name}” was given up before it started.", "Start again whenever you like; nothing runs."),
    "save-failed": Words("The results of “{name}” could not be saved: {message}.", "It is still running. Try to save again; stop it with --no-save only if you can do without."),
    "no-door": Words("“{name}” cannot be opened from here: {problem}.", "{hint}"),
    "tunnel": Words("The way to “{name}” could not be opened: {problem}.", "It is tried again by itself; if it stays so, your network may block SSH."),
    "upload": Words("“{name}” could not be uploaded: {problem}.", "Try again; what is already uploaded is kept."),
    "download": Words("“{name}” could not be downloaded: {problem}.", "Try again; nothing incomplete was kept."),
    "write": Words("“{path}” could not be written: {problem}.", "Choose a folder where you may write and that has room."),
    # what cannot be reached
    "unreachable": Words("The cluster at {cluster} does not answer: {problem}.", "Check the network and QARNOT_CLUSTER_URL, then try again."),
    "nonsense": Words("What answers at {cluster} does not speak Qarnot's language: {problem}.", "Check QARNOT_CLUSTER_URL."),
    "storage-unreachable": Words("The storage does not answer: {problem}.", "Check the network and QARNOT_STORAGE_URL, then try again."),
    # what is missing on this machine
    "local-missing": Words("The local cluster needs the package “{package}”, which is not installed.", "Install it with: pip install 'run-qarnot[local]'"),
    "port-taken": Words("Port {port} of this machine is in use.", "Choose another with --port, or leave it away."),
    "part-ended": Words("The {part} ended by itself.", "Its last words are above; if they do not help, please report them."),
    "part-silent": Words("The {part} did not start within {seconds} seconds.", "Try again; if it happens again, please report what stands above."),
    "bug": Words("Something unexpected happened: {problem}.", "This is a fault of Run Qarnot; please report it with the details."),
}  # fmt: skip


def error_words(code: str, facts: Mapping[str, object]) -> Words:
    """Return the sentences of an error with its facts in them."""
    words = ERRORS[code]
    return Words(words.what.format_map(facts), words.todo.format_map(facts).strip())


def phase(state: str, app_title: str) -> str:
    """Return what a session is doing, as a sentence for people."""
    return STATES[state].format(app=app_title)
