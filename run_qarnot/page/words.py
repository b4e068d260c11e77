"""The page's own words. Messages, such as states and errors, live in `run_qarnot.core.locale`.

One module per language (`words_fr`), in each one section per component. A test holds them equal in their keys.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType

from run_qarnot.core import language

Table = Mapping[str, Mapping[str, str]]

WORDS: Table = {
    "shell": {
        "code": "en",
        "colon": ":",  # between a field and its value
        "language": "Language",
        "theme": "Colours",
        "theme_auto": "As the system",
        "theme_light": "Light",
        "theme_dark": "Dark",
        "link_filled": "Filled in by the link you opened. Nothing starts before you press Start.",
        "link_ignored": "Left out of the link:",
        "link_token": "The address contained a token. It was not taken as your Qarnot token, and was removed from the "
        "address bar. If it was one, make a new one: whoever saw the link has it.",
        "title": "Run Qarnot",
        "subtitle": "A notebook on a big machine, and your files back.",
        "logout": "Log out",
        "sessions": "Your sessions",
        "older": "Show older sessions",
        "asleep": "This page went to sleep, your session did not",
        "asleep_more": "What runs on the cluster goes on. Reload to see it again.",
        "asleep_token": "This page will ask for your token again.",
        "reload": "Reload",
        "silent": "The server of this page does not answer yet; trying again.",
        "close": "Close",
        "finding": "Looking for your sessions…",
    },
    # pages that the server makes without a kernel: a title and a sentence each
    "plain": {
        "login_title": "Log in",
        "login": "This dashboard can start machines on an account, so it asks who you are.",
        "token": "Login token of this dashboard",
        "where": "It is at the end of the address that was printed where the dashboard was started, after “token=”. "
        "On a team's server, ask whoever runs it. It is not your Qarnot token, which the page asks for afterwards.",
        "wrong": "This is not the login token of this dashboard.",
        "wait": "Wrong login tokens were tried. Wait {seconds} seconds, then try again.",
        "logout_title": "Log out",
        "logout": "Your pages will be closed. What runs on the cluster goes on.",
        "logged_out_title": "You are logged out",
        "logged_out": "Your pages were closed. What runs on the cluster goes on.",
        "again": "Try again",
        "full_title": "All places are taken",
        "full": "As many pages are open as this server has memory for. Close one that you do not need, "
        "or try again in a minute.",
        "missing_title": "Nothing is here",
        "missing": "This dashboard has no page at this address.",
        "refused_title": "Not allowed",
        "refused": "The server does not answer this request.",
        "broken_title": "That did not work",
        "broken": "The server could not answer. Load the page again; what runs on the cluster goes on.",
        "login_needed_title": "Not logged in",
        "login_needed": "Open the dashboard and log in first.",
        "foreign_page_title": "Refused: another website asked",
        "foreign_page": "This request was sent by another website, not by the dashboard. If a proxy stands in front of "
        "it, have the proxy pass on the Host header, or start the dashboard with --trust-proxy.",
        "foreign_name_title": "Refused: unknown name",
        "foreign_name": "The dashboard is meant for this machine alone, and was asked for as “{host}”. If a proxy "
        "stands in front of it, start it with --trust-proxy.",
    },
    # pages in place of a session's app, by the server: a title and a sentence each
    "proxy": {
        "dashboard": "Open the dashboard",
        "away_title": "The session does not answer",
        "away": "It may be starting, or moving to another machine with what was saved. This page tries again by "
        "itself. The dashboard shows what is going on.",
        "unknown_title": "Open the dashboard again",
        "unknown": "The server of this page does not know the session: it was restarted, or the session has ended. "
        "When the dashboard has found your session again, this page shows it by itself.",
        "ended_title": "The session has ended",
        "ended": "Its results, and the way to start it again, are in the dashboard.",
        "closed_title": "Open it from the dashboard",
        "closed": "A session can be used only by the browser in which it was opened. Press its Open button in the "
        "dashboard; each such address works once, and for a minute.",
        "foreign_title": "Refused: another website asked",
        "foreign": "This request was sent by another website, not by the session's own page.",
    },
    "account": {
        "title": "Account",
        "token": "Your Qarnot token",
        "help": "It stays in the memory of this page. Spaces around it are removed.",
        "where": "Where do I find it?",
        "where_url": "https://console.qarnot.com/settings/access-token",
        "checking": "Asking the cluster who you are…",
        "checking_preset": "Using the account that this dashboard was set up with…",
        "preset": "Using the team account",
        "preset_here": "Using the account of the cluster on this computer, filled in for you:",
        "binder": "This is mybinder.org, a free public service that ends after ten idle minutes, sends out about "
        "1 Mbit/s and lets no SSH out. Its operators advise against entering tokens: try it here without one, or use a "
        "token with a small quota and revoke it afterwards.",
        "try_here": "Try it here",
        "try_here_help": "no account needed",
        "trying": "Trying it here, without an account of your own:",
        "trying_starts": "Starting a small cluster beside this page…",
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
        "partly": "has a problem",
        "note": "works; there is a remark",
        "required": "Must be filled in.",
        "none": "The catalog is empty.",
        "usual": "usually up in about",
        "not_here": "cannot be tried on this computer",
        "docs": "Its documentation",
        "options": "Options of",
        "search": "Search environments",
        "category": "Category",
        "all": "All categories",
        "no_match": "Nothing fits. Use fewer or other words.",
        "narrow": "are shown; search to see others",
    },
    "start": {
        "title": "Start",
        "more": "More options",
        "name": "Name of the session",
        "name_help": "Its buckets are called after it.",
        "hours": "Hours, or until when",
        "hours_help": "Such as 4, or 18:30. Then it stops by itself, and its results are kept.",
        "resume": "Continue from",
        "resume_none": "nothing: a fresh start",
        "resume_running": "runs: what it has saved so far",
        "resume_help": "The files of that session come along; files you add now win.",
        "buckets": "Buckets whose files come along",
        "cores": "At least so many cores",
        "memory": "At least so much memory, in GB",
        "machine_help": "Optional. The more you ask for, the longer it may take to find one.",
        "machine": "Which machine",
        "machine_any": "any that fits",
        "machine_cpu_model": "with a processor {}",
        "machine_gpu": "with a graphics processor (GPU)",
        "machine_ssd": "with a fast disk (SSD)",
        "scheduling": "How a machine is found",
        "scheduling_usual": "as the environment has it",
        "scheduling_flex": "flexible: the cheapest; it may be moved to another machine",
        "scheduling_on_demand": "on demand: sooner, and not moved; it costs more",
        "scheduling_reserved": "reserved: on machines that are kept for your organisation",
        "key": "Your public SSH key",
        "key_help": "Optional: for VS Code or a terminal. A line that begins with ssh-; several keys: one a line.",
        "key_one": "Optional: for VS Code or a terminal. A line that begins with ssh-. This environment takes one key "
        "only: with yours, you open it from your own computer, and not by one click from this page.",
        "key_private": "That was a private key. It was erased and has not left your browser. "
        "Paste the public one, which ends in .pub; PuTTYgen shows that of a .ppk file.",
        "start": "Start",
        "start_plain": "Start",
        "stops": "It stops by itself at",
        "blocked": "Before you can start:",
        "entry_unsure": "It is not known yet whether this server reaches sessions by SSH. If it does not, you open the "
        "session from your own computer, with a file from its card; that needs no key.",
        "entry_own_computer": "This page will not be able to open the session: no SSH goes out from this server. You "
        "open it from your own computer: by a file from its card, which needs no key; or, with your public SSH key "
        "under “More options”, by your own SSH or VS Code.",
        "entry_own_address": "This page will not be able to open the session: its application does not work under a "
        "path of another address. You open it from your own computer: by a file from its card, which needs no key; or, "
        "with your public SSH key under “More options”, by your own SSH.",
        "entry_other_network": "This computer will not be able to open the session: no SSH goes out from its network. "
        "Use another network; or open it from another computer, by a file from the session's card, which needs no key.",
        "entry_agree": "I will open it in that way.",
    },
    "files": {
        "drop": "Drop your files here",
        "choose": "Choose files",
        "choose_folder": "Choose a folder",
        "twin": "A file of this name is in the list already.",
        "twin_keep": "Keep the one in the list",
        "twin_replace": "Replace it",
        "twin_all": "for all",
        "empty": "Files are optional. They will be in the session's file browser.",
        "onward": "From this server on to the cluster they take about",
        "onward_more": "Large files that you add to the running session go straight from your browser, and sooner.",
        "are_here": "files are here",
        "some": "not all of them are shown",
        "remembered": "These files were in the list before this page was loaded anew. "
        "Choose them again if you need them:",
        "remembered_forget": "Forget them",
        "arrived": "is here",
        "waiting": "waits for its turn",
        "remove": "Remove",
        "cancel": "Cancel",
        "retry": "Try again",
        "left": "left",
        "broken_unreadable": "The browser cannot read it any more. If it was changed or moved, choose it again.",
        "broken_storage": "The storage does not answer any more. What has arrived there is kept.",
        "unfinished": "It is not in the session's files in full. Choose it again: it goes on where it stopped.",
        "broken_disk": "This machine's disk does not take it.",
    },
    "session": {
        "open": "Open",
        "log": "Output",
        "connections": "Other ways in",
        "vscode": "Open in VS Code",
        "ssh": "With OpenSSH",
        "ssh_then": "Open the address",
        "system": "Your computer runs",
        "launcher": "Download a launcher",
        "launcher_more": "It opens the session on your computer. Keep it to yourself: it holds its key.",
        "launcher_shell": "Run it in a terminal:",
        "launcher_windows": "Run it with a double click.",
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
        "stopping_at_once": "Stopping…",
        "ends": "Stops by itself at",
        "may_close": "You can close this page; the session goes on.",
        "may_close_tunnel": "The session goes on without this page. What you opened from it needs it: keep it open "
        "while you work, or open it again.",
        "keep_open": "Keep this page open until your files are on the cluster.",
        "keep_open_stopping": "Keep this page open until it has stopped: it is this page that stops it.",
        "keep_open_adding": "Keep this page open until your files are in the session.",
        "add": "Add files",
        "add_send": "Send to the session",
        "added_one": "One file was sent to the session.",
        "added_many": "files were sent to the session.",
        "add_replace": "Replace files of the same name",
        "restart": "Start again",
        "again": "Edit and start again",
        "ends_15": "In less than 15 minutes it stops by itself. Save; another can continue from its files.",
        "ends_5": "In less than 5 minutes it stops by itself. Save now.",
        "more_hours": "More hours",
        "more_question": "More hours for this session?",
        "more_text": "The end of a session cannot be moved. This one is saved and stopped, and goes on in a new one "
        "with its files, packages, options and keys. What is only in memory is lost: variables, and cells that run.",
        "more_field": "Hours of the new one",
        "more_yes": "Save, stop and go on",
        "more_no": "Leave it as it is",
        "token_change": "Press “Change” in step 1 (Account), and give a new token.",
        "token_team": "Tell whoever runs this page: it needs a new token.",
        "usual": "its machine is usually up in about",
        "attempt": "machine no.",
        "cost": "Cost:",
        "per_hour": "an hour, as measured",
        "carbon": "CO₂e:",
        "asked": "asked at",
        "log_empty": "Nothing yet.",
        "log_cut": "Only the last lines are shown.",
        "log_all": "Download all of it",
        "show": "Show",
        "hide": "Hide",
        "delete": "Delete",
        "delete_question": "Delete this session?",
        "delete_more": "It vanishes from every list. Its files stay in their buckets, unless you tick this:",
        "delete_files": "Delete its files too: inputs and results. There is no way back.",
        "delete_yes": "Delete",
        "delete_files_yes": "Delete with all files",
        "delete_keep": "Keep it",
    },
    "results": {
        "title": "Results",
        "none": "There are no results.",
        "others": "more, all in the zip",
        "wait": "Looking at the results…",
        "again": "Look again",
        "all": "Download all as a zip",
        "some": "Download the chosen ones as a zip",
        "renamed": "A zip cannot hold these names, so the files have others in it:",
        "choose": "Choose",
        "fetch": "Download",
        "look": "Look into it",
        "look_cut": "Only the beginning is shown.",
        "look_empty": "It is empty.",
        "look_large": "It is too large to be shown here. Download it.",
        "look_unknown": "This cannot be shown here: it is neither text nor a picture. Download it.",
        "close": "Close",
    },
    "problem": {  # of every component (`shared.js`)
        "details": "Details",
        "close": "Close",
        "copy_report": "Copy report",
        "copied": "Copied",
    },
    "extension": {  # around the page, in a Jupyter server
        "starting": "Starting the page’s server…",
        "failed": "The page’s server could not be started here.",
        "failed_todo": "Try again. If it fails again, the log of this Jupyter server says more.",
        "again": "Try again",
        "elsewhere": "This page has a server of its own: start it with “run-qarnot dashboard”, or open “Run Qarnot” in "
        "the launcher of JupyterLab.",
    },
    "launcher": {  # the files that it writes (`launchers.py`)
        "about": "Opens the way to this session, and its page in your browser. It holds the key to the session.",
        "closes": "Close this window, or press Ctrl-C, to close the way to it; the session goes on.",
        "ended": "The way to the session is closed. Press Enter.",
        "address": "If no browser opens, open this address:",
        "taken": "Something else uses port {port} of this computer. Is this launcher open already? Press Enter.",
        "no_ssh": "The OpenSSH client is missing: add it under “Optional features” of Windows. Press Enter.",
    },
    "panels": {
        "by": "by",
        "show": "Show the table",
        "hide": "Hide the table",
        "others": "more rows",
    },
    "share": {
        "share": "Share",
        "title": "A link that fills in this form",
        "title_session": "A link that fills in the form as for this session",
        "local": "Only this computer can open the link.",
        "more": "Whoever opens it starts nothing, and needs an account of their own. Secrets and files are not in it.",
        "link": "Link",
        "badge": "Badge for a README",
        "copy": "Copy",
        "copied": "Copied",
        "close": "Close",
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

# Of what ends by itself, such as a command: there is nothing to open.
BATCH_WORDS: Mapping[str, str] = {"ready": "Running"}

BLOCKERS: Mapping[str, str] = {
    "no-account": "Give your Qarnot token (1).",
    "no-team-account": "The team account could not be opened. Try again (1).",
    "entry": "Say above that you will open the session in another way, or give your public SSH key: “More options”.",
    "needs-key": "This environment has no page to open, so it needs your public SSH key: “More options”.",
    "checking": "The token is being checked.",
    "no-image": "Choose an environment (2).",
    "uploading": "Wait until your files are here, or remove them: {names}.",
    "broken-file": "Try “{name}” again, or remove it: it is not here in full.",
}


FIELDS: Mapping[str, str] = {"image": "Environment", "hours": "Hours"}


def section(name: str, spoken: str | None = None) -> dict[str, str]:
    """Return the words of one component, in the language in use or in another."""
    return dict(_tables(spoken).WORDS.get(name, {}))


def state_word(state: str, *, batch: bool = False) -> str:
    """Return a state in a word; of what ends by itself, if it is a `batch`."""
    tables = _tables()
    instead = tables.BATCH_WORDS if batch else {}
    return str({**tables.STATE_WORDS, **instead}[state])


def blocker(code: str, **facts: str) -> str:
    """Return the reason why Start is not possible."""
    return str(_tables().BLOCKERS[code].format(**facts))


def field(name: str) -> str:
    """Return what a field of the form is called."""
    return str(_tables().FIELDS[name])


def _tables(spoken: str | None = None) -> ModuleType:
    spoken = spoken or language.spoken()
    return sys.modules[__name__] if spoken == "en" else importlib.import_module(f"{__name__}_{spoken}")
