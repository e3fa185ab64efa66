"""The source of a function or class, wherever it was written, and the imports that it needs."""

import ast
import builtins
import inspect
import linecache
import symtable
import sys
import textwrap
import types

OWN = ("__main__", "__mp_main__", "my_resnet")   # where the reader's own things live
PLAIN = (bool, int, float, complex, str, bytes, type(None))
ALIASES = {"torch.nn": "from torch import nn", "torch.nn.functional":
           "from torch.nn import functional as F", "numpy": "import numpy as np"}


def source(thing):
    """Return the source of a function or class, also of one written in a notebook's cell.

    Raises:
        ValueError: there is none, as for what was made by ``exec`` or a lambda.
    """
    code, name = code_of(thing), getattr(thing, "__name__", repr(thing))
    if code is None or code.co_name == "<lambda>":
        raise ValueError(f"{name!r} has no source of its own; write it with def or class in a "
                         "cell that begins without %%")
    text = "".join(linecache.getlines(code.co_filename))
    for node in ast.walk(ast.parse(text)):
        if getattr(node, "name", None) == name and hasattr(node, "decorator_list"):
            first = min([node.lineno, *(line.lineno for line in node.decorator_list)])
            if first <= code.co_firstlineno <= node.end_lineno:
                lines = text.split("\n")[first - 1:node.end_lineno]
                return textwrap.dedent("\n".join(lines)) + "\n"
    raise ValueError(f"the source of {name} cannot be found; run its cell again")


def functions(thing):
    """Return a function, or those that a class's source defines, without what wraps them."""
    members = vars(thing).values() if inspect.isclass(thing) else [thing]
    members = [inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
               for member in members]
    return [member for member in members if isinstance(member, types.FunctionType)
            and member.__module__ == thing.__module__
            and linecache.getlines(member.__code__.co_filename)]


def code_of(thing):
    """Return the code of a function, or of a method that a class defines; ``None`` without one."""
    return next((function.__code__ for function in functions(thing)), None)


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
    theirs, origin = getattr(value, "__name__", name), getattr(value, "__module__", None) or ""
    if isinstance(value, PLAIN) or origin in OWN:
        return None
    homes = [where for where, module in list(sys.modules.items())
             if isinstance(module, types.ModuleType) and vars(module).get(theirs) is value
             and where not in OWN]
    homes = [where for where in homes if f"{origin}.".startswith(f"{where}.")] or homes
    if not homes:
        return None
    home = min(homes, key=lambda where: (where.count("."), where.startswith("_"), where))
    return f"from {home} import {theirs}" + ("" if theirs == name else f" as {name}")


def imports(thing):
    """Return the import lines that the source of a function or class needs, sorted."""
    used, known = names(source(thing)), namespace(thing)
    lines = [import_line(name, known[name]) for name in used if name in known]
    return sorted({line for line in lines if line})


def namespace(thing):
    """Return the global names that a function or a class sees."""
    return functions(thing)[0].__globals__


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
