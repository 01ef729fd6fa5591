"""What rich would print, as text."""

import rich.console

from tfmaskrcnn.support.tables import as_text, new_table


def test_in_a_notebook_too_a_table_is_text(monkeypatch):
    table = new_table("title", ["name"], ["number"])
    table.add_row("a", "1")
    plain = as_text(table)
    # Rich then displays by itself and leaves the file that it is to write into empty.
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    assert as_text(table) == plain and "title" in plain
