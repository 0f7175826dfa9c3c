"""Take the o200k_base vocabulary out of a pinned package and check it in, compressed, with its provenance.

tiktoken downloads its vocabularies at first use; a proxy must not. litellm ships the same file inside its wheel,
in the form of tiktoken's download cache. The wheel is pinned by its hash and the vocabulary by the hash that
tiktoken itself demands, so neither package nor index has to be trusted.

Run from the repository's root: python -m tools.vocabulary
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import zstandard

WHEEL = "litellm-1.109.1-cp310-abi3-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "1c8b4dd671fa0cd0850aa751678704ff77e595fb1e6085b2dc3be39ee19bdaaf"
REQUIREMENT = f"litellm==1.109.1 --hash=sha256:{WHEEL_SHA256}\n"
URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
"""Where tiktoken would fetch it; its cache names a file by the SHA-1 of the address."""
MEMBER = f"litellm/litellm_core_utils/tokenizers/{hashlib.sha1(URL.encode()).hexdigest()}"
VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""As `tiktoken_ext.openai_public.o200k_base` expects it."""
DATA = Path("proxy/data")


def main() -> int:
    """Write `o200k_base.tiktoken.zst` and its sidecar `o200k_base.json`."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_download(Path(folder))) as wheel:
        vocabulary = wheel.read(MEMBER)
    found = hashlib.sha256(vocabulary).hexdigest()
    if found != VOCABULARY_SHA256:
        print(f"the vocabulary's SHA-256 is {found}, not {VOCABULARY_SHA256}", file=sys.stderr)
        return 1
    packed = zstandard.ZstdCompressor(level=22).compress(vocabulary)
    (DATA / "o200k_base.tiktoken.zst").write_bytes(packed)
    (DATA / "o200k_base.json").write_text(json.dumps(_sidecar(), indent=2) + "\n")
    print(f"{len(vocabulary):,} bytes of vocabulary written as {len(packed):,}")
    return 0


def _download(folder: Path) -> Path:
    """Fetch the one wheel, the same on every platform; pip refuses any other hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11"]
    command += ["--require-hashes", f"--requirement={requirements}", f"--dest={folder}"]
    subprocess.run(command, check=True)
    return folder / WHEEL


def _sidecar() -> dict[str, object]:
    return {
        "encoding": "o200k_base",
        "vocabulary_sha256": VOCABULARY_SHA256,
        "vocabulary_source": URL,
        "taken_from": WHEEL,
        "taken_from_sha256": WHEEL_SHA256,
        "member": MEMBER,
        "licence": "MIT (tiktoken, OpenAI; litellm, BerriAI)",
        "compression": "zstandard, level 22",
        "made_by": "python -m tools.vocabulary",
    }


if __name__ == "__main__":
    sys.exit(main())
