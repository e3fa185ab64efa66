"""The instructor's key: every exercise with solution, mistakes, minutes and hints, on one page."""

import ast
import contextlib
import io
import linecache
from html import escape

from resnet_lesson.exercises import mine
from resnet_lesson.exercises.source import code_of, functions, source
from resnet_lesson.tools import copies

LEVELS = {1: "easy", 2: "medium", 3: "hard"}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>resnet-lesson: the instructor's key</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body {{font: 17px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em;
overflow-wrap: anywhere}}
pre {{background: #f4f4f4; padding: .6em; overflow-x: auto; font-size: 15px}}</style></head>
<body><h1>The instructor's key</h1><p>{count} exercises, about {minutes:g} minutes.</p>
{body}</body></html>
"""


def page():
    """Return the key as one HTML document that needs no other file."""
    found, body = mine.catalogue().values(), []
    for path in sorted(copies.shipped().glob("*.ipynb")):
        name = path.stem.partition("_")[2]
        here = [exercise for exercise in found if exercise.key.partition(".")[0] == name]
        body += [f"<h2>{path.stem}</h2>", *map(_section, here)] if here else []
    return PAGE.format(count=len(found), body="\n".join(body),
                       minutes=sum(exercise.minutes for exercise in found))


def _section(exercise):
    facts = f"{exercise.minutes:g} minutes, {LEVELS[exercise.difficulty]}"
    if exercise.part:
        facts += f"; becomes {exercise.part} of the reader's network"
    solution = io.StringIO()
    with contextlib.redirect_stdout(solution):
        exercise.solution()
    mistakes = "".join(f"<li>{escape(mistake.words)}{_code(_source(mistake.wrong))}</li>"
                       for mistake in exercise.mistakes)
    hints = "".join(f"<li>{escape(hint)}</li>" for hint in exercise.hints)
    return (f"<h3>{exercise.key}</h3><p>{facts}</p>{_code(solution.getvalue())}"
            f"<p>{escape(exercise.remark)}</p><h4>Mistakes, and the words they earn</h4>"
            f"<ol>{mistakes}</ol><h4>Hints</h4><ol>{hints}</ol>")


def _source(wrong):
    """Return the code of a wrong answer, and above it what it was made with, if anything."""
    if not functions(wrong) or wrong.__module__.startswith("torch"):
        return getattr(wrong, "__name__", repr(wrong))
    text, code = "".join(linecache.getlines(code_of(wrong).co_filename)), code_of(wrong)
    lambdas = [ast.get_source_segment(text, node) for node in ast.walk(ast.parse(text))
               if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
               and len(node.args.args) == code.co_argcount]
    text = lambdas[0] if code.co_name == "<lambda>" else source(wrong)
    made_with = {name: cell.cell_contents for function in functions(wrong) for name, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True)}
    lines = [f"{name} = {_source(value) if callable(value) else repr(value)}"
             for name, value in made_with.items() if name != "__class__"]
    return "\n".join([*lines, text])


def _code(source):
    return f"<pre>{escape(source.strip())}</pre>"
