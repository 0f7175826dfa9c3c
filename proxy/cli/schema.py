"""`promptlane schema`: the JSON Schemas of the configuration files, for editors."""

import argparse
import os
import sys
from pathlib import Path

from proxy.config.json_schema import FILES, file_name, shipped_text

_USE = """\
JSON Schemas of the configuration files. With them, an editor with a YAML language server completes keys, shows
what they mean and marks mistakes.

  promptlane schema --out config/schemas   write all of them
  promptlane schema routing                print one: {names}

Then let each file begin with the line that names its schema, seen from the file's folder:

  config/routing.yaml     # yaml-language-server: $schema=schemas/routing.schema.json
  config/analytics.yaml   # yaml-language-server: $schema=schemas/analytics.schema.json
  config/prompts.yaml     # yaml-language-server: $schema=schemas/prompts.schema.json
  config/alerts.yaml      # yaml-language-server: $schema=schemas/alerts.schema.json
  pricing.yaml            # yaml-language-server: $schema=config/schemas/pricing.schema.json
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
        print(shipped_text(args.name) if args.name else _USE.format(names=", ".join(names)), end="")
        return 0
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = args.out / file_name(name)
            path.write_text(shipped_text(name), encoding="utf-8")
            print(path)
    except OSError as error:
        print(f"cannot write to {args.out}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return 1
    return 0
