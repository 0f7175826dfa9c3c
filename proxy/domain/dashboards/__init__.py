"""PostHog dashboards as data: what they hold (`definitions`), and what makes a project hold them (`plan`)."""

from proxy.domain.dashboards.definitions import DASHBOARDS
from proxy.domain.dashboards.experiment import experiment_dashboard
from proxy.domain.dashboards.tiles import Dashboard, Tile

__all__ = ["DASHBOARDS", "Dashboard", "Tile", "experiment_dashboard"]
