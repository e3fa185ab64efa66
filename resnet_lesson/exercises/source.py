"""The source of a function or class, wherever it was written, and the imports that it needs."""

import ast
import builtins
import importlib
import inspect
import linecache
import symtable
import textwrap
import types

ALIASES = {"torch.nn": "from torch import nn", "torch.nn.functional":
           "from torch.nn import functional as F", "numpy": "import numpy as np"}


def source(thing):
    """Return the source of a function or class, also of one written in a notebook's cell.

    Raises:
        ValueError: there is none, as for what was made by ``exec`` or a lambda.
    """
    code = code_of(thing)
    if code is None or code.co_name == "<lambda>":
        raise ValueError(f"{getattr(thing, '__name__', thing)!r} has no source of its own; write "
                         "it with def or class in a cell")
    text = "".join(linecache.getlines(code.co_filename))
    for node in ast.walk(ast.parse(text)) if text else ():
        if getattr(node, "name", None) == thing.__name__ and (
                node.lineno <= code.co_firstlineno <= node.end_lineno
                or node.decorator_list and node.decorator_list[0].lineno <= code.co_firstlineno):
            first = min([node.lineno, *(line.lineno for line in node.decorator_list)])
            lines = text.splitlines()[first - 1:node.end_lineno]
            return textwrap.dedent("\n".join(lines)) + "\n"
    raise ValueError(f"the source of {thing.__name__} cannot be found; run its cell again")


def code_of(thing):
    """Return the code of a function, or of a method that a class defines; ``None`` without one."""
    if inspect.isclass(thing):
        methods = [value for value in vars(thing).values() if isinstance(value, types.FunctionType)
                   and value.__qualname__.startswith(thing.__qualname__)]
        return methods[0].__code__ if methods else None
    return getattr(thing, "__code__", None)


def names(text):
    """Return the global names that a piece of source uses and does not define, sorted."""
    table = symtable.symtable(text, "<source>", "exec")
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()
           or symbol.is_imported()}
    used, tables = set(), [table]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {symbol.get_name() for symbol in table.get_symbols()
                 if symbol.is_global() or table.get_type() == "module" and symbol.is_referenced()}
    return sorted(used - own - set(vars(builtins)))


def import_line(name, value):
    """Return the line that imports a value under a name; ``None`` for what no module holds."""
    if isinstance(value, types.ModuleType):
        where = value.__name__
        usual = ALIASES.get(where, f"import {where}")
        if usual.split()[-1] == name:
            return usual
        package, _, last = where.rpartition(".")
        if package and last == name:
            return f"from {package} import {name}"
        return f"import {where} as {name}"
    where = getattr(value, "__module__", None)
    if not isinstance(where, str) or where == "__main__":
        return None
    try:
        if getattr(importlib.import_module(where), name, None) is value:
            return f"from {where} import {name}"
    except ImportError:
        pass
    return None


def imports(thing):
    """Return the import lines that the source of a function or class needs, sorted."""
    code, known = code_of(thing), namespace(thing)
    lines = [import_line(name, known[name]) for name in names(source(thing)) if name in known]
    return sorted({line for line in lines if line}) if code else []


def namespace(thing):
    """Return the global names that a function or a class sees."""
    if inspect.isclass(thing):
        thing = next(value for value in vars(thing).values()
                     if isinstance(value, types.FunctionType))
    return thing.__globals__


def slip(solve, *edits):
    """Return a wrong answer: the solution with each (old, new) piece of its source replaced.

    Raises:
        ValueError: a piece that the solution does not contain.
    """
    text = source(solve)
    for old, new in edits:
        if old not in text:
            raise ValueError(f"{solve.__name__} does not contain {old!r}; quote its source")
        text = text.replace(old, new)
    where = f"<a slip in {solve.__name__}: {edits}>"
    linecache.cache[where] = len(text), None, text.splitlines(keepends=True), where
    space = dict(namespace(solve))
    exec(compile(text, where, "exec"), space)
    return space[solve.__name__]
