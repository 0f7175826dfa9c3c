"""`promptlane dashboards render`: the dashboards as pictures, from the records in the data folder."""

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from proxy.cli.data_folder import FAILED, WELL, age_in_s, guarded
from proxy.domain.dashboards import Dashboard


def render(args: argparse.Namespace, dashboards: tuple[Dashboard, ...]) -> int:
    """Write one file for each dashboard; 1 where a folder cannot be read or written."""
    return guarded(lambda given: _render(given, dashboards))(args)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What to draw, from when, and where to."""
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--format", choices=("png", "svg"), default="png", help="kind of picture (default png)")
    parser.add_argument(
        "--since", type=age_in_s, default="14d", metavar="AGE", help="length of the period, until now (default 14d)"
    )


def _render(args: argparse.Namespace, dashboards: tuple[Dashboard, ...]) -> int:
    from proxy.adapters.analysis import open_analysis  # DuckDB and the drawing engine take a while
    from proxy.adapters.insights import Insights
    from proxy.pages.charts import png, svg
    from proxy.pages.insight_pictures import dashboard_picture

    end = datetime.now(UTC)
    begin = end - timedelta(seconds=args.since)
    with open_analysis(args.data) as analysis:
        insights = Insights(analysis, [tile for dashboard in dashboards for tile in dashboard.tiles])
        for dashboard in dashboards:
            answers = {tile.slug: insights.answer(tile.query, begin, end) for tile in dashboard.tiles}
            spec = dashboard_picture(dashboard, answers)
            path = args.out / f"{dashboard.slug}.{args.format}"
            try:
                args.out.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(spec) if args.format == "png" else svg(spec).encode())
            except OSError as error:
                print(f"cannot write {path}: {os.strerror(error.errno or 0)}", file=sys.stderr)
                return FAILED
            print(path)
    return WELL
