"""Whole configurations of LiteLLM beside what becomes of them.

`python -m tests.config.test_litellm_cases` writes what is expected anew; read the diff.
"""

from contextlib import chdir
from pathlib import Path

import pytest

from proxy.config.litellm import Translation, Verdict, listing, read, translate
from tests.config.litellm_loading import problems_of

CASES = sorted(path for path in (Path(__file__).parent / "litellm_cases").iterdir() if path.is_dir())
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def translated(case: Path) -> Translation:
    with chdir(case):
        return translate(read(Path("config.yaml")))


def outputs(case: Path) -> dict[str, str]:
    """What the command writes and says, by file name."""
    translation = translated(case)
    said = [
        line
        for verdict in Verdict
        for line in (f"{verdict.value}:", *(f"  {line}" for line in listing(translation.remarks, verdict)), "")
    ]
    texts = {
        "routing.yaml": translation.routing,
        "pricing.yaml": translation.pricing,
        "remarks.txt": "\n".join(said).rstrip() + "\n",
    }
    return {name: text for name, text in texts.items() if text is not None}


@each_case
def test_a_case_becomes_what_stands_beside_it(case: Path) -> None:
    written = {path.name: path.read_text() for path in case.iterdir() if path.name not in ("config.yaml", "more.yaml")}
    assert outputs(case) == written


@each_case
def test_a_case_loads(case: Path) -> None:
    assert problems_of(translated(case)) == []


def test_no_secret_of_the_input_comes_out() -> None:
    case = next(case for case in CASES if case.name == "secrets")
    everything = "".join(outputs(case).values())
    assert "swordfish" not in everything
    assert "AAAA1111" not in everything
    assert "BBBB2222" not in everything


def rewrite() -> None:
    for case in CASES:
        for path in case.iterdir():
            if path.name not in ("config.yaml", "more.yaml"):
                path.unlink()
        for name, text in outputs(case).items():
            (case / name).write_text(text)


if __name__ == "__main__":
    rewrite()
