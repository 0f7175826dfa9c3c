import duckdb
import pytest

from proxy.adapters.insights.hogql import FILTERS, MACROS, as_sql


@pytest.mark.parametrize(
    ("hogql", "sql"),
    [
        ("quantile(0.95)(toFloat(properties.a))", "quantile_cont(toFloat(properties.a), 0.95)"),
        (
            "quantileIf(0.95)(toFloat(properties.a), event = 'x')",
            "quantile_cont(toFloat(properties.a), 0.95) FILTER (WHERE event = 'x')",
        ),
        ("round(quantile(0.5)(f(g(a))), 1)", "round(quantile_cont(f(g(a)), 0.5), 1)"),
        ("any(properties.a)", "any_value(properties.a)"),
        ("company(a)", "company(a)"),
        ("properties.`$feature/a-b`", 'properties."$feature/a-b"'),
        ("properties.$feature_flag = 'a'", "properties.\"$feature_flag\" = 'a'"),
        ("groupUniqArray(5)(a)", "list_sort(list(DISTINCT a))[:5]"),
        ("WHERE {filters}", f"WHERE {FILTERS}"),
    ],
)
def test_what_our_tiles_use(hogql: str, sql: str) -> None:
    assert as_sql(hogql) == sql


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("uniq(x)", 2),
        ("uniqIf(x, y > 1)", 1),
        ("countIf(y > 1)", 2),
        ("sumIf(y, x = 'a')", 1),
        ("avgIf(y, x = 'b')", 2.5),
        ("argMax(x, y)", "b"),
        ("argMin(x, y)", "a"),
        ("max(toFloat('1.5'))", 1.5),
        ("max(toFloat('none'))", None),
        ("max(ifNull(NULL, 3))", 3),
        ("max(toString(1))", "1"),
        ("max(multiIf(y < 0, 'p', y < 2, 'q', y < 3, 'r', 's'))", "s"),
    ],
)
def test_functions_of_clickhouse(expression: str, value: object) -> None:
    with duckdb.connect() as connection:
        for macro in MACROS:
            connection.execute(f"CREATE TEMP MACRO {macro}")
        rows = "SELECT * FROM (VALUES ('a', 1), ('b', 2), ('b', 3)) AS rows(x, y)"
        assert connection.execute(f"SELECT {expression} FROM ({rows})").fetchall() == [(value,)]
