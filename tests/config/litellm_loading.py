"""Loads a translation as `proxy.config.load` would, without a disk."""

from proxy.config.document import Document, parse_document
from proxy.config.litellm import Translation
from proxy.config.prices import PricingFile, compile_rules
from proxy.config.routing import RoutingFile
from proxy.config.routing_table import compile_keys, compile_routing
from proxy.config.schema import check_document


def environment_of(translation: Translation) -> dict[str, str]:
    """The variables that the files name, as an operator would set them."""
    keys = dict.fromkeys(translation.key_variables, "a-key")
    return keys | dict.fromkeys(translation.address_variables, "http://127.0.0.1:1")


def problems_of(translation: Translation) -> list[str]:
    """What the loader has against the texts."""
    env = environment_of(translation)
    routing, pricing = (_document(text, env) for text in (translation.routing, translation.pricing))
    if (file := check_document(routing, RoutingFile)) is not None:
        compile_routing(routing, file, env)
        compile_keys(routing, file)
    if (prices := check_document(pricing, PricingFile)) is not None:
        compile_rules(pricing, prices)
    return [str(problem) for problem in (*routing.problems, *pricing.problems)]


def _document(text: str | None, env: dict[str, str]) -> Document:
    return parse_document("text", (text or "").encode(), env)
