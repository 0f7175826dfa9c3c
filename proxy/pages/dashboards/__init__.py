"""The four dashboards. Each is a few figures and a few tiles; a tile is a function, so that its table can be asked for
alone."""

from proxy.pages.dashboards.board import Board as Board
from proxy.pages.dashboards.traffic import TRAFFIC

BOARDS = {board.key: board for board in (TRAFFIC,)}
