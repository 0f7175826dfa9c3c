"""PostHog's insights of our own dashboards, answered by the records that are kept here.

    events     one table of events, as PostHog would hold them, over the kept records
    hogql      our HogQL as DuckDB's SQL: what our tiles use of it, and no more
    answers    a tile's query to columns and rows

For the command line and for tests, which so see that every tile asks for something that can be answered.
"""

from proxy.adapters.insights.answers import Answer as Answer
from proxy.adapters.insights.answers import Insights as Insights
