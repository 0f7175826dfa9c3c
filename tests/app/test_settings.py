"""What a configuration means to the parts of a worker, and where the worker listens."""

import socket
from collections.abc import Mapping
from pathlib import Path

from proxy.app.settings import Settings, journal_settings, listen, posthog_settings, snapshot_of
from proxy.config.load import load

SECRET = b"0123456789abcdef"


def test_no_secret_is_in_a_repr() -> None:
    settings = Settings(host="h", port=1, data_dir=Path(), secret=b"hidden", admin_token="hidden")
    assert "hidden" not in repr(settings)


def test_workers_share_the_operator_s_bounds(tmp_path: Path) -> None:
    configuration = load(tmp_path / "none", tmp_path / "none.yaml", {})
    settings = Settings(host="h", port=1, data_dir=tmp_path, secret=SECRET, worker=1, worker_count=4)
    shared = journal_settings(configuration, settings)
    bounds: Mapping[str, int] = {
        "outbox_max_bytes": configuration.analytics.outbox.max_bytes,
        "store_max_bytes": configuration.analytics.store.max_bytes,
    }
    assert {name: getattr(shared, name) for name in bounds} == {name: whole // 4 for name, whole in bounds.items()}
    assert (shared.worker, shared.directory) == (1, tmp_path)


def test_without_a_key_there_is_no_destination(tmp_path: Path) -> None:
    configuration = load(tmp_path / "none", tmp_path / "none.yaml", {})
    assert posthog_settings(configuration) is None


def test_traces_are_shown_here_unless_configuration_says_where(tmp_path: Path) -> None:
    configuration = load(tmp_path / "none", tmp_path / "none.yaml", {})
    snapshot = snapshot_of(configuration, SECRET, "http://127.0.0.1:4000")
    assert snapshot.events.trace_url_of("trace/1") == "http://127.0.0.1:4000/ui/traces/trace%2F1"


def test_versions_are_inferred_at_once_unless_a_prompt_may_still_be_rolled_out(tmp_path: Path) -> None:
    def infers() -> bool:
        return snapshot_of(load(tmp_path, tmp_path / "none.yaml", {}), SECRET, "").identity.infers_version

    assert infers()
    (tmp_path / "prompts.yaml").write_text("version: 1\nprompts: {p: {versions: {a: {system: Hi.}}}}\n")
    assert not infers()
    (tmp_path / "prompts.yaml").unlink()
    (tmp_path / "analytics.yaml").write_text("version: 1\nfingerprint: {infer_version: false}\n")
    assert not infers()


def test_workers_share_one_port_and_one_alone_does_not(tmp_path: Path) -> None:
    def reuses_port(worker_count: int) -> bool:
        settings = Settings(host="127.0.0.1", port=0, data_dir=tmp_path, secret=SECRET, worker_count=worker_count)
        with listen(settings) as listening:
            return bool(listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))

    assert (reuses_port(1), reuses_port(2)) == (False, True)
