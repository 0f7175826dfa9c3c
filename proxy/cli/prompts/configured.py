"""The configured prompts, for the verbs that look at them."""

import argparse
import os
import sys
from pathlib import Path

from proxy.config import ConfigError, Configuration, find_places
from proxy.config.load import load


def add_config(parser: argparse.ArgumentParser) -> None:
    """Where the configuration is."""
    parser.add_argument("--config", metavar="DIR", help="folder of prompts.yaml (default: config/)")
    parser.add_argument("--pricing", metavar="FILE", help="your prices (default: pricing.yaml)")


def loaded(args: argparse.Namespace) -> tuple[Path, Configuration] | None:
    """The folder and what is configured; None where it is not valid, with every problem told."""
    try:
        places = find_places(os.environ, config=args.config, pricing=args.pricing)
        return places.config_dir, load(places.config_dir, places.pricing_file, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return None
