"""`promptlane login`: a fresh link to the dashboards, for whoever may read the proxy's secret."""

import argparse
import os
import sys
from urllib.parse import urlsplit

from proxy.app import login_link
from proxy.cli.data_folder import add_data, guarded
from proxy.cli.serve import DEFAULT_HOST, DEFAULT_PORT, show_problems
from proxy.config import ConfigError, load_secret
from proxy.domain.sessions import Seal

DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Offer the verb."""
    parser = subparsers.add_parser(
        "login",
        help="print a link that opens the dashboards, once, within an hour",
        description="Print a link that lets its first reader in as an admin, within an hour. It is made from the "
        "proxy's secret, so it takes the same data folder (or PROMPTLANE_SECRET), and the same "
        "PROMPTLANE_ADMIN_TOKEN and PROMPTLANE_VIEWER_TOKEN where the proxy has them.",
    )
    add_data(parser)
    parser.add_argument(
        "--url", default=DEFAULT_URL, type=_origin, help=f"where the browser reaches the proxy (default: {DEFAULT_URL})"
    )
    parser.set_defaults(run=guarded(login))


def login(args: argparse.Namespace) -> int:
    """Print the link alone, so that a command can open it."""
    try:
        secret = load_secret(os.environ, args.data)
    except ConfigError as error:
        return show_problems(error)
    tokens = (os.environ.get("PROMPTLANE_ADMIN_TOKEN") or None, os.environ.get("PROMPTLANE_VIEWER_TOKEN") or None)
    print(login_link(args.url, Seal(secret, *tokens)))
    if urlsplit(args.url).scheme == "http" and urlsplit(args.url).hostname not in ("127.0.0.1", "localhost", "::1"):
        print("Over plain HTTP others on the way can read this link, and the session after it.", file=sys.stderr)
    return 0


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise argparse.ArgumentTypeError(f"an address without a path, such as {DEFAULT_URL}")
    return f"{parts.scheme}://{parts.netloc}"
