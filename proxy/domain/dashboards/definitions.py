"""The dashboards that every project gets: four by theme, and one that answers questions across them."""

from proxy.domain.dashboards.agents import AGENTS
from proxy.domain.dashboards.latency_cost import LATENCY_AND_COST
from proxy.domain.dashboards.quality import QUALITY
from proxy.domain.dashboards.questions import QUESTIONS
from proxy.domain.dashboards.traffic import TRAFFIC

DASHBOARDS = (TRAFFIC, LATENCY_AND_COST, QUALITY, AGENTS, QUESTIONS)
