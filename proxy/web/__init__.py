"""The HTTP edge: the only aiohttp.web code. It translates and decides nothing. `edge` holds the URL table."""
