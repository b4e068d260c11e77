"""The page's own words. Sentences about states, ends and errors live in `run_qarnot.messages`.

One table per language, one section per component. A test holds the languages equal in their keys.
"""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, Mapping[str, str]]

ENGLISH: Table = {
    "shell": {
        "title": "Run Qarnot",
        "subtitle": "A notebook on a big machine, and your files back.",
        "sessions": "Your sessions",
        "asleep": "This page went to sleep, your session did not",
        "asleep_more": "What runs on the cluster goes on. Reload to see it again.",
        "reload": "Reload",
        "details": "Details",
        "close": "Close",
        "finding": "Looking for your sessions…",
    },
    "account": {
        "title": "Account",
        "token": "Your Qarnot token",
        "help": "It stays in the memory of this page. Spaces around it are removed.",
        "where": "Where do I find it?",
        "where_url": "https://console.qarnot.com/settings/access-token",
        "checking": "Asking the cluster who you are…",
        "checking_preset": "Using the account that this dashboard was set up with…",
        "preset": "Using the account",
        "signed_in": "Signed in as",
        "running": "sessions running",
        "of": "of",
        "credits": "credits",
        "trimmed": "There were spaces around the token; they were removed.",
        "change": "Change",
        "again": "Try again",
        "continue": "Continue",
    },
    "environment": {
        "title": "Environment",
        "by": "by",
        "broken": "cannot be used",
        "none": "The catalog is empty.",
        "options": "Options of",
    },
    "start": {
        "title": "Start",
        "drop": "Drop your files here",
        "choose": "Choose files",
        "empty": "Files are optional. They will be in the session's file browser.",
        "arrived": "is here",
        "waiting": "waits for its turn",
        "remove": "Remove",
        "more": "More options",
        "name": "Name of the session",
        "name_help": "Its buckets are called after it.",
        "hours": "Hours",
        "hours_help": "Then it stops by itself, and its results are kept.",
        "resume": "Continue from",
        "resume_none": "nothing: a fresh start",
        "resume_help": "The files of that session come along; files you add now win.",
        "key": "Your public SSH key",
        "key_help": "Optional: for VS Code or a terminal. One line that begins with ssh-.",
        "key_private": "That was a private key. It was erased and has not left your browser. "
        "Paste the public one, which ends in .pub.",
        "start": "Start",
        "start_plain": "Start",
        "stops": "It stops by itself at",
        "blocked": "Before you can start:",
        "close": "Close",
        "details": "Details",
    },
    "session": {
        "open": "Open",
        "log": "Output",
        "doors": "Other ways in",
        "vscode": "Open in VS Code",
        "ssh": "With OpenSSH",
        "ssh_then": "Open the address",
        "copy": "Copy",
        "copied": "Copied",
        "save": "Save now",
        "saved": "Last save",
        "never_saved": "Not saved yet",
        "stop": "Stop",
        "stop_question": "Stop this session?",
        "stop_more": "The machine is given back. What is saved stays in its bucket.",
        "stop_save": "Save and stop",
        "stop_no_save": "Stop without saving",
        "stop_keep": "Keep it running",
        "stopping": "Saving, then stopping…",
        "ends": "Stops by itself at",
        "may_close": "You can close this page; the session goes on.",
        "results": "Results",
        "results_none": "There are no results.",
        "results_more": "more",
        "results_wait": "Looking at the results…",
        "download": "Download all as a zip",
        "again": "Start again",
        "attempt": "machine no.",
        "cost": "Cost",
        "carbon": "CO₂e",
        "details": "Details",
        "close": "Close",
        "log_empty": "Nothing yet.",
        "show": "Show",
        "hide": "Hide",
    },
}

STATE_WORDS: Mapping[str, str] = {
    "preparing": "Preparing",
    "waiting": "Waiting",
    "loading": "Loading",
    "starting": "Starting",
    "ready": "Ready",
    "saving": "Saving",
    "stopping": "Stopping",
    "ended": "Ended",
    "failed": "Failed",
    "unknown": "Watching",
}

BLOCKERS: Mapping[str, str] = {
    "no-account": "Give your Qarnot token (1).",
    "checking": "The token is being checked.",
    "no-image": "Choose an environment (2).",
    "uploading": "Wait until your files are here, or remove them: {names}.",
    "broken-file": "Remove “{name}”, which is not here in full.",
}


def section(name: str) -> dict[str, str]:
    """Return the words of one component."""
    return dict(ENGLISH.get(name, {}))
