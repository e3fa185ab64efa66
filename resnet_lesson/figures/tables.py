"""Tables and sentences below a cell, and as text that needs no browser."""

import textwrap

from IPython.display import display


def aligned(lines):
    """Return lines of strings, all of one length, as text whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def show_table(headings, lines):
    """Show a table in the notebook: ``headings``, and a list of as many cells for each line."""
    cells = [[str(cell) for cell in line] for line in (headings, *lines)]
    marked = ["| " + " | ".join(line) + " |" for line in cells]
    marked.insert(1, "|" + " --- |" * len(headings))
    display({"text/markdown": "\n".join(marked), "text/plain": aligned(cells)}, raw=True)


def say(text):
    """Show lines as a list in the notebook, bold up to a colon; as text each line is wrapped."""
    marked, wrapped = [], []
    for line in text.split("\n"):
        start, colon, rest = line.partition(": ")
        marked.append(f"- **{start}:** {rest}" if colon else f"- {line}")
        wrapped.append(textwrap.fill(line, 96, initial_indent="- ", subsequent_indent="  "))
    display({"text/markdown": "\n".join(marked), "text/plain": "\n".join(wrapped)}, raw=True)
