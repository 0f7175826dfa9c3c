import json
import zipfile
from pathlib import Path

import pytest

from proxy.config.litellm_map import MEMBER
from tools import prices


def test_a_map_that_is_not_the_pinned_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.writestr(MEMBER, "{}")
    assert prices.main(["--from", str(tmp_path / "x.whl")]) == 1
    (tmp_path / "litellm").mkdir()
    (tmp_path / MEMBER).write_text("{}")
    assert prices.main(["--from", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count(prices.MAP_SHA256) == 2


def test_the_checked_in_table_is_of_the_pinned_map_and_in_the_renderers_form() -> None:
    text = prices.TARGET.read_text()
    made = json.loads(text)
    assert made["provenance"]["sha256"] == prices.MAP_SHA256
    assert made["provenance"]["version"] == prices.VERSION
    assert prices.render(made["models"], made["provenance"]["taken_on"]) == text
