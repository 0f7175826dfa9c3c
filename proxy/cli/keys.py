"""`promptlane keys`: make a proxy key, or the hash of one, for the `keys:` list of routing.yaml."""

import argparse
import os
import re
import secrets
import sys

from proxy.config import ConfigError, find_places, load_secret
from proxy.domain.credentials import PROXY_KEY_PREFIX
from proxy.domain.keys import key_hash

_KEY_BYTES = 24
_SHORTEST_KEY_CHARS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser("keys", help="make proxy keys and their hashes")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    new = verbs.add_parser("new", help="print a fresh key, once, and the line for routing.yaml")
    new.add_argument("alias", type=_name, help="what events call the key's owner")
    new.add_argument("--environment", type=_name, help="the environment of calls with this key")
    new.set_defaults(run=new_key)
    given = verbs.add_parser("hash", help="print the hash of a key read from standard input")
    given.set_defaults(run=hash_key)
    for verb in (new, given):
        verb.add_argument("--data", metavar="DIR", help="folder that keeps the secret (default: data/)")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("letters, digits, `_`, `.` and `-`, at most 64")
    return text


def fresh_key(data: str | None) -> tuple[str, str] | None:
    """A new proxy key and its hash for the file; None, with a message, where there is no secret to hash with."""
    secret = _secret(data)
    if secret is None:
        return None
    key = PROXY_KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    return key, key_hash(key, secret)


def new_key(args: argparse.Namespace) -> int:
    """Print the key and its line."""
    made = fresh_key(args.data)
    if made is None:
        return 2
    key, hashed = made
    environment = f", environment: {args.environment}" if args.environment else ""
    print(f"The key, shown this once:\n  {key}\n")
    print("Its line under `keys:` in routing.yaml:")
    print(f'  - {{alias: {args.alias}, hash: "{hashed}"{environment}}}')
    return 0


def hash_key(args: argparse.Namespace) -> int:
    """Print the hash of the first line of standard input."""
    key = sys.stdin.readline().strip()
    if len(key) < _SHORTEST_KEY_CHARS:
        print(f"a proxy key has at least {_SHORTEST_KEY_CHARS} characters", file=sys.stderr)
        return 2
    secret = _secret(args.data)
    if secret is None:
        return 2
    print(key_hash(key, secret))
    return 0


def _secret(data: str | None) -> bytes | None:
    """The installation's secret, which is made in the data folder where there is none yet."""
    try:
        return load_secret(os.environ, find_places(os.environ, data=data).data_dir)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return None
