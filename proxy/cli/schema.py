"""`promptlane schema`: the JSON Schemas of the configuration files, for editors."""

import argparse
import os
import sys
from pathlib import Path

from proxy.config.json_schema import FILES, file_name, schema_text

_USE = """\
JSON Schemas of the configuration files: {names}

  promptlane schema routing              print one
  promptlane schema --out config/schemas write all of them, as routing.schema.json and so on

An editor with a YAML language server then completes keys, shows what they mean and marks mistakes, where a file
begins with a line such as

  # yaml-language-server: $schema=schemas/routing.schema.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser("schema", help="print JSON Schemas of the configuration files, for editors")
    parser.add_argument("name", nargs="?", choices=FILES, help="the file to describe (default: tell how to use them)")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="write NAME.schema.json there, for all files or the one"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print, write, or tell how; 1 where the folder cannot be written."""
    names = [args.name] if args.name else list(FILES)
    if args.out is None:
        print(schema_text(args.name) if args.name else _USE.format(names=", ".join(names)), end="")
        return 0
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = args.out / file_name(name)
            path.write_text(schema_text(name))
            print(path)
    except OSError as error:
        print(f"cannot write to {args.out}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return 1
    return 0
