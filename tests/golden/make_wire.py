"""Writes the recorded replies in `wire/` with their expectations: `python -m tests.golden.make_wire`.

Every expectation is stated by hand beside its body; nothing here runs the meter. The files are checked in, and
a test holds them to this script.
"""

import json
from pathlib import Path

from tests.golden.samples_chat_output import CHAT_OUTPUT
from tests.golden.samples_chat_usage import CHAT_USAGE
from tests.golden.samples_edges import EDGES
from tests.golden.samples_gemini import GEMINI
from tests.golden.samples_media import MEDIA
from tests.golden.samples_messages import MESSAGES
from tests.golden.samples_responses import RESPONSES
from tests.golden.wire_forms import Sample

WIRE = Path(__file__).parent / "wire"
SAMPLES: list[Sample] = [*CHAT_USAGE, *CHAT_OUTPUT, *RESPONSES, *MEDIA, *MESSAGES, *GEMINI, *EDGES]


def files() -> dict[str, bytes]:
    """Name and content of every file of the set."""
    made: dict[str, bytes] = {}
    for sample in SAMPLES:
        made[sample.file] = sample.body
        expected = json.dumps(sample.sidecar(), indent=1, ensure_ascii=False) + "\n"
        made[f"{sample.name}.expected.json"] = expected.encode()
    return made


if __name__ == "__main__":
    WIRE.mkdir(exist_ok=True)
    for stale in WIRE.iterdir():
        stale.unlink()
    for name, content in files().items():
        (WIRE / name).write_bytes(content)
    print(f"{len(SAMPLES)} samples in {WIRE.name}/")
