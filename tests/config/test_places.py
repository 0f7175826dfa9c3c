from pathlib import Path

import pytest

from proxy.config import ConfigError, find_places


def test_places_come_from_flags_then_variables_then_defaults(tmp_path: Path) -> None:
    assert find_places({}).config_dir == Path("config")
    assert (find_places({}).pricing_file, find_places({}).data_dir) == (Path("pricing.yaml"), Path("data"))
    (tmp_path / "p.yaml").write_text("")
    env = {"PROMPTLANE_CONFIG": str(tmp_path), "PROMPTLANE_PRICING": str(tmp_path / "p.yaml"), "PROMPTLANE_DATA": "d"}
    places = find_places(env)
    assert (places.config_dir, places.pricing_file, places.data_dir) == (tmp_path, tmp_path / "p.yaml", Path("d"))
    assert find_places(env, data="elsewhere").data_dir == Path("elsewhere")


def test_a_place_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_places({"PROMPTLANE_PRICING": "gone.yaml"}, config=str(tmp_path / "gone"))
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/gone: there is no such folder",
        "gone.yaml: there is no such file",
    ]


def test_a_place_that_cannot_be_looked_into_is_none(tmp_path: Path) -> None:
    """Here by its name's length; one that belongs to somebody else is alike."""
    folder = tmp_path / ("x" * 300)
    with pytest.raises(ConfigError, match=f"{folder}: there is no such folder"):
        find_places({}, config=str(folder))
