"""The pages' process: answers requests on standard output that come on standard input, until that ends.

Both ways a frame is four bytes with its length, big-endian, and a pickle: of a `PageRequest`, and of a `PageReply`.
The first frame that it writes says only that it has looked through the store.
"""

import logging
import os
import sys
from pathlib import Path
from typing import BinaryIO

from proxy.adapters import logs
from proxy.adapters.analysis import open_analysis
from proxy.adapters.body_reader import framed, read_frame
from proxy.pages.request import PageReply
from proxy.pages.site import Site, utc_now

log = logging.getLogger(__name__)


def serve(data_dir: Path, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until there are no more requests. A page that cannot be made is a 500, and told of in the log."""
    with open_analysis(data_dir) as analysis:
        site = Site(data_dir, analysis, utc_now)
        replies.write(framed("ready"))
        replies.flush()
        while (request := read_frame(requests)) is not None:
            try:
                analysis.refresh()
                reply = site.answer(request)
            except Exception:
                log.exception("a page could not be made")
                reply = PageReply(status=500)
            replies.write(framed(reply))
            replies.flush()


if __name__ == "__main__":
    os.nice(10)  # who shares a core with the proxy lets it go first
    logs.configure("warning")
    serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
