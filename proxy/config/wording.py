"""What to say of a value that does not fit: what it must be, what it is, and what to write instead.

Values are described and not echoed: text may be quoted where it could only be a name, and never where it looks like a
secret.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from proxy.config.document import Value
from proxy.config.problems import is_secret, shown

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_UNITS = {
    "_ms": "milliseconds",
    "_s": "seconds",
    "_days": "days",
    "_per_mtok": "USD per million tokens",
    "_per_call": "USD",
    "_per_image": "USD",
    "_per_s": "USD per second",
    "_tokens": "tokens",
}
"""The end of a key is its unit."""

_LISTED = 8
"""So many names help; more are a wall."""

_SYNONYMS = {
    "key_env": "api_key api_key_env apikey key token api_token auth_token bearer_token secret virtual_key",
    "base_url": "api_base url endpoint address host upstream upstream_url custom_host server",
    "kind": "type provider dialect api_type protocol custom_llm_provider",
    "credentials": "auth passthrough",
    "timeouts": "timeout request_timeout timeout_s timeout_ms stream_timeout",
    "retries": "retry num_retries max_retries",
    "max": "attempts count max_retries num_retries",
    "on": "on_status_codes status_codes retry_on",
    "target": "provider model route to litellm_params upstream",
    "targets": "deployments loadbalance load_balance destinations providers",
    "fallback": "fallbacks context_window_fallbacks on_error",
    "hash": "key api_key token secret virtual_key value key_hash",
    "alias": "name key_alias user team",
    "allow": "models allowed_models scopes",
    "salt_env": "salt salt_key",
    "from": "date starts_on start_date since valid_from effective_from",
    "input_usd_per_mtok": "input input_price prompt input_mtok input_cost_per_token prompt_price",
    "cached_input_usd_per_mtok": "cached cache_read cache_read_mtok cache_read_input_token_cost cached_input",
    "output_usd_per_mtok": "output output_price completion output_mtok output_cost_per_token completion_price",
}
"""Our key → what other tools and hands call it."""

_MEANINGS = {
    "key_env": "with the name of the environment variable that holds the key",
    "salt_env": "with the name of the environment variable that holds the salt",
    "hash": "with what `promptlane keys` prints, and keep the key itself out of this file",
    "timeouts": "with connect_s, first_byte_s, idle_s or total_s below it",
    "retries": "with max and on below it",
    "target": "with `provider` or `provider/model`",
    "input_usd_per_mtok": "in USD per million tokens",
    "cached_input_usd_per_mtok": "in USD per million tokens",
    "output_usd_per_mtok": "in USD per million tokens",
}


def misfit(details: ErrorDetails, value: Value, key: str, keys: Iterable[str]) -> str:
    """Why pydantic refused `value`, which stands under `key`; `keys` are what a mapping in its place may have."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "this key is required"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if value is None:
        return "nothing stands here; write a value, or leave the key out"
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"this must be {words} {context[name]}{_unit(key, ' {}')}"
    if kind == "literal_error":
        return _one_of(re.findall(r"'([^']*)'", context["expected"]), value)
    if kind in _WANTED:
        return _wrong_type(_WANTED[kind], value, key, keys)
    return _wrong_size(kind, context) or "this value cannot be used here; see the reference of all keys"


def _wrong_type(wanted: str, value: Value, key: str, keys: Iterable[str]) -> str:
    if "number" in wanted and isinstance(value, str):
        wanted += _unit(key, " (of {}, without the unit)")
    if "mapping" in wanted and 0 < len(names := list(keys)) <= _LISTED:
        wanted += f" (known: {', '.join(names)})"
    return f"this must be {wanted}, not {_kind(value)}{_remedy(wanted, value)}"


def _remedy(wanted: str, value: Value) -> str:
    match wanted, value:
        case "text", bool():
            return "; quote it if it is (unquoted, YAML reads yes, no, on and off as true and false)"
        case "text", int() | Decimal():
            return "; quote it if it is"
        case "a list", str() | int() | Decimal():
            return "; put it into [ ]"
        case "true or false", str() if value.lower() in {"true", "false", "yes", "no", "on", "off"}:
            return "; take the quotes off"
        case _, str() if "whole number" in wanted and value.isdecimal():
            return "; take the quotes off"
    return ""


def _wrong_size(kind: str, context: Mapping[str, object]) -> str:
    match kind:
        case "finite_number":
            return "a number must be finite"
        case "string_too_short":
            return "this must not be empty"
        case "string_too_long":
            return f"this must have at most {context['max_length']} characters"
        case "too_short":
            return f"this {'mapping' if context.get('field_type') == 'Dictionary' else 'list'} must not be empty"
        case "too_long":
            return f"this list may have at most {context['max_length']} entries"
    return ""


def _one_of(names: list[str], value: Value) -> str:
    wanted = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    if not isinstance(value, str):
        return f"this must be {wanted}, not {_kind(value)}"
    near = nearest(value, names) if len(names) > 1 else None
    return f"this must be {wanted}" + (f"; did you mean `{near}`?" if near else "")


def _kind(value: Value) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "a number" if isinstance(value, int) or value == int(value) else "a number with a fraction"


def _unit(key: str, template: str) -> str:
    """The unit that the key's end stands for, in the template; nothing where it has none."""
    unit = next((unit for end, unit in _UNITS.items() if key.endswith(end)), "")
    return template.format(unit) if unit else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Name the nearest known name, and all of them if they are few or none is near."""
    names = [each for each in known if not is_secret(each)]
    near = nearest(name, names)
    listed = f"known: {', '.join(names) or 'none'}"
    if near is None:
        return f"unknown {what} {shown(name)}; {listed}"
    return f"unknown {what} {shown(name)}; did you mean `{near}`?" + (f" {listed}" if len(names) <= _LISTED else "")


def unknown_key(
    name: str, known: Iterable[str], nested: Mapping[str, Iterable[str]], elsewhere: Mapping[str, str]
) -> str:
    """As `unknown`, with the names of other tools; `nested` are the keys of the mappings below the known keys."""
    names = list(known)
    if name in elsewhere:
        return f"unknown key {shown(name)} here; it belongs into {elsewhere[name]}"
    ours = next((key for key in names if _plain(name) in map(_plain, _SYNONYMS.get(key, "").split())), None)
    if ours is not None:
        meaning = f" {_MEANINGS[ours]}" if ours in _MEANINGS else ""
        return f"unknown key {shown(name)}; write `{ours}`{meaning}"
    if nearest(name, names) is None:
        above = [key for key, keys in nested.items() if name in keys]
        if above:
            return f"unknown key {shown(name)} here; it belongs under {' or '.join(f'`{key}`' for key in above)}"
    return unknown("key", name, names)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs least, if it is near at all; case and separators count for nothing."""
    plain = {_plain(each): each for each in known}
    near = get_close_matches(_plain(name), plain, n=1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub(r"[-_ .]", "", name).lower()
