"""The four dashboards.

Each is a few figures and a few tiles; a tile is a function, so that its table can be asked for alone.
"""

from proxy.pages.dashboards.agents import AGENTS
from proxy.pages.dashboards.board import Board as Board
from proxy.pages.dashboards.latency import LATENCY_AND_COST
from proxy.pages.dashboards.quality import QUALITY
from proxy.pages.dashboards.traffic import TRAFFIC

BOARDS = {board.key: board for board in (TRAFFIC, LATENCY_AND_COST, QUALITY, AGENTS)}
"""By the name in an address, in the order in which they are offered."""
