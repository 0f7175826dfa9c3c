from pathlib import Path

from proxy.adapters.journal import JournalSettings


def test_the_defaults_are_those_of_the_configuration() -> None:
    settings = JournalSettings(directory=Path("data"))
    assert settings.outbox_max_bytes == 1 << 30
    assert settings.outbox_max_age_s == 7 * 24 * 3600
    assert settings.commit_ms == 40
    assert settings.store_max_bytes == 20 << 30
    assert settings.store_max_age_s == 90 * 24 * 3600
