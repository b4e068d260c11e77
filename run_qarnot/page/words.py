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
        "link_filled": "The link filled in these fields. Nothing starts until you press Start.",
        "link_ignored": "Not taken from the link:",
        "link_token": "The address contained a token. It was not used, and was removed from the address bar. If it is "
        "a Qarnot token, revoke it: everybody who has the link has it.",
        "title": "Run Qarnot",
        "subtitle": "Notebooks on large machines. Your files stay with you.",
        "logout": "Log out",
        "sessions": "Your sessions",
        "ended": "Ended sessions",
        "notify": "Notify me",
        "older": "Show older sessions",
        "asleep": "This page lost its connection",
        "asleep_more": "Your sessions keep running. Reload to see them again.",
        "asleep_token": "You will be asked for your token again.",
        "reload": "Reload",
        "silent": "The server does not answer yet. Trying again…",
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
        "help": "Kept in memory only, never stored.",
        "where": "Get a token",
        "where_url": "https://console.qarnot.com/settings/access-token",
        "checking": "Checking the token…",
        "checking_preset": "Connecting to the team account…",
        "preset": "Team account:",
        "preset_here": "Account of the cluster on this computer:",
        "binder": "This is mybinder.org, a free public service that ends after ten idle minutes, sends out about "
        "1 Mbit/s and lets no SSH out. Its operators advise against entering tokens: try it here without one, or use a "
        "token with a small quota and revoke it afterwards.",
        "try_here": "Try it here",
        "try_here_help": "no account needed",
        "trying": "Trial on this server, no account:",
        "trying_starts": "Starting a small cluster on this server…",
        "signed_in": "Signed in as",
        "running": "sessions running",
        "of": "of",
        "credits": "credits",
        "trimmed": "Spaces around the token were removed.",
        "change": "Change account",
        "again": "Try again",
        "continue": "Sign in",
    },
    "environment": {
        "title": "Environment",
        "broken": "cannot be used",
        "partly": "has a problem",
        "note": "has a remark",
        "required": "Required.",
        "none": "The catalog is empty.",
        "usual": "usually ready in about",
        "not_here": "not available on this cluster",
        "docs": "Documentation",
        "options": "Options of",
        "search": "Search environments",
        "category": "Category",
        "all": "All categories",
        "show_all": "All {} environments",
        "show_few": "Show fewer",
        "no_match": "No environment matches.",
        "narrow": "shown; search for more",
    },
    "start": {
        "title": "Start",
        "files": "Files",
        "more": "More options",
        "preset": "Presets",
        "preset_save": "Save as a preset",
        "preset_name": "Name",
        "preset_keep": "Save",
        "preset_delete": "Delete “{}”",
        "price_hour": "about {} an hour",
        "price_most": "at most {most} until {until}",
        "price_left": "{} left",
        "price_unknown": "price not known yet",
        "name": "Name of the session",
        "name_help": "Letters, digits and hyphens.",
        "hours": "Stop after (hours, or a time)",
        "idle": "Stop when idle for (minutes)",
        "idle_help": "No cell, terminal or SSH login in use. 0: never.",
        "idle_never": "Does not stop when idle: this environment cannot tell.",
        "git": "Git repository",
        "git_help": "Such as https://github.com/team/project@branch: comes along in a folder of its name.",
        "git_open": "Open first, in the repository",
        "git_token": "Token of a private repository",
        "git_token_help": "Used once, to fetch it. Stored nowhere.",
        "machines": "Machines",
        "machines_help": "Up to {}. The price is for all of them.",
        "hours_help": "For example 4, 1h30 or 18:30. Results are saved first.",
        "resume": "Start with the files of",
        "resume_none": "no other session",
        "resume_running": "running: what it has saved so far",
        "resume_help": "The files you add now replace files of the same name.",
        "buckets": "Add files from your Qarnot storage",
        "cores": "Minimum cores",
        "memory": "Minimum memory (GB)",
        "machine_help": "Optional. A larger machine may take longer to find.",
        "machine": "Machine",
        "machine_any": "any",
        "machine_cpu_model": "processor {}",
        "machine_gpu": "with a GPU",
        "machine_ssd": "with an SSD",
        "scheduling": "Scheduling",
        "scheduling_usual": "as set by the environment",
        "scheduling_flex": "flexible: cheapest, may move to another machine",
        "scheduling_on_demand": "on demand: starts sooner, does not move, costs more",
        "scheduling_reserved": "reserved: machines reserved for your organisation",
        "key": "SSH public key",
        "key_help": "Optional, for VS Code or a terminal. Begins with ssh-. One key per line.",
        "key_one": "Optional, for VS Code or a terminal. Begins with ssh-. This environment accepts one key only: "
        "with yours, you open it from your own computer, not from this page.",
        "key_private": "That was a private key. It was erased and never left your browser. Paste the public key, the "
        "file that ends in .pub. PuTTYgen shows the public key of a .ppk file.",
        "start": "Start",
        "start_plain": "Start",
        "stops": "Stops at",
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
        "drop": "Drop files here",
        "choose": "Choose files",
        "choose_folder": "Choose a folder",
        "twin": "This file is already in the list.",
        "twin_keep": "Keep the first",
        "twin_replace": "Replace",
        "twin_all": "for all",
        "address": "Or the address of a file: https://…",
        "address_add": "Add",
        "unsized": "size unknown",
        "empty": "Optional. You find them in the file browser of the session.",
        "onward": "Sending them on to the cluster takes about",
        "onward_more": "Large files that you add to a running session go directly from your browser, which is faster.",
        "are_here": "uploaded",
        "some": "not all are shown",
        "remembered": "These files were in the list before the page was reloaded. Choose them again to upload them:",
        "remembered_forget": "Dismiss",
        "arrived": "uploaded",
        "waiting": "waiting",
        "remove": "Remove",
        "cancel": "Cancel",
        "retry": "Try again",
        "left": "left",
        "broken_unreadable": "The browser cannot read it any more. If it was changed or moved, choose it again.",
        "broken_storage": "The storage does not answer. What was uploaded is kept.",
        "unfinished": "Incomplete. Choose it again to upload the rest.",
        "broken_disk": "The disk of the server is full.",
    },
    "session": {
        "open": "Open",
        "log": "Output",
        "connections": "Other ways to connect",
        "vscode": "Open in VS Code",
        "ssh": "SSH",
        "ssh_then": "Then open this address",
        "system": "Your computer:",
        "launcher": "Download launcher",
        "launcher_more": "Opens the session on your computer. It contains the key of the session: do not share it.",
        "launcher_shell": "Run it in a terminal:",
        "launcher_windows": "Double-click it.",
        "copy": "Copy",
        "copied": "Copied",
        "save": "Save now",
        "saved": "Last saved",
        "never_saved": "Not saved yet",
        "stop": "Stop",
        "stop_question": "Stop this session?",
        "stop_more": "You can continue it later with its files.",
        "stop_save": "Save and stop",
        "stop_no_save": "Stop without saving",
        "stop_keep": "Cancel",
        "stopping": "Saving, then stopping…",
        "stopping_at_once": "Stopping…",
        "ends": "Stops at",
        "may_close": "You can close this page. The session keeps running.",
        "may_close_tunnel": "You can close this page; the tabs opened from it then lose their connection "
        "until you open it again.",
        "keep_open": "Keep this page open while your files are being uploaded.",
        "keep_open_stopping": "Keep this page open until the session has stopped.",
        "keep_open_adding": "Keep this page open while your files are being sent.",
        "add": "Add files",
        "add_send": "Send to the session",
        "added_one": "One file was sent to the session.",
        "added_many": "files were sent to the session.",
        "add_replace": "Replace files of the same name",
        "ended_idle": "idle for {} min",  # why it ended
        "ended_limit": "time limit",
        "continue": "Continue",
        "continue_change": "Change before continuing",
        "continue_question": "Continue with other settings",
        "continue_image": "Environment",
        "continue_hours": "Hours",
        "continue_idle": "Idle minutes",
        "continue_update": "Update “{}” first. What you changed stays.",
        "continue_same": "What you leave empty stays as it was. Name, files and packages stay.",
        "again": "Copy",
        "ends_15": "Stops in less than 15 minutes.",
        "ends_5": "Stops in less than 5 minutes. Save now.",
        "idle_for": "Idle for {since}, stops at {stop}.",
        "keep_on": "Keep it on",
        "more_hours": "Extend",
        "more_question": "Extend this session?",
        "more_text": "It is saved, stopped and started again with its files and packages. What is only in memory is "
        "lost: variables and running cells.",
        "more_field": "More hours",
        "more_yes": "Save and extend",
        "more_no": "Cancel",
        "token_change": "Press “Change account” in step 1 and enter a new token.",
        "token_team": "Tell the administrator of this page: it needs a new token.",
        "usual": "usually ready in about",
        "attempt": "machine no.",
        "cost": "Cost:",
        "cost_about": "about {} so far",
        "per_hour": "an hour",
        "carbon": "CO₂e:",
        "log_empty": "Nothing yet.",
        "log_search": "Search the output",
        "log_wrap": "Wrap lines",
        "log_download": "Download",
        "saved_now": "Saved.",
        "in": "in",
        "file": "file",
        "files": "files",
        "machines_of": "{} of {most} machines",
        "core": "core",
        "cores": "cores",
        "gb": "GB",
        "cpu": "CPU",
        "memory": "memory",
        "use_history": "CPU use of the last hour",
        "use_idle": "The machine has been idle for 15 minutes. It costs the same: stop it when you are done.",
        "use_memory": "The memory is nearly full: programs may be killed. Free some, or continue on a larger machine.",
        "log_cut": "Only the last lines are shown.",
        "log_all": "Download all",
        "show": "Results",
        "hide": "Hide",
        "delete": "Delete",
        "delete_question": "Delete this session?",
        "delete_more": "It disappears from the list. Its files stay in your Qarnot storage unless you delete them too.",
        "delete_files": "Also delete its files, inputs and results. This cannot be undone.",
        "delete_yes": "Delete",
        "delete_files_yes": "Delete with files",
        "delete_keep": "Cancel",
    },
    "results": {
        "title": "Results",
        "none": "No results.",
        "others": "more, all in the zip",
        "wait": "Loading the results…",
        "again": "Try again",
        "all": "Download all (zip)",
        "some": "Download selected (zip)",
        "renamed": "These files have another name in the zip:",
        "choose": "Choose",
        "fetch": "Download",
        "link": "Copy a link to",
        "link_copied": "The link is copied. Whoever has it can download the file until {}.",
        "sort": "Sort by",
        "sort_name": "name",
        "sort_date": "date",
        "sort_size": "size",
        "fresh": "new in this run",
        "look": "Preview",
        "look_cut": "Only the beginning is shown.",
        "look_empty": "The file is empty.",
        "look_large": "Too large for a preview. Download it.",
        "look_unknown": "No preview for this kind of file. Download it.",
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
        "title": "Link to this form",
        "title_session": "Link to the form of this session",
        "local": "The link only works on this computer.",
        "more": "It fills in the form and starts nothing. It contains neither secrets nor files.",
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
    "not-here": "{image} needs a container, which the cluster on this computer does not have. Choose another "
    "environment (2), or use a Qarnot account (1).",
    "no-credits": "The account has no credits left.",
    "credits": "The hours you ask for may cost {most} €, and the account has {left} € left. Ask for fewer hours.",
    "uploading": "Wait until your files are here, or remove them: {names}.",
    "broken-file": "Try “{name}” again, or remove it: it is not here in full.",
}


FIELDS: Mapping[str, str] = {
    "image": "Environment",
    "hours": "Hours",
    "idle": "Idle minutes",
    "machines": "Machines",
    "git": "Git repository",
    "open": "Open first",
}


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
