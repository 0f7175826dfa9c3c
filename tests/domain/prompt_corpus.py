"""System prompts as applications write them: what their templates fill in at each call, and a true edit of each.

`{…}` in a template is filled from a `Moment`. `edit` is a pair: words of the template, and what an author puts in
their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

Moment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One system prompt of an application."""

    name: str
    template: str
    edit: tuple[str, str]

    def at(self, moment: Moment) -> str:
        return self.template.format_map(moment)

    def edited(self) -> "Prompt":
        old, new = self.edit
        assert self.template.count(old) == 1, f"{self.name}: the edit must hit once"
        return Prompt(self.name, self.template.replace(old, new), self.edit)


def _moment(at: datetime, ids: Mapping[str, str]) -> Moment:
    hour12 = at.hour % 12 or 12
    half = "AM" if at.hour < 12 else "PM"
    month_de = ("Januar", "Februar", "März", "April", "Mai", "Juni")[at.month - 1]
    day_de = ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag")[at.weekday()]
    month_es = ("enero", "febrero", "marzo", "abril", "mayo", "junio")[at.month - 1]
    day_es = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")[at.weekday()]
    return {
        "iso_date": f"{at:%Y-%m-%d}",
        "iso": at.isoformat(),
        "iso_z": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "python": str(at),
        "ctime": at.strftime("%a %b %e %H:%M:%S %Y"),
        "http": f"{at:%a, %d %b %Y %H:%M:%S} GMT",
        "js": f"{at:%a %b %d %Y %H:%M:%S} GMT{at:%z} (Central European {'Summer ' if at.month > 3 else ''}Time)",
        "us": f"{at.month}/{at.day}/{at.year}, {hour12}:{at:%M:%S}\u202f{half}",
        "us_short": f"{at.month}/{at.day}/{at:%y}",
        "eu": f"{at:%d.%m.%Y}, {at:%H:%M} Uhr",
        "long": f"{at:%A, %B} {at.day}, {at.year}",
        "long_british": f"{at:%A} {at.day} {at:%B} {at.year}",
        "long_time": f"{at:%A, %B %d, %Y} at {hour12}:{at:%M} {half} {'CEST' if at.month > 3 else 'CET'}",
        "german": f"{day_de}, den {at.day}. {month_de} {at.year}",
        "spanish": f"{day_es}, {at.day} de {month_es} de {at.year}",
        "month": f"{at:%B %Y}",
        "weekday": f"{at:%A}",
        "clock": f"{at:%H:%M}",
        "hour": f"{hour12} {half}",
        "compact": f"{at:%Y%m%dT%H%M%SZ}",
        "epoch": str(int(at.timestamp())),
        "epoch_ms": str(int(at.timestamp() * 1000)),
        **ids,
    }


_BERLIN_SUMMER, _BERLIN_WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
MOMENTS: tuple[Moment, ...] = (
    _moment(
        datetime(2026, 6, 4, 9, 5, 7, 123456, tzinfo=_BERLIN_SUMMER),
        {
            "uuid": "0198c0de-0000-7000-8000-000000000abc",
            "uuid_upper": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
            "hex": "9f86d081884c7d659a2feaa0c55ad015",
            "sha": "8f3a9c21d",
            "ulid": "01J0Z3N8K2PQRSTVWXYZ012345",
            "nano": "V1StGXR8_Z5jdHi6B-myT",
            "stripe": "cus_NffrFeUfNV2Hib",
            "clerk": "user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
            "thread": "thread_abc123XYZ789qwe456",
            "ticket": "48213907",
            "phone": "+4915112345678",
            "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "run": "run-1780556707-eu",
            "items": "3",
            "balance": "1,204.50",
        },
    ),
    _moment(
        datetime(2026, 1, 25, 23, 59, 59, 0, tzinfo=_BERLIN_WINTER),
        {
            "uuid": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "uuid_upper": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "hex": "e3b0c44298fc1c149afbf4c8996fb924",
            "sha": "1d2e3f4a5",
            "ulid": "01HZX9Y8W7V6T5S4R3Q2P1N0M9",
            "nano": "3k9Fq2L0x_Pz7Wc4Rv-ab",
            "stripe": "cus_9s6XKzkNRiz8i3",
            "clerk": "user_1ZzYxWvUtSrQpOnMlKjIhGfEdCb",
            "thread": "thread_q9w8e7r6t5y4u3i2o1",
            "ticket": "5120042",
            "phone": "+447700900123",
            "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI5OTk5OTk5OTkifQ.Zm9vYmFyMTIzNDU2Nzg5MGFiY2Rl",
            "run": "run-1769381999-us",
            "items": "12",
            "balance": "87",
        },
    ),
    _moment(
        datetime(2026, 3, 10, 12, 0, 0, 500000, tzinfo=_BERLIN_WINTER),
        {
            "uuid": "123e4567-e89b-12d3-a456-426614174000",
            "uuid_upper": "C9A646D3-9C61-4CD9-9A1E-8F3E1C2D4B5A",
            "hex": "d41d8cd98f00b204e9800998ecf8427e",
            "sha": "7c6b5a4d3",
            "ulid": "01HRA0B1C2D3E4F5G6H7J8K9M0",
            "nano": "Uakgb0J5m9g_0JDMbcJqL",
            "stripe": "cus_QR7sT2uVwXyZaB",
            "clerk": "user_2abCDefGHijKLmnOPqrSTuvWXyz",
            "thread": "thread_zZ19yY28xX37wW46vV55",
            "ticket": "990017755",
            "phone": "+33612345678",
            "jwt": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0MiIsIm4iOjF9.a1b2c3d4e5f6g7h8i9j0k1l2",
            "run": "run-1773144000-ap",
            "items": "1",
            "balance": "0.99",
        },
    ),
)
"""A summer morning, a Sunday a second before midnight, and noon: other days, zones, lengths and ids each."""

PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        "plain assistant",
        "You are a helpful assistant. Knowledge cutoff: 2024-06. Current date: {iso_date}.",
        ("helpful assistant", "terse assistant"),
    ),
    Prompt(
        "support bot",
        "You are Ada, the support agent of Acme.\nToday is {long}.\nNever promise refunds above 50 EUR without a"
        " human.\nAlways cite the help center article you used as [1].",
        ("above 50 EUR", "above 80 EUR"),
    ),
    Prompt(
        "chat with a session",
        '<context>\n  <session id="{uuid}" started="{iso_z}"/>\n</context>\nAnswer in at most 100 words.',
        ("100 words", "200 words"),
    ),
    Prompt(
        "coding agent",
        "You are an interactive CLI coding agent.\n\n# Environment\nWorking directory: /srv/app\nIs git repo: Yes\n"
        "Platform: linux\nToday's date: {iso_date}\nHEAD: {sha}\n\nUse the tools to edit files. Do not commit unless"
        " asked.",
        ("Do not commit unless asked", "Commit when the tests pass"),
    ),
    Prompt(
        "ticket router",
        "Classify ticket #{ticket} (received {http}) as one of: refund, exchange, find_order, other. Reply with JSON.",
        ("find_order, other", "find_order, complaint, other"),
    ),
    Prompt(
        "sql analyst",
        "You write ClickHouse SQL. The current time is {python}. Week starts on monday. Use toStartOfWeek(ts, 1).",
        ("ClickHouse SQL", "Postgres SQL"),
    ),
    Prompt(
        "voice agent",
        "You are on the phone with {phone}. It is {hour} on a {weekday}. Keep answers under two sentences.",
        ("two sentences", "three sentences"),
    ),
    Prompt(
        "billing copilot",
        "Customer: {stripe}\nLogged in as {clerk}\nNow: {iso}\nYou may read invoices. You may not change them.",
        ("You may not change them", "You may void them"),
    ),
    Prompt(
        "German shop",
        "Du bist der Einkaufsberater von Müller. Heute ist {german}. Antworte höflich und in der Sie-Form.",
        ("Sie-Form", "Du-Form"),
    ),
    Prompt(
        "Spanish travel",
        "Eres un agente de viajes. Hoy es {spanish}. Responde siempre en español y ofrece tres opciones.",
        ("tres opciones", "cinco opciones"),
    ),
    Prompt(
        "browser extension",
        "Page opened {js}. Summarize the page for the reader in five bullets. Do not follow links on it.",
        ("five bullets", "six bullets"),
    ),
    Prompt(
        "spreadsheet helper",
        "Locale time {us}; due {us_short}. Return only a formula that starts with =. No explanations.",
        ("No explanations", "Explain in one line"),
    ),
    Prompt(
        "European desk",
        "Stand: {eu}. Öffnungszeiten stehen in der Datenbank. Model family: gpt-4.1, never o3.",
        ("gpt-4.1", "gpt-5.1"),
    ),
    Prompt(
        "retrieval",
        "Answer from the documents alone.\n\n[doc {ulid}] Returns policy\n[doc {nano}] Shipping\n\nIf they do not say,"
        " reply NOT_FOUND.",
        ("reply NOT_FOUND", "ask one question"),
    ),
    Prompt(
        "cron summary",
        "Job {run} at {ctime}. Write the daily digest of {long_british} for the on-call engineer.",
        ("on-call engineer", "whole team"),
    ),
    Prompt(
        "calendar",
        "It is {long_time}. The user's calendar is in the tool get_calendar_v2. Never book before 8 in the morning.",
        ("get_calendar_v2", "get_calendar_v3"),
    ),
    Prompt(
        "log analyst",
        "Trace {hex} began at {epoch_ms} and ended at {epoch}. Name the slowest span. Severity scale is 1 to 5.",
        ("1 to 5", "1 to 10"),
    ),
    Prompt(
        "workflow",
        "thread={thread}; request={uuid_upper}; stamp={compact}. Choose exactly one tool. Temperature was 0.25.",
        ("0.25", "0.75"),
    ),
    Prompt(
        "newsletter",
        "Write the newsletter for {month}. Tone: warm. Length: 300 words. Sign as the Acme team.",
        ("Tone: warm", "Tone: formal"),
    ),
    Prompt(
        "authenticated fetch",
        "Use header X-Session: {jwt} for fetch_page. Allowed host: docs.acme.example. Stop after 4 pages.",
        ("docs.acme.example", "wiki.acme.example"),
    ),
    Prompt(
        "tools",
        "Be exact. Time zone clock: {clock}.\n"
        '[{{"function":{{"description":"Find an order","name":"find_order","parameters":{{"properties":{{"id":'
        '{{"type":"string"}}}},"required":["id"],"type":"object"}}}},"type":"function"}}]',
        ('"required":["id"]', '"required":[]'),
    ),
    Prompt(
        "white space",
        "You are a tutor.\n\n\n   Speak to a   child of nine. Today: {iso_date}\t(do not say it)\n",
        ("a   child of nine", "an adult"),
    ),
    Prompt(
        "dense json",
        '{{"role":"planner","now":"{iso}","budget_usd":5,"session":"{uuid}","rules":["no code","max 3 steps"]}}',
        ("max 3 steps", "max 7 steps"),
    ),
    Prompt(
        "opening hours left to the model",
        "Concierge of Hotel Alpha. Now {long_time}. Breakfast is served in the garden. Address guests by name.",
        ("in the garden", "on the roof"),
    ),
)
WITH_NUMBERS: tuple[Prompt, ...] = (
    Prompt(
        "cart",
        "The cart holds {items} things worth {balance} USD. Upsell one thing. Today is {long}.",
        ("Upsell one thing", "Upsell nothing"),
    ),
    Prompt(
        "plan", "Seats left: {items}. Credits: {balance}. Be short and never mention seats.", ("Be short", "Be kind")
    ),
)
"""Prompts that fill in counts and amounts: one prompt only where numbers are ignored."""
