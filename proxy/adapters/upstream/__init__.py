"""The HTTP clients behind the `Upstream` port: our own for speed, and aiohttp's to fall back on.

Laws of both: bodies are never decoded, redirects never followed, the environment's proxies and netrc never read, a
reply's head is held until its body begins, and every network error leaves as an `UpstreamError` whose text is ours.
"""

from proxy.adapters.upstream.native import NativeUpstream as NativeUpstream
from proxy.adapters.upstream.over_aiohttp import AiohttpUpstream as AiohttpUpstream
