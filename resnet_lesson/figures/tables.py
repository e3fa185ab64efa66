"""Tables and sentences below a cell."""

import textwrap

from IPython.display import display


def show_table(headings, lines):
    """Show a table in the notebook; as text it stays readable without a browser."""
    cells = [[str(cell) for cell in line] for line in [headings, *lines]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(headings))]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)
                               ).rstrip() for line in cells)
    marked = ["| " + " | ".join(line) + " |" for line in cells]
    marked.insert(1, "|" + " --- |" * len(headings))
    display({"text/markdown": "\n".join(marked), "text/plain": text}, raw=True)


def say(text):
    """Show lines as a list in the notebook, bold up to a colon; as text each line is wrapped."""
    lines = text.split("\n")
    marked = ["**{}:** {}".format(*line.split(": ", 1)) if ": " in line else line
              for line in lines]
    display({"text/markdown": "\n".join(f"- {line}" for line in marked),
             "text/plain": "\n".join(textwrap.fill(line, 96, initial_indent="- ",
                                                   subsequent_indent="  ") for line in lines)},
            raw=True)
