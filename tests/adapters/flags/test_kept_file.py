import stat

import pytest

from proxy.adapters.flags.fetch import Project
from proxy.adapters.flags.kept_file import FILE_NAME, Kept, read_kept, write_kept
from proxy.domain.flag_definitions import kept_of
from tests.harness.flags import definitions, flag

PROJECT = Project(host="https://eu.i.posthog.com", api_key="phc_ours", secret_key="phs_hidden")
KEPT = Kept(kept_of(definitions(flag("answers", variants={"a": 50, "b": 50}))), 'W/"1"')


def test_what_is_written_is_read_by_its_project_alone(tmp_path):
    path = tmp_path / FILE_NAME
    write_kept(path, PROJECT, KEPT)
    assert read_kept(path, PROJECT) == KEPT
    other = Project(host=PROJECT.host, api_key="phc_theirs", secret_key="phs_hidden")
    assert read_kept(path, other) is None


def test_the_file_is_for_its_owner_and_holds_no_key(tmp_path):
    path = tmp_path / FILE_NAME
    write_kept(path, PROJECT, KEPT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not {b"phc_", b"phs_"} & {path.read_bytes()[at : at + 4] for at in range(path.stat().st_size)}
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b'{"v":2}', b"\xff", b'{"v":1,"project":'])
def test_a_file_that_is_none_is_of_no_use(tmp_path, raw):
    path = tmp_path / FILE_NAME
    path.write_bytes(raw)
    assert read_kept(path, PROJECT) is None


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw.replace(b'"flags":[', b'"flogs":[')])
def test_a_damaged_file_is_of_no_use(tmp_path, damage):
    path = tmp_path / FILE_NAME
    write_kept(path, PROJECT, KEPT)
    path.write_bytes(damage(path.read_bytes()))
    assert read_kept(path, PROJECT) is None


def test_where_it_cannot_be_written_nothing_is_left_behind(tmp_path):
    (tmp_path / FILE_NAME / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_kept(tmp_path / FILE_NAME, PROJECT, KEPT)
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]
