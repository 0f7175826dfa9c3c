"""What a walk makes of a page."""

from pathlib import Path

import pytest

from tests.harness.pages import Block
from tests.harness.walk import Walk, afterwards, is_said

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("expected", "is_right"),
    [
        ("one\ntwo", True),
        ("two\n", True),
        ("o…e\ntwo", True),
        ("one\n…\nfour", True),
        ("one\nthree", False),
        ("on", False),
        ("one\n…\nfive", False),
    ],
)
def test_what_is_printed_is_compared_by_lines(expected: str, is_right: bool) -> None:
    assert is_said(expected, "one\ntwo\nthree\nfour\n") is is_right


def test_a_diff_reads_as_it_leads_to() -> None:
    assert afterwards(" a\n-b\n+c\n\n d\n") == "a\nc\n\nd\n"


async def test_exports_and_the_folder_last_and_keys_are_filled_in(tmp_path: Path) -> None:
    async with Walk(tmp_path, NOBODY, NOBODY) as walk:
        walk.values["UUID"] = "12"
        await walk.follow(Block("sh", "export KEY=sk-…\nmkdir here && cd here\n"))
        await walk.follow(Block("sh", "echo $KEY UUID\n"))
        assert walk.said == "sk-test 12\n"
        assert walk.folder.name == "here"
        await walk.follow(Block("python", "import os\nprint(os.environ['KEY'])\n"))
        await walk.follow(Block("text", "sk-t…\n", is_output=True))


@pytest.mark.parametrize(
    "block",
    [
        Block("sh", "false\ntrue\n"),
        Block("sh", "echo $nowhere\n"),
        Block("sh", "make nothing\n"),
        Block("text", "x\n", is_output=True),
    ],
)
async def test_a_step_that_fails_fails(block: Block, tmp_path: Path) -> None:
    async with Walk(tmp_path, NOBODY, NOBODY) as walk:
        with pytest.raises(AssertionError):
            await walk.follow(block)
