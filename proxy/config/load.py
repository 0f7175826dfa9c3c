"""Files and environment to one checked, immutable configuration, or every problem at once."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

from proxy.config.alerts import AlertsFile, compile_alerts
from proxy.config.analytics import AnalyticsFile, compile_destination, compile_policy
from proxy.config.base_table import BaseTable, load_base_table
from proxy.config.capture import compile_capture
from proxy.config.changes import UNKNOWN, Mark, Refused, Seen, mark_of
from proxy.config.check_rules import referred_schemas
from proxy.config.configuration import Configuration
from proxy.config.document import MAX_FILE_BYTES, Document, parse_document
from proxy.config.places import mode_of
from proxy.config.prices import PricingFile, compile_rules
from proxy.config.problems import ConfigError, Problem
from proxy.config.prompt_book import compile_prompts, referred_files, referred_texts
from proxy.config.prompt_lock import LOCK, read_lock, report_changed
from proxy.config.prompts import PromptsFile, TextSection
from proxy.config.routing import RoutingFile
from proxy.config.routing_table import capture_rules, compile_keys, compile_limits, compile_routing
from proxy.config.schema import check_document
from proxy.domain.price_book import PriceBook

ROUTING, ANALYTICS, PROMPTS, ALERTS = "routing.yaml", "analytics.yaml", "prompts.yaml", "alerts.yaml"
_DOCUMENTS = 5
"""So many of the files are YAML: routing, analytics, prices, prompts and alerts. Then come prompts.lock, texts and
schemas."""


READINGS = 5
"""So often files are read that change meanwhile; it takes a few milliseconds."""


def load(config_dir: Path, pricing_file: Path, env: Mapping[str, str]) -> Configuration:
    """Read and check everything. Files may be absent. Raises ConfigError with all problems."""
    return _checked(config_dir, read_files(config_dir, pricing_file, env), env)


def look(config_dir: Path, pricing_file: Path, env: Mapping[str, str]) -> Seen:
    """What lies there now, and the marks by which a later change of it shows: `UNKNOWN` for files that were written
    whenever they were read.
    """
    try:
        for _ in range(READINGS):
            marks: dict[Path, Mark] = {path: mark_of(path) for path in _watched(config_dir, pricing_file, env)}
            files = read_files(config_dir, pricing_file, env)
            if marks == {path: mark_of(path) for path in marks}:
                break
        else:
            marks = dict.fromkeys(marks, UNKNOWN)
        return Seen(marks, _checked(config_dir, files, env))
    except ConfigError as error:
        return Seen(marks, Refused(error.problems))


def _checked(config_dir: Path, files: Mapping[Path, bytes], env: Mapping[str, str]) -> Configuration:
    """What was read there. Raises ConfigError with all problems."""
    misplaced = _misplaced(config_dir)
    try:
        configuration = compile_files(files, env)
    except ConfigError as error:
        raise ConfigError([*error.problems, *misplaced]) from None
    if misplaced:
        raise ConfigError(misplaced)
    return configuration


def _watched(config_dir: Path, pricing_file: Path, env: Mapping[str, str]) -> Sequence[Path]:
    """Where the files are or would be, as far as can be told: a text that is referred to may still be to come."""
    own = _own_files(config_dir, pricing_file)
    with suppress(ConfigError):
        return [*own, *_referred(config_dir, {path: _read(path) for path in own}, env)]
    return own


def read_files(config_dir: Path, pricing_file: Path, env: Mapping[str, str]) -> dict[Path, bytes]:
    """The bytes of routing, analytics, prices, prompts, alerts and the lock of prompts, in this order, then of the
    texts that prompts refer to and the schemas that checks do. Raises ConfigError for one that cannot be read.
    """
    files = {path: _read(path) for path in _own_files(config_dir, pricing_file)}
    return files | {path: _read(path) for path in _referred(config_dir, files, env)}


def _own_files(config_dir: Path, pricing_file: Path) -> Sequence[Path]:
    others = (config_dir / name for name in (PROMPTS, ALERTS, LOCK))
    return (config_dir / ROUTING, config_dir / ANALYTICS, pricing_file, *others)


def _referred(config_dir: Path, files: Mapping[Path, bytes], env: Mapping[str, str]) -> Sequence[Path]:
    routing, _, _, prompts, _ = parse_files(files, env)
    return [config_dir / name for name in (*referred_files(prompts), *referred_schemas(routing))]


def read_prompts(config_dir: Path, env: Mapping[str, str]) -> list[TextSection]:
    """The texts that prompts.yaml refers to, as far as it can be read. Raises ConfigError where it cannot be."""
    document = parse_document(str(config_dir / PROMPTS), _read(config_dir / PROMPTS), env)
    if document.problems:
        raise ConfigError(document.problems)
    return referred_texts(document)


def compile_files(files: Mapping[Path, bytes], env: Mapping[str, str]) -> Configuration:
    """Check what `read_files` gave, without looking at the disk. Raises ConfigError with all problems."""
    documents = parse_files(files, env)
    routing_doc, analytics_doc, pricing_doc, prompts_doc, alerts_doc = documents
    _, _, pricing_bytes, _, _, lock_bytes, *_ = files.values()
    environment = Document(file="environment")
    routing = check_document(routing_doc, RoutingFile) or RoutingFile(version=1)
    analytics = check_document(analytics_doc, AnalyticsFile) or AnalyticsFile(version=1)
    pricing = check_document(pricing_doc, PricingFile) or PricingFile(version=1)
    prompts = check_document(prompts_doc, PromptsFile) or PromptsFile(version=1)
    alerts = check_document(alerts_doc, AlertsFile) or AlertsFile(version=1)
    referred = dict(list(files.items())[_DOCUMENTS + 1 :])
    locked, lock_problems = read_lock(str(_path_of(files, _DOCUMENTS)), lock_bytes)
    configuration = Configuration(
        files=files,
        routing=compile_routing(routing_doc, routing, env, referred),
        keys=compile_keys(routing_doc, routing),
        limits=compile_limits(routing),
        drain_s=float(routing.limits.drain_s),
        upstream_client=routing.upstream_client,
        analytics=compile_policy(analytics_doc, analytics, env),
        destination=compile_destination(analytics.posthog, environment, env),
        prices=_price_book(pricing_doc, pricing, pricing_bytes),
        prompts=compile_prompts(prompts_doc, prompts, referred),
        locked=locked,
        capture=compile_capture(analytics_doc, analytics.capture, routing_doc, *capture_rules(routing), env),
        alerts=compile_alerts(alerts_doc, alerts, analytics.trace_url, env),
        digest=_digest(files.values()),
    )
    report_changed(prompts_doc, configuration.prompts, locked)
    problems = [problem for document in (*documents, environment) for problem in document.problems]
    if problems := [*problems, *lock_problems]:
        raise ConfigError(problems)
    return configuration


def parse_files(files: Mapping[Path, bytes], env: Mapping[str, str]) -> list[Document]:
    """Of what `read_files` gave, routing, analytics, prices, prompts and alerts, in this order."""
    return [parse_document(str(path), raw, env) for path, raw in islice(files.items(), _DOCUMENTS)]


def _path_of(files: Mapping[Path, bytes], position: int) -> Path:
    return list(files)[position]


def load_prices(pricing_file: Path, env: Mapping[str, str]) -> PriceBook:
    """The prices alone, for who needs nothing else to be in order. Raises ConfigError with all problems."""
    raw = _read(pricing_file)
    document = parse_document(str(pricing_file), raw, env)
    book = _price_book(document, check_document(document, PricingFile) or PricingFile(version=1), raw)
    if document.problems:
        raise ConfigError(document.problems)
    return book


def _price_book(document: Document, pricing: PricingFile, raw: bytes) -> PriceBook:
    base = _base_table()
    version = f"{base.version}+{hashlib.sha256(raw).hexdigest()[:8]}" if pricing.models else base.version
    return PriceBook(rules=compile_rules(document, pricing), table=base.models, version=version)


@cache
def _base_table() -> BaseTable:
    """The table is part of the package and does not change while it runs."""
    return load_base_table()


def _read(path: Path) -> bytes:
    """The file's bytes, one more than is allowed at most; none where there is no file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError:
        raise ConfigError([Problem(file=str(path), message="this file cannot be read")]) from None


def _misplaced(config_dir: Path) -> list[Problem]:
    """Files that somebody would expect to be read."""
    return [
        Problem(file=str(config_dir / name), message=f"this file is not read; call it {name.replace('.yml', '.yaml')}")
        for name in ("routing.yml", "analytics.yml", "prompts.yml", "alerts.yml")
        if mode_of(config_dir / name)
    ]


def _digest(contents: Iterable[bytes]) -> str:
    """12 hex digits over the files in a fixed order, each set off by its own hash."""
    return hashlib.sha256(b"".join(hashlib.sha256(raw).digest() for raw in contents)).hexdigest()[:12]
