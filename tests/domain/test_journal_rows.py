from proxy.domain.journal_rows import Closing, JournalEvent, Opening


def test_no_row_shows_its_bytes() -> None:
    event = JournalEvent(uuid="u", name="llm_request_started", body=b'{"secret":1}')
    opening = Opening(exchange_id="x", trace_id="t", facts=b'{"secret":2}', events=(event,))
    closing = Closing(exchange_id="x", trace_id="t", ended_unix_us=1, events=(event,), record=b'{"secret":3}')
    assert "secret" not in repr((opening, closing))
