"""Files that a verb makes for the operator: nothing is overwritten unasked."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.config.json_schema import schema_files


def may_write(folder: Path, names: Mapping[str, str], *, force: bool) -> bool:
    """False, with a message, where one of the files exists and `force` does not allow to replace it."""
    existing = [str(folder / name) for name in names if os.path.lexists(folder / name)]
    if not existing or force:
        return True
    for path in existing:
        print(f"{path}: this file exists", file=sys.stderr)
    print("nothing was written; name another folder with --dir, or replace with --force", file=sys.stderr)
    return False


def write_all(folder: Path, texts: Mapping[str, str]) -> bool:
    """Write each text under its name, and the schemas that they name; False, with a message, where the disk refuses."""
    schemas = schema_files()
    for name, text in {**texts, **schemas}.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"{path}: {os.strerror(error.errno or 0)}", file=sys.stderr)
            return False
        if name in texts:
            print(f"wrote {path}")
    print(f"wrote {folder / 'config' / 'schemas'}, by which an editor completes and checks them")
    return True
