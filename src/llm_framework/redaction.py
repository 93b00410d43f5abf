"""The one place that knows which texts are keys, and takes them out of others.

Every message, log record and chained exception passes through here. It knows a key in the forms that it takes on its
way: quoted for a URL, for JSON and for HTML, and inside base64. Standard library only, since errors use it too.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

HIDDEN = "***"
MOST_KEYS = 4096  # of a server that is given a key per user, the ones not used for longest are forgotten
FEW = 16  # forms of keys that are looked for one by one
SHORT = 6  # characters; shorter "keys" are placeholders such as "none", which would garble ordinary words …
_WORDS = frozenset({"ollama", "lm-studio", "lmstudio", "not-needed", "no-key"})  # … and so would these
# Keys that nobody told us of, as a text of somebody else may hold them, by the forms that providers give theirs.
_SHAPED = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{20,}|AIza[\w-]{30,}|(?:hf_|gsk_|ghp_|github_pat_)\w{24,}|xai-\w{24,}|AKIA[A-Z0-9]{16})(?![\w-])"
)
_LEAST_ENCODED = 8  # characters of base64 that are taken for a key
_LEAST_PARTIAL = 4  # characters of a key that are not left at the end of a text that was cut
_SECRET_NAME = re.compile(
    r"(^|[-_.])(key|apikey|(?<!eos_)(?<!bos_)(?<!pad_)(?<!unk_)(?<!stop_)token|secret|password|passwd|credential|credentials|authorization|cookie|sig|signature)$",
    re.IGNORECASE,
)
_PLAIN_WORD = re.compile("[a-z_]{1,15}")  # `cache_key: prompt` names no secret
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class _Table(NamedTuple):
    """What to look for. `short` are the keys that are only known by what stands before them."""

    plain: tuple[str, ...] = ()
    encoded: tuple[str, ...] = ()
    short: re.Pattern[str] | None = None
    starts: frozenset[str] = frozenset()  # what each of the first two begin with, where there are many


_lock = threading.Lock()
_keys: OrderedDict[str, None] = OrderedDict()  # the one used last at the end
_table: _Table | None = _Table()  # None: to be made anew


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held the old one


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ------------------------------------------------------------------------------------------------------ what are keys
def remember(key: str) -> None:
    """Have `redact` know a key from now on. May be called from any thread."""
    global _table
    key = key.strip()
    if not key:
        return
    with _lock:
        if key in _keys:
            _keys.move_to_end(key)
            return
        _keys[key] = None
        while len(_keys) > MOST_KEYS:
            _keys.popitem(last=False)
        _table = None


def remember_url(url: str) -> None:
    """Have `redact` know the password in a URL, and the values of parameters whose names are those of secrets."""
    from urllib.parse import parse_qsl, unquote, urlsplit

    try:
        parts = urlsplit(url)
        password = parts.password
        query = parse_qsl(parts.query)
    except ValueError:  # no URL; whoever uses it says so
        return
    if password:
        remember(unquote(password))
    for name, value in query:
        if is_secret_name(name):
            remember(value)


def remember_named(values: Any) -> None:
    """Have `redact` know what stands under the names of secrets in a mapping, such as headers, however deep."""
    for name, value in _named(values):
        if is_secret_name(name) and not _PLAIN_WORD.fullmatch(value):
            scheme, _, rest = value.partition(" ")
            remember(rest if rest and scheme.lower() in ("bearer", "basic", "token") else value)


def is_secret_name(name: str) -> bool:
    """Whether a setting, header or parameter of that name holds a secret: `x-api-key`, `access_token`, …"""
    return _SECRET_NAME.search(name) is not None


def _named(values: Any) -> Iterator[tuple[str, str]]:
    for name, value in values.items() if isinstance(values, Mapping) else ():
        if isinstance(value, str):
            yield str(name), value
        else:
            yield from _named(value)


# ----------------------------------------------------------------------------------------------------------- in texts
def redact(text: str) -> str:
    """The text with every known key, and whatever looks like one of a provider's, replaced by `***`. Costs well below a
    microsecond a key where there is none."""
    table = _table or _make_table()
    if not table.starts or not table.starts.isdisjoint([text[i : i + SHORT] for i in range(len(text) - SHORT + 1)]):
        for form in table.plain:
            if form in text:
                text = text.replace(form, HIDDEN)
        for form in table.encoded:
            while (start := text.find(form)) >= 0:
                text = _without_word(text, start, start + len(form))
    if table.short is not None:
        text = table.short.sub(rf"\1{HIDDEN}", text)
    return _SHAPED.sub(HIDDEN, text)


def cut(text: str, limit: int) -> str:
    """The first `limit` characters of a text, redacted. A key that is cut in two leaves no part of itself."""
    return redact(text) if len(text) <= limit else redact(without_part(text[:limit]))


def without_part(text: str) -> str:
    """The text without the beginning of a key at its end: for one that was cut, or broke off."""
    table = _table or _make_table()
    for form in (*table.plain, *table.encoded):
        for length in range(min(len(form) - 1, len(text)), _LEAST_PARTIAL - 1, -1):
            if text.endswith(form[:length]):
                return text[:-length]
    return text


def redact_value(value: T) -> T:
    """The value with the keys taken out of its texts, as far as it is made of plain containers. What holds none is
    returned as it is."""
    return _redacted(value)  # type: ignore[no-any-return]


def _redacted(value: Any, depth: int = 8) -> Any:
    if isinstance(value, str):
        return redact(value) if type(value) is str else value
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        return value if (clean := redact(text)) == text else clean.encode("latin-1")
    if depth == 0 or type(value) not in (list, tuple, dict):
        return value
    if isinstance(value, dict):
        items = {_redacted(name, 0): _redacted(item, depth - 1) for name, item in value.items()}
        return items if any(items.get(name) is not item for name, item in value.items()) else value
    parts = [_redacted(item, depth - 1) for item in value]
    return type(value)(parts) if any(new is not old for new, old in zip(parts, value, strict=True)) else value


def _without_word(text: str, start: int, end: int) -> str:
    """The text without the base64 in which a key was found: its ends hold a little of the key too."""
    while start and text[start - 1] in _BASE64:
        start -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    return f"{text[:start]}{HIDDEN}{text[end:]}"


def _make_table() -> _Table:
    global _table
    with _lock:
        long = [key for key in _keys if len(key) >= SHORT and key not in _WORDS]
        short = [key for key in _keys if len(key) < SHORT or key in _WORDS]
        plain = {form for key in long for form in _forms(key)}
        encoded = {form for key in long for form in _base64_forms(key.encode(errors="replace"))}
        # The longest first: a key may begin with another one.
        starts = frozenset(form[:SHORT] for form in (*plain, *encoded)) if len(plain) > FEW else frozenset()
        _table = _Table(tuple(sorted(plain, key=len, reverse=True)), tuple(encoded), _short_pattern(short), starts)
        return _table


def _forms(key: str) -> Iterable[str]:
    import html
    import json
    from urllib.parse import quote, quote_plus

    quoted = [quote(key, safe="", errors="replace"), quote(key, errors="replace"), quote_plus(key, errors="replace")]
    escaped = [json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1], repr(key)[1:-1]]
    lower = [re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form) for form in quoted]
    slashes = [form.replace("/", "\\/") for form in (key, *escaped)]
    forms = {key, *quoted, *lower, *escaped, *slashes, html.escape(key), " ".join(key.split())}
    return [form for form in forms if len(form) >= SHORT]


def _base64_forms(key: bytes) -> Iterator[str]:
    """What the key looks like in the base64 of a longer text, at each of the three places where it may begin."""
    from base64 import b64encode, urlsafe_b64encode

    for offset in range(3):
        first = (0, 2, 3)[offset]  # characters that also hold what stands before …
        last = (offset + len(key)) * 8 // 6  # … and from here on what stands behind
        for encode in (b64encode, urlsafe_b64encode):
            form = encode(b"\0" * offset + key).decode()[first:last]
            if len(form) >= _LEAST_ENCODED:
                yield form


def _short_pattern(keys: list[str]) -> re.Pattern[str] | None:
    """A key too short to be told from a word is one behind the words that announce one."""
    if not keys:
        return None
    announced = r"((?i:bearer|basic|key|token|secret|password|authorization|provided)\W{1,8})"
    choices = "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
    return re.compile(rf"{announced}(?:{choices})(?![\w-])")


# ------------------------------------------------------------------------------------------------------ in exceptions
def clean(error: E) -> E | RuntimeError:
    """Take the keys out of an exception and of all that are chained to it, in place: out of their arguments, their
    attributes, and the headers of requests they hold. One whose text cannot be changed is replaced in the chain by a
    `RuntimeError` that says the same; so is `error` itself, which is why the result must be used."""
    if not _keys:
        return error
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        _clean_one(one)
        waiting += _linked(one)
    return _replaced(error)


def _linked(error: BaseException) -> list[BaseException]:
    """What a traceback of the error also shows. What cannot be cleaned has been replaced."""
    for link in ("__cause__", "__context__"):
        other = getattr(error, link)
        if other is not None:
            _clean_one(other)
            suppressed = error.__suppress_context__
            if (replaced := _replaced(other)) is not other:
                setattr(error, link, replaced)
                error.__suppress_context__ = suppressed
    linked = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return [other for other in linked if isinstance(other, BaseException)]


def _clean_one(error: BaseException) -> None:
    try:
        args = redact_value(error.args)
        if args is not error.args:
            error.args = args
        for name, value in list(vars(error).items()):
            _hide_headers(value)
            cleaned = redact_value(value)
            if cleaned is not value:
                setattr(error, name, cleaned)
        if isinstance(error, OSError) and isinstance(error.strerror, str):  # shown rather than the arguments
            error.strerror = redact(error.strerror)
    except Exception:  # an attribute that cannot be set; the text is looked at below
        pass


def _hide_headers(value: Any) -> None:
    """Take the keys out of the headers of a request, and of the request that a response answers."""
    for holder in (value, getattr(value, "__dict__", {}).get("_request")):
        headers = getattr(holder, "__dict__", {}).get("headers", getattr(holder, "__dict__", {}).get("_headers"))
        if headers is None or not hasattr(headers, "items") or not hasattr(headers, "__setitem__"):
            continue
        for name, text in list(headers.items()):
            if isinstance(text, str) and redact(text) != text:
                headers[name] = redact(text)


def _replaced(error: E) -> E | RuntimeError:
    text = _text_of(error)
    clean_text = redact(text)
    if clean_text == text:
        return error
    other = RuntimeError(f"{type(error).__qualname__}: {clean_text}").with_traceback(error.__traceback__)
    other.__cause__, other.__context__ = error.__cause__, error.__context__
    other.__suppress_context__ = error.__suppress_context__
    return other


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""
