"""Tables and sentences are shown as markdown and as text."""

from resnet_lesson.figures import tables


def test_a_table_is_shown_as_markdown_and_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "display", lambda bundle, raw: shown.append(bundle))
    tables.show_table(["a", "long heading"], [[1, "x"], ["three", 4]])
    tables.show_table(["alone"], [])
    assert shown[0]["text/plain"] == "a      long heading\n1      x\nthree  4"
    assert shown[0]["text/markdown"].splitlines() == [
        "| a | long heading |", "| --- | --- |", "| 1 | x |", "| three | 4 |"]
    assert shown[1]["text/plain"] == "alone"


def test_sentences_are_shown_as_a_list(monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "display", lambda bundle, raw: shown.append(bundle))
    tables.say("one: 1\n" + "two " * 40)
    assert shown[0]["text/markdown"].startswith("- **one:** 1\n- two two")
    assert all(len(line) <= 96 for line in shown[0]["text/plain"].split("\n"))
    assert shown[0]["text/plain"].startswith("- one: 1\n- two")
