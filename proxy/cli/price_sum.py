"""`promptlane price MODEL`: what one call costs, step by step, and where each rate comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches

from proxy.cli.price_yaml import closing_entry, closing_keys, new_entry
from proxy.config.problems import is_secret, shown
from proxy.domain.globs import is_glob
from proxy.domain.price_book import Found, PriceBook, PriceRule
from proxy.domain.pricing import Cost, CostPart, cost_of
from proxy.domain.tariffs import Terms, terms_of
from proxy.domain.usage import Usage

Caller = tuple[str, str]
"""A provider's label and name."""
_NEAREST = 5
_UNITS = {
    "_per_mtok": ("token", " per million"),
    "_per_s": ("second", ""),
    "_per_image": ("image", ""),
}
_OTHERS_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A priced call. `others` are labels of providers where the model has another price."""

    model: str
    provider: str
    on: date
    usage: Usage
    found: Found
    terms: Terms
    cost: Cost
    others: tuple[str, ...] = ()


def price_call(
    book: PriceBook, callers: Sequence[Caller], model: str, usage: Usage, on: date, *, is_named: bool
) -> Sum | None:
    """Price the call with the first of the callers that has a price for the model; None where none has.

    `is_named`: the provider was. Otherwise an entry for all that one provider has says nothing of this model.
    """
    priced = [
        (label, name, found)
        for label, name in callers
        if (found := book.find(label, name, model, on)) is not None and (is_named or not _is_for_any_model(found.rule))
    ]
    if not priced:
        return None
    _, name, found = priced[0]
    others = dict.fromkeys(other for _, other, another in priced if another.price != found.price)
    return Sum(
        model=model,
        provider=name,
        on=on,
        usage=usage,
        found=found,
        terms=terms_of(usage, found.price),
        cost=cost_of(usage, found.price, book.version),
        others=tuple(others),
    )


def _is_for_any_model(rule: PriceRule | None) -> bool:
    return rule is not None and rule.model == "*" and not is_glob(rule.provider)


def nearest(book: PriceBook, model: str) -> list[str]:
    """Models that have a price and a name like this one."""
    names = {rule.model.lower(): rule.model for rule in book.rules if not is_glob(rule.model)}
    names |= {name: name for models in book.table.values() for name in models}
    return [names[name] for name in get_close_matches(model.lower(), names, _NEAREST)]


def unknown_text(book: PriceBook, provider: str, model: str, on: date) -> Iterator[str]:
    """What to do about a model without a price. A name that may be a key is not repeated."""
    yield f"no price for {shown(model)}" + (f" with {provider}" if provider != "*" else "")
    if is_secret(model):
        return
    if near := nearest(book, model):
        yield f"near: {', '.join(near)}"
    if provider == "*" and (anything := [rule.provider for rule in book.rules if _is_for_any_model(rule)]):
        yield f"any model has a price with {', '.join(anything)}: name it with --provider"
    yield "to price it, fill this in under `models:` in pricing.yaml (USD per million tokens):"
    yield new_entry(provider, model, on)


def unknown_json(book: PriceBook, provider: str, model: str, on: date) -> dict[str, object]:
    """The same for scripts."""
    told = not is_secret(model)
    return {
        "model": model if told else None,
        "status": "unpriced",
        "near": nearest(book, model) if told else [],
        "yaml": new_entry(provider, model, on) if told else None,
    }


def as_text(made: Sum, version: str) -> Iterator[str]:
    """The sum for people."""
    yield f"{made.model} with {made.provider}, {made.on}"
    yield ""
    rows = [_row(part, made.terms) for part in made.cost.parts]
    total = "none" if made.cost.total_usd is None else _usd(made.cost.total_usd)
    rows.append(("total", "free" if made.found.price.is_free else "", total, made.cost.status.value))
    places = max(len(amount.partition(".")[2]) for *_, amount, _ in rows)
    rows = [(*row[:2], row[2] + "0" * (places - len(row[2].partition(".")[2])), row[3]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, step, amount, note in rows:
        yield f"  {name:<{widths[0]}}  {step:<{widths[1]}}  {amount:>{widths[2]}}  {note}".rstrip()
    yield ""
    yield from _place(made, version)
    yield from _terms(made)
    if made.others:
        more = len(made.others) - _OTHERS_SHOWN
        shown_others = ", ".join(made.others[:_OTHERS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield f"also    priced otherwise with {shown_others}; name one with --provider"
    yield from _gaps(made)


def _row(part: CostPart, terms: Terms) -> tuple[str, str, str, str]:
    unit, per = _unit(part)
    is_by_token = part.rate.endswith("_per_mtok")
    rate: Decimal = getattr(terms.rates, part.rate)
    factor = f" × {terms.multiplier:f}" if is_by_token and terms.multiplier != 1 else ""
    step = f"{part.quantity:,f} {unit}{'s' * (part.quantity != 1)} × {_usd(rate)}{per}{factor}"
    is_own = not is_by_token or part.rate == f"{part.name}_usd_per_mtok"
    return part.name, step, _usd(part.amount_usd), "" if is_own else f"by {part.rate}"


def _unit(part: CostPart) -> tuple[str, str]:
    """What is counted, and how many of it the rate is for."""
    found = next((unit for end, unit in _UNITS.items() if part.rate.endswith(end)), None)
    return found or ("search" if part.name == "web_search" else part.name, "")


def _place(made: Sum, version: str) -> Iterator[str]:
    found, origin = made.found, made.found.price.origin
    if origin is None or found.rule is None:
        yield f"price   built-in table {version.partition('+')[0]}, under {found.vendor} as {found.form.lower()}"
        return
    since = "" if found.price.starts_on == date.min else f", since {found.price.starts_on}"
    yield f"price   {origin.file}:{origin.line}:{origin.column} ({origin.path}){since}"
    yield f"        matches {found.form} by provider {found.rule.provider}, model {found.rule.model}"
    if origin.source or origin.checked:
        source = (
            shown(origin.source).strip("`") if origin.source else None,
            origin.checked and f"checked {origin.checked}",
        )
        yield f"source  {', '.join(str(part) for part in source if part)}"


def _terms(made: Sum) -> Iterator[str]:
    terms, price = made.terms, made.found.price
    held = [
        f"input above {terms.above_input_tokens:,} tokens" if terms.above_input_tokens else "",
        f"service tier {terms.service_tier}" if terms.service_tier else "",
        f"speed {terms.speed} × {price.speed_multipliers[terms.speed]:f}" if terms.speed else "",
        f"region {terms.region} × {price.region_multipliers[terms.region]:f}" if terms.region else "",
    ]
    if any(held):
        yield f"terms   {', '.join(filter(None, held))}"


def _gaps(made: Sum) -> Iterator[str]:
    for gap in made.cost.gaps:
        yield f"gap     {gap.reason}"
    keys = list(closing_keys(made.terms, made.usage, made.cost.gaps))
    if not keys:
        return
    origin = made.found.price.origin
    if origin is not None:
        yield f"to close it, add at {origin.file}:{origin.line}, with the right values:"
        yield from (f"  {'.'.join(path)}: {value:f}" for path, value in keys)
    else:
        yield "to close it, put this under `models:` in pricing.yaml, with the right values:"
        price = made.found.price
        yield closing_entry(made.provider, made.model, made.on, price, made.terms, made.usage, made.cost.gaps)


def as_json(made: Sum, version: str) -> dict[str, object]:
    """The sum for scripts; money as text, exactly."""
    found, terms, cost, origin = made.found, made.terms, made.cost, made.found.price.origin
    return {
        "model": made.model,
        "provider": made.provider,
        "on": made.on.isoformat(),
        "status": cost.status.value,
        "total_usd": None if cost.total_usd is None else _digits(cost.total_usd),
        "steps": [_step(part) for part in cost.parts],
        "gaps": [{"reason": gap.reason, "key": gap.key or None} for gap in cost.gaps],
        "list": version if origin is None else origin.file,
        "line": origin.line if origin else None,
        "path": origin.path if origin else None,
        "source": origin.source if origin and not is_secret(origin.source or "") else None,
        "checked": origin.checked.isoformat() if origin and origin.checked else None,
        "since": None if found.price.starts_on == date.min else found.price.starts_on.isoformat(),
        "matched": found.form,
        "above_input_tokens": terms.above_input_tokens or None,
        "service_tier": terms.service_tier or None,
        "speed": terms.speed or None,
        "region": terms.region or None,
        "multiplier": _digits(terms.multiplier),
    }


def _step(part: CostPart) -> Mapping[str, str]:
    return {
        "name": part.name,
        "rate": part.rate,
        "quantity": _digits(part.quantity),
        "unit_price_usd": _digits(part.unit_price_usd),
        "amount_usd": _digits(part.amount_usd),
    }


def _usd(amount: Decimal) -> str:
    """All its digits, at least two after the point."""
    whole, _, fraction = _digits(amount).partition(".")
    return f"${whole}.{fraction:0<2}"


def _digits(value: Decimal) -> str:
    """No exponent, no trailing zeros."""
    return f"{value.normalize():f}" if value else "0"
