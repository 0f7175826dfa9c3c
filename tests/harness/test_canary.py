import base64
import gzip
import zlib
from pathlib import Path
from urllib.parse import quote

import apsw
import orjson
import pytest
import zstandard

from tests.harness.canary import GRAM_CHARS, SLOTS, TOKEN_CHARS, Canaries, UnknownSlot


def planted() -> tuple[Canaries, bytes]:
    canaries = Canaries()
    return canaries, canaries.token("user_text").encode()


FORMS = {
    "plain": lambda token: token,
    "upper case": lambda token: token.upper(),
    "url": lambda token: "".join(f"%{byte:02X}" for byte in token).encode(),
    "quoted url": lambda token: quote(b'"' + token + b'"').encode(),
    "json": lambda token: "".join(f"\\u{byte:04x}" for byte in token).encode(),
    "json in json": lambda token: orjson.dumps(orjson.dumps(token.decode()).decode()),
    "hex": lambda token: token.hex().encode(),
    "odd hex": lambda token: b"a" + token.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 shifted by one": lambda token: base64.b64encode(b"x" + token + b"yz"),
    "base64 shifted by two": lambda token: base64.urlsafe_b64encode(b"xy" + token),
    "base64 in a word": lambda token: b"abc" + base64.b64encode(token),
    "gzip": gzip.compress,
    "gzip within bytes": lambda token: b"head" + gzip.compress(b"{" + token + b"}") + b"tail",
    "zlib": zlib.compress,
    "zstd": lambda token: zstandard.ZstdCompressor().compress(b"some text, then " + token),
    "base64 of gzip": lambda token: base64.b64encode(gzip.compress(token)),
    "gzip of base64 of hex": lambda token: gzip.compress(base64.b64encode(token.hex().encode())),
}


@pytest.mark.parametrize("form", FORMS)
def test_finds_a_token_in_every_form(form: str) -> None:
    canaries, token = planted()
    text = b'{"message": "' + FORMS[form](token) + b'"}'
    assert {hit.slot for hit in canaries.scan(texts={"log": text})} == {"user_text"}


@pytest.mark.parametrize("at", range(TOKEN_CHARS - GRAM_CHARS + 1))
def test_finds_any_twelve_characters_of_a_token(at: int) -> None:
    canaries, token = planted()
    assert canaries.scan(texts={"log": b"..." + token[at : at + GRAM_CHARS] + b"..."})


def test_does_not_see_what_is_not_there() -> None:
    canaries, token = planted()
    texts = {
        "log": token[: GRAM_CHARS - 1],
        "other": Canaries().token("user_text").encode(),
        "binary": bytes(range(256)),
    }
    assert canaries.scan(texts=texts) == []


def test_looks_for_planted_tokens_only() -> None:
    canaries = Canaries()
    assert canaries.idle == SLOTS
    canaries.plant("hello «system_text»")
    assert canaries.idle == SLOTS - {"system_text"}


def test_refuses_a_slot_that_is_not_registered() -> None:
    with pytest.raises(UnknownSlot, match="new_field"):
        Canaries().plant_json({"messages": [{"content": "«new_field»"}]})


def test_plants_in_keys_and_values() -> None:
    canaries = Canaries()
    body = orjson.loads(canaries.plant_json({"metadata": {"«metadata_key»": "x «metadata_value» y"}}))
    assert body == {"metadata": {canaries.token("metadata_key"): f"x {canaries.token('metadata_value')} y"}}


def test_scans_files_and_folders_also_databases(tmp_path: Path) -> None:
    canaries, token = planted()
    database = apsw.Connection(str(tmp_path / "journal.db"))
    database.pragma("journal_mode", "wal")
    database.execute("create table kept (body)")
    database.execute("insert into kept values (?)", (b"{" + token + b"}",))
    try:
        assert {Path(hit.where).name for hit in canaries.scan(paths=[tmp_path])} == {"journal.db-wal"}
    finally:
        database.close()
    assert {Path(hit.where).name for hit in canaries.scan(paths=[tmp_path])} == {"journal.db"}


def test_an_allowed_property_is_the_only_place_for_its_slot(tmp_path: Path) -> None:
    canaries = Canaries()
    model = canaries.token("output_model")
    kept = tmp_path / "events"
    kept.write_text(model)
    event = {"event": "ended", "distinct_id": "u", "properties": {"model": model, "finish_reason": model}}
    allowed = {"output_model": frozenset({"model"})}
    hits = canaries.scan(paths=[kept], texts={"log": model.encode()}, events=[event], allowed=allowed)
    assert sorted(hit.where for hit in hits) == ["ended.finish_reason", "log"]


def test_property_names_are_scanned_too() -> None:
    canaries, token = planted()
    hits = canaries.scan(events=[{"event": "e", "properties": {token.decode(): 1}}])
    assert [hit.slot for hit in hits] == ["user_text"]


def test_the_names_of_events_and_ids_are_scanned_too() -> None:
    canaries, token = planted()
    hits = canaries.scan(events=[{"event": "e", "distinct_id": token.decode(), "properties": {}}])
    assert [hit.where for hit in hits] == ["e.distinct_id"]
