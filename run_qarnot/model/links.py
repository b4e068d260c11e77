"""Launch links: the dashboard's address with form values in it. They contain no secret and start nothing.

    https://dashboard.example.org/?opt-image=pytorch&opt-hours=4&opt-workers=3

A link may come from anybody. So only keys that are listed here or declared by the image are read, each value passes
the same check as if it were typed into its field, and a value that fails is left out and reported.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.options import Option
from run_qarnot.core import times
from run_qarnot.core.errors import InputError, RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.core.redaction import protect
from run_qarnot.model.repository import Repository, check_open, parse_repository
from run_qarnot.model.spec import (
    check_hours,
    check_idle,
    check_machines,
    check_names,
    parse_hours,
    parse_idle,
    parse_machines,
)

PREFIX = "opt-"
IMAGE, HOURS, IDLE, MACHINES = (f"{PREFIX}{name}" for name in ("image", "hours", "idle", "machines"))
GIT, REF, OPEN = (f"{PREFIX}{name}" for name in ("git", "ref", "open"))
_FIXED = {IMAGE, HOURS, IDLE, MACHINES, GIT, REF, OPEN}  # an option of the same name cannot be set by a link
_LONGEST_QUERY = 20_000
_LONGEST_KEY, _MOST_KEYS = 50, 10  # of keys that are reported as left out
_CLOCK = re.compile(r"\s*\d{1,2}\s*:\s*\d")  # such as 18:30, which the form accepts
_ESCAPED_AND = re.compile(r"&(?:amp;)+", re.IGNORECASE)  # in a link that was copied from HTML source
_ROUTE = "run-qarnot/"  # under a Jupyter server, by its extension
_OF_USER = re.compile(r"(?P<base>/(?:.+/)?)user/[^/]+/(?:[^/]+/)?run-qarnot/?")
_BADGE = "https://img.shields.io/badge/run%20on%20Qarnot-{label}-0E5A64"
_REPOSITORY_BADGE = "https://img.shields.io/badge/open%20on-Qarnot-0E5A64"

Value = str | bool | list[str]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Filling:
    """The form values of a link.

    Arguments:
        image: the id of the image that the values are for; "" without a usable one.
        hours: as typed; "" if absent.
        idle: minutes, as typed; "" if absent.
        machines: how many; None if absent.
        git: a repository, `URL[@REF]`; "" if absent.
        opened: path of what JupyterLab opens first; "" if absent.
        options: values of the image's options.
        ignored: why a part of the link was left out.
        secrets: keys whose values must be removed from the address bar.
        had_token: the link contained a token, which was not used.
    """

    image: str = ""
    hours: str = ""
    idle: str = ""
    machines: int | None = None
    git: str = ""
    opened: str = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    ignored: tuple[RunQarnotError, ...] = ()
    secrets: tuple[str, ...] = ()
    had_token: bool = False


def make_link(
    base: str,
    image: Image,
    *,
    hours: float | None = None,
    idle: float | None = None,
    machines: int | None = None,
    repository: Repository | None = None,
    opened: str = "",
    options: Mapping[str, object],
) -> str:
    """Return the link that fills the form with these values.

    Arguments:
        base: address of the dashboard. On mybinder.org the values are added to the page inside its `urlpath`.
        image: of the session.
        hours: None for the image's default.
        idle: minutes without use after which it stops; None for the image's default.
        machines: None for the image's default.
        repository: of git, if any; its token is left out.
        opened: path of what JupyterLab opens first, if any.
        options: values of the image's options, as typed or chosen.

    Raises:
        InputError: a value fails its field's check, or is a secret.
    """
    check_names(image, options)
    shared = dict(options)
    for name, value in options.items():
        option = image.options[name]
        _refuse_secret(name, option)
        checked = option.check(name, value)
        if option.type == "float":  # perhaps typed with a decimal comma, which only some languages read
            shared[name] = checked
    if hours is not None:
        check_hours(hours, image)
    check_idle(idle, image)
    pairs = [(IMAGE, image.id), *([] if hours is None else [(HOURS, times.write_hours(hours))])]
    pairs += [] if idle is None else [(IDLE, f"{idle:g}")]
    if machines is not None:
        pairs.append((MACHINES, str(check_machines(machines, image))))
    if repository is not None:
        pairs += [(GIT, repository.url), *([(REF, repository.ref)] if repository.ref else [])]
    pairs += [(OPEN, clean)] if (clean := check_open(opened)) else []
    pairs += [(PREFIX + name, text) for name, value in shared.items() for text in _texts(value)]
    return _with_query(base, urlencode(pairs, quote_via=quote))


def make_badge(link: str, image: Image, repository: Repository | None = None) -> str:
    """Return Markdown for a README: a badge that opens the link. That of a repository needs not name the image."""
    if repository is not None:
        return f"[![Open on Qarnot]({_REPOSITORY_BADGE})]({link})"
    title = " ".join(image.name.split()) or image.id
    label = quote(title.replace("-", "--").replace("_", "__"), safe="")
    alternative = "".join(f"\\{mark}" if mark in r"\[]!*_`<>" else mark for mark in title)
    return f"[![Run {alternative} on Qarnot]({_BADGE.format(label=label)})]({link})"


def base_problems(base: str) -> Iterator[RunQarnotError]:
    """Yield the reasons why a link to a dashboard at this address does not work for other people."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if is_local(base):
        yield InputError("link-local", host=host)
    if re.search(r"/user/[^/]+/", parts.path):  # of a JupyterHub, such as Binder's: one person's server
        yield InputError("link-session", host=host)
    inside = [value.partition("?")[2] for key, value in parse_qsl(parts.query) if key == "urlpath"]
    if any(key.lower() == "token" for query in (parts.query, *inside) for key, _ in parse_qsl(query)):
        yield InputError("link-token")


def shared_address(address: str, environment: Mapping[str, str]) -> str:
    """Return the address at which other people can open the dashboard that a visitor sees.

    On Binder this is the launch link, because the visitor's server is temporary; it names a commit, so that it opens
    the same version later. On a JupyterHub it is the hub's redirect to the server of the user who opens the link.

    Arguments:
        address: as the browser shows it.
        environment: of the process that serves it.
    """
    host = environment.get("BINDER_LAUNCH_HOST")
    request = environment.get("BINDER_PERSISTENT_REQUEST") or environment.get("BINDER_REQUEST")
    if host and request:
        return f"{host}{request}?urlpath={quote(_ROUTE, safe='')}"
    return _through_hub(address, environment.get("JUPYTERHUB_HOST", ""))


def is_local(address: str) -> bool:
    """Whether an address means the computer of whoever opens it."""
    host = (urlsplit(address).hostname or "").removesuffix(".")
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(_as_browsers_read(host))
        found = getattr(found, "ipv4_mapped", None) or found
        return found.is_loopback or found.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _as_browsers_read(host: str) -> str:
    """Return the dotted form of an IPv4 address such as `127.1` or `2130706433`; other hosts unchanged."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", host) else host
    except OSError:
        return host


def is_mybinder(environment: Mapping[str, str]) -> bool:
    """Whether this runs on mybinder.org and not on a private BinderHub."""
    return urlsplit(environment.get("BINDER_LAUNCH_HOST", "")).hostname == "mybinder.org"


def _through_hub(address: str, host: str = "") -> str:
    """Return the address that a JupyterHub redirects to each user's own page; other addresses unchanged.

    Arguments:
        address: such as `https://hub.example.org/user/anna/run-qarnot/`.
        host: scheme and name of the hub, if users' servers have host names of their own.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if not (found := _OF_USER.fullmatch(parts.path)):
        return address
    redirect = f"{found['base']}hub/user-redirect/{_ROUTE}"
    if not host:
        return urlunsplit(parts._replace(path=redirect))
    return f"{host}{redirect}{'?' if parts.query else ''}{parts.query}"


def read_link(query: str, catalog: Catalog, usual: str = "") -> Filling:
    """Read the query of an address. This never raises, whatever the query contains.

    Arguments:
        query: as the browser has it, with or without “?”.
        catalog: with the images and their options.
        usual: the id of the image if the query names none.
    """
    too_long = len(query) > _LONGEST_QUERY
    query = _ESCAPED_AND.sub("&", query[:_LONGEST_QUERY].removeprefix("?"))
    pairs = parse_qsl(query, keep_blank_values=True)
    tokens = [(key, value) for key, value in pairs if key.lower() == "token"]
    for _, token in tokens:
        protect(token)
    ours = [(_plain_key(key), value) for key, value in pairs if _is_value(key)]
    secrets = tuple(dict.fromkeys(key for key, _ in tokens))
    filling = Filling(had_token=bool(tokens), secrets=secrets)
    filling = _read_values(ours, catalog, usual, filling) if ours else filling
    cut = (InputError("link-long", most=_LONGEST_QUERY),) if ours and too_long else ()
    return replace(filling, ignored=(*filling.ignored, *cut))


def _is_value(key: str) -> bool:
    return key.lower().startswith(PREFIX)


def _plain_key(key: str) -> str:
    """Return a key as this module writes it. `_read_options` resolves the names of options."""
    return key.lower() if key.lower() in _FIXED else PREFIX + key[len(PREFIX) :]


def _read_values(pairs: Pairs, catalog: Catalog, usual: str, filling: Filling) -> Filling:
    ignored: list[RunQarnotError] = []
    image = _read_image(pairs, catalog, usual, ignored)
    if image is None:
        if others := dict.fromkeys(key[:_LONGEST_KEY] for key, _ in pairs if key != IMAGE):
            ignored.append(InputError("link-image", keys=", ".join(islice(others, _MOST_KEYS))))
        return replace(filling, ignored=tuple(ignored))
    hours = _read_hours(pairs, image, ignored)
    idle = _read_idle(pairs, image, ignored)
    machines = _read_machines(pairs, image, ignored)
    git, opened = _read_git(pairs, ignored), _read_open(pairs, ignored)
    options = dict(_read_options(pairs, image, ignored))
    secrets = {
        key for key, _ in pairs if (option := image.options.get(_option_name(image, key))) and option.type == "secret"
    }
    says_something = hours or idle or machines or git or opened or options or any(key == IMAGE for key, _ in pairs)
    return replace(
        filling,
        image=image.id if says_something else "",
        hours=hours,
        idle=idle,
        machines=machines,
        git=git,
        opened=opened,
        options=options,
        ignored=tuple(ignored),
        secrets=(*filling.secrets, *dict.fromkeys(key for key, _ in pairs if key in secrets)),
    )


def _read_image(pairs: Pairs, catalog: Catalog, usual: str, ignored: list[RunQarnotError]) -> Image | None:
    name = _first(IMAGE, [value for key, value in pairs if key == IMAGE], ignored)
    if name is None:
        return catalog.images.get(usual)
    try:
        return catalog.get(name[:200])
    except RunQarnotError as error:
        ignored.append(error)
        return None


def _read_hours(pairs: Pairs, image: Image, ignored: list[RunQarnotError]) -> str:
    text = _first(HOURS, [value for key, value in pairs if key == HOURS], ignored) or ""
    try:
        if _CLOCK.match(text):
            raise InputError("link-clock", field="hours", time=text.strip()[:20])  # noqa: TRY301  beside the others
        if text:
            check_hours(parse_hours(text, image), image)
    except InputError as error:
        clock = error.code == "hours-or-clock"  # the suggested time of day may have passed when the link is opened
        ignored.append(InputError("link-clock", field="hours", time=text.strip()[:20]) if clock else error)
        return ""
    return text


def _read_idle(pairs: Pairs, image: Image, ignored: list[RunQarnotError]) -> str:
    text = _first(IDLE, [value for key, value in pairs if key == IDLE], ignored) or ""
    try:
        check_idle(parse_idle(text), image)
    except InputError as error:
        ignored.append(error)
        return ""
    return text.strip()


def _read_machines(pairs: Pairs, image: Image, ignored: list[RunQarnotError]) -> int | None:
    text = _first(MACHINES, [value for key, value in pairs if key == MACHINES], ignored)
    if text is None:
        return None
    try:
        return check_machines(parse_machines(text[:20]) or image.machines, image)
    except InputError as error:
        ignored.append(error)
        return None


def _read_git(pairs: Pairs, ignored: list[RunQarnotError]) -> str:
    url, ref = (
        _first(wanted, [value for key, value in pairs if key == wanted], ignored) or "" for wanted in (GIT, REF)
    )
    try:
        return str(parse_repository(url, ref) or "")
    except InputError as error:
        ignored.append(error)
        return ""


def _read_open(pairs: Pairs, ignored: list[RunQarnotError]) -> str:
    try:
        return check_open(_first(OPEN, [value for key, value in pairs if key == OPEN], ignored) or "")
    except InputError as error:
        ignored.append(error)
        return ""


def _read_options(pairs: Pairs, image: Image, ignored: list[RunQarnotError]) -> Iterator[tuple[str, Value]]:
    given: dict[str, list[str]] = {}
    for key, value in pairs:
        if key not in _FIXED:
            given.setdefault(_option_name(image, key), []).append(value)
    for name, texts in given.items():
        try:
            yield name, _read_option(image, name, texts, ignored)
        except InputError as error:
            ignored.append(error)


def _option_name(image: Image, key: str) -> str:
    """Return the option that a key names: exactly, else the only one that matches without regard to case."""
    name = key.removeprefix(PREFIX)
    alike = [other for other in image.options if other.lower() == name.lower()]
    return alike[0] if name not in image.options and len(alike) == 1 else name


def _first(key: str, texts: Sequence[str], ignored: list[RunQarnotError]) -> str | None:
    """Return the first value of a key, and report the others; None if there is none."""
    if len(set(texts)) > 1:
        ignored.append(InputError("link-twice", key=key[:_LONGEST_KEY]))
    return texts[0] if texts else None


def _read_option(image: Image, name: str, texts: list[str], ignored: list[RunQarnotError]) -> Value:
    """Return the value in the form's representation."""
    check_names(image, [name[:200]])
    option = image.options[name]
    if option.type == "secret":
        for text in texts:
            protect(text)
        _refuse_secret(name, option)
    if option.type == "multi":
        chosen = texts if len(texts) > 1 or texts[0] in option.choices else texts[0].split(",")
        option.check(name, chosen)
        return chosen
    _first(PREFIX + name, texts, ignored)
    checked = option.check(name, texts[0])
    return checked == "true" if option.type == "bool" else texts[0]


def _refuse_secret(name: str, option: Option) -> None:
    if option.type == "secret":
        raise InputError("link-secret", field=f"option-{name}", option=option.label or name)


def _texts(value: object) -> list[str]:
    """Return a value as texts of a link; several choices become several pairs."""
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _with_query(base: str, query: str) -> str:
    """Return an address with `query` in place of its form values; a token in the address is removed."""
    try:
        parts = urlsplit(_through_hub(base))
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        hint = Message("write-page-address")
        raise InputError("settings", name="--base", value=base[:200], problem=Message("no-web-address"), hint=hint)
    if parts.hostname.endswith(".mybinder.org"):
        problem, hint = Message("binder-server"), Message("give-binder-link")
        raise InputError("settings", name="--base", value=parts.hostname, problem=problem, hint=hint)
    kept = [(key, text) for key, text in parse_qsl(parts.query) if not _is_ours(key)]
    if inside := dict(kept).get("urlpath"):
        path, _, old = inside.partition("?")
        rest = [(key, text) for key, text in parse_qsl(old) if not _is_ours(key)]
        inner = f"{path}?{'&'.join(filter(None, (urlencode(rest), query)))}"
        query, kept = "", [(key, inner if key == "urlpath" else text) for key, text in kept]
    whole = "&".join(filter(None, (urlencode(kept, quote_via=quote), query)))
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", whole, ""))


def _is_ours(key: str) -> bool:
    return _is_value(key) or key.lower() == "token"
