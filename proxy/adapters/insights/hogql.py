"""The HogQL of our own tiles as DuckDB's SQL.

HogQL is ClickHouse's SQL with properties. Most functions that we use become macros, once for a connection; three
spellings that DuckDB cannot read are rewritten. It is no translator of HogQL: what our tiles do not use is not here.
"""

import re

MACROS = (
    "toFloat(x) AS TRY_CAST(x AS DOUBLE)",
    "toString(x) AS CAST(x AS VARCHAR)",
    "ifNull(x, other) AS coalesce(x, other)",
    "uniq(x) AS count(DISTINCT x)",
    "uniqIf(x, c) AS count(DISTINCT x) FILTER (WHERE c)",
    "countIf(c) AS count(*) FILTER (WHERE c)",
    "sumIf(x, c) AS sum(x) FILTER (WHERE c)",
    "avgIf(x, c) AS avg(x) FILTER (WHERE c)",
    "argMax(x, y) AS arg_max(x, y)",
    "argMin(x, y) AS arg_min(x, y)",
    "multiIf(a, x, z) AS CASE WHEN a THEN x ELSE z END,"
    " (a, x, b, y, z) AS CASE WHEN a THEN x WHEN b THEN y ELSE z END,"
    " (a, x, b, y, c, w, z) AS CASE WHEN a THEN x WHEN b THEN y WHEN c THEN w ELSE z END,"
    " (a, x, b, y, c, w, d, v, z) AS"
    " CASE WHEN a THEN x WHEN b THEN y WHEN c THEN w WHEN d THEN v ELSE z END",
)
"""Bodies of `CREATE MACRO`."""
FILTERS = '("timestamp" >= $begin AND "timestamp" < $end)'
_ARGUMENT = r"((?:[^()]|\((?:[^()]|\([^()]*\))*\))*?)"
"""Text with brackets in pairs, two deep."""
_REWRITES = (
    (
        re.compile(rf"quantileIf\(([\d.]+)\)\({_ARGUMENT}, ({_ARGUMENT[1:-1]})\)"),
        r"quantile_cont(\2, \1) FILTER (WHERE \3)",
    ),
    (re.compile(rf"quantile\(([\d.]+)\)\({_ARGUMENT}\)"), r"quantile_cont(\2, \1)"),
    (re.compile(rf"groupUniqArray\((\d+)\)\({_ARGUMENT}\)"), r"list_sort(list(DISTINCT \2))[:\1]"),
    (re.compile(r"\bany\("), "any_value("),
    (re.compile(r"`([^`]+)`"), r'"\1"'),
    (re.compile(r"\bproperties\.(\$[\w/.-]*\w)"), r'properties."\1"'),
    (re.compile(r"\{filters\}"), FILTERS),
)


def as_sql(hogql: str) -> str:
    """The same in DuckDB's words, with `$begin` and `$end` as parameters where it follows the dashboard's dates."""
    for pattern, instead in _REWRITES:
        hogql = pattern.sub(instead, hogql)
    return hogql
