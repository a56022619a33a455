from tomodistill.evaluation.table import Column, Interval, Link, Table

TABLE = Table(
    (Column("model"), Column("accuracy", ".2f"), Column("parameters", ",.0f")),
    [
        ["teacher", Interval(0.951, 0.9, 0.98), 18_316_599],
        ["s3, soft", None, 161_639],
    ],
)


def test_markdown_shows_numbers_as_its_columns_say():
    assert TABLE.markdown().splitlines() == [
        "| model | accuracy | parameters |",
        "| --- | --- | --- |",
        "| teacher | 0.95 (0.90 to 0.98) | 18,316,599 |",
        "| s3, soft | – | 161,639 |",
    ]


def test_csv_has_numbers_in_full_and_three_columns_for_an_interval():
    assert TABLE.csv().splitlines() == [
        "model,accuracy,accuracy_low,accuracy_high,parameters",
        "teacher,0.951,0.9,0.98,18316599",
        '"s3, soft",,,,161639',
    ]


def test_a_link_leads_somewhere_or_is_its_text():
    table = Table((Column("run"),), [[Link("a", "http://ui/a")], [Link("b", "")]])
    assert table.markdown().splitlines()[2:] == ["| [a](http://ui/a) |", "| b |"]
    assert table.csv().splitlines() == ["run,run_url", "a,http://ui/a", "b,"]
