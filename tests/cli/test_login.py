from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config import load_secret
from proxy.domain.sessions import Seal
from tests.pages.conftest import NOW
from tests.pages.seeding import seed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    seed(tmp_path, calls=1, end=NOW)
    return tmp_path


def test_a_link_is_printed_alone(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLANE_ADMIN_TOKEN", "an-admin-token")
    assert main(["login", "--data", str(data)]) == 0
    told = capsys.readouterr()
    origin, _, link = told.out.strip().partition("/ui/login?link=")
    assert (origin, told.err) == ("http://127.0.0.1:4000", "")
    until_s = int(link.split(".")[1])
    assert Seal(load_secret({}, data), "an-admin-token", None).link_id(link, until_s - 1)
    assert not Seal(load_secret({}, data), None, None).link_id(link, until_s - 1)


@pytest.mark.parametrize(("url", "is_warned"), [("http://proxy.test", True), ("https://proxy.test/", False)])
def test_a_link_that_others_could_read_is_warned_of(
    url: str, is_warned: bool, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", "--data", str(data), "--url", url]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"{url.rstrip('/')}/ui/login?link=")
    assert bool(told.err) is is_warned


@pytest.mark.parametrize("url", ["proxy.test", "ftp://proxy.test", "http://", "http://proxy.test/ui"])
def test_an_address_that_is_none_is_misuse(url: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["login", "--data", str(data), "--url", url])
    assert left.value.code == 2
    assert "address without a path" in capsys.readouterr().err


def test_a_folder_without_a_journal_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", "--data", str(tmp_path)]) == 1
    assert "There is no journal" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
