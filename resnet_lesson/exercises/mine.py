"""The reader's own network: ``my_resnet.py`` grows out of accepted answers and is used again."""

import ast
import importlib
import inspect
import sys
import types

from resnet_lesson import exercises, reader
from resnet_lesson.exercises.base import Exercise
from resnet_lesson.exercises.guard import guarded, told
from resnet_lesson.exercises.source import functions, import_line, names, namespace, source

MODULE = "my_resnet"
FILE, BACKUP = f"{MODULE}.py", f"{MODULE}.backup.py"
HEADER = '"""My residual network: written in the notebooks of resnet-lesson, every part checked."""'
MAIN = "if __name__"  # stands for what the file does when it is run
AGAIN = "and check it again"
# the file trains by itself as soon as it holds these parts; it is the reader's to change
TRAINS = {"ResNet18", "accuracy", "train"}
PROGRAM = '''if __name__ == "__main__":
    splits = load_fashion_mnist("mini")   # "full" has eleven times the pictures
    torch.manual_seed(0)
    model = ResNet18(in_channels=1, num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    with tqdm(total=5 * math.ceil(len(splits.train) / 64), unit="step") as bar:
        optimizer.register_step_post_hook(lambda *_: bar.update())
        reached = train(model, optimizer, splits, epochs=5)
    print("validation accuracy after each epoch:", *reached)
    print("test accuracy:", accuracy(model, splits.test))'''
PROGRAM_IMPORTS = {"load_fashion_mnist": "from resnet_lesson.data import load_fashion_mnist",
                   "math": "import math", "torch": "import torch", "tqdm": "from tqdm import tqdm"}
_loaded = {}  # path → (text, module): parts of one file are to know each other


def catalogue():
    """Return every exercise by its key, in the order of the series."""
    modules = [importlib.import_module(f"{exercises.__name__}.{name}")
               for name in exercises.SERIES]
    return {value.key: value for module in modules for value in vars(module).values()
            if isinstance(value, Exercise)}


def parts():
    """Return the exercises whose answers are parts of the reader's network, by the part's name."""
    return {exercise.part: exercise for exercise in catalogue().values() if exercise.part}


# ---------------------------------------------------------------- an answer is kept


def keep(exercise, answer):
    """Write an accepted answer into ``my_resnet.py``; return a sentence about it, or ""."""
    folder = reader.place()
    if folder is None or getattr(answer, "__module__", None) == MODULE:
        return ""
    path, before = folder / FILE, ""
    try:
        with reader.alone(folder):
            if path.exists():
                before = path.read_text(encoding="utf-8")
            after = _with(before or HEADER, exercise.part, answer)
            if after != before:
                _see_that_it_passes(after, path, exercise)
                if before:
                    reader.write(folder / BACKUP, before)
                reader.write(path, after)
    except UnicodeDecodeError:
        return (f"It is not kept: {FILE} in {folder} is no UTF-8 text. Save it as UTF-8, or give "
                f"it another name, {AGAIN}.")
    except ValueError as why:
        return f"It is not kept in {FILE}: {why}."
    except OSError as error:
        return (f"It is not kept: {FILE} cannot be written in {folder} ({error.strerror}). Work in "
                f"a folder that you may write to, {AGAIN}.")
    except Exception as error:   # an answer may refuse to be looked at
        return f"It is not kept in {FILE}: to read its source raised {type(error).__name__}."
    reader.part(exercise.part, reader.KEPT)
    was = f"; the file as it was is {BACKUP}" if before and after != before else ""
    return f"It is kept in {FILE} as your {exercise.part}{was}."


def _see_that_it_passes(text, path, exercise):
    module, trouble = _run(text, path)
    if not trouble:
        verdict = exercise.judge(vars(module)[exercise.part])
        trouble = "" if verdict.right else verdict.words.rstrip(".")
    if trouble:
        raise ValueError(f"there, without the notebook around it, it does not pass ({trouble}); "
                         f"give it what it needs inside, or as arguments, {AGAIN}")


def _with(text, part, answer):
    """Return the text of ``my_resnet.py`` with an answer in it, each name defined once.

    Raises:
        ValueError: the answer or the file cannot be used: why, and what to do.
    """
    head, imports, body = _sections(text)
    others, held = set(parts()) - {part}, {name for name, _ in body}
    lines, definitions = _needed(part, answer, others)
    imports |= {name: line for name, line in lines.items() if name not in held}
    for name, code in definitions.items():
        if name in others & held:   # it passed its own check, which this one did not
            continue
        imports.pop(name, None)
        at = [i for i, (other, _) in enumerate(body) if other == name]
        if at:
            body[at[0]] = name, code
            body = [entry for i, entry in enumerate(body) if i not in at[1:]]
        else:   # before the part that asks for it
            ends = [i for i, (other, _) in enumerate(body) if other in (part, MAIN)]
            body.insert(min(ends, default=len(body)), (name, code))
    if {*TRAINS, MAIN} - {name for name, _ in body} == {MAIN}:
        body.append((MAIN, PROGRAM))
        imports |= PROGRAM_IMPORTS
    return _joined(head, imports, body)


def _sections(text):
    """Return what a file begins with, its imports (name → line) and the rest: (name, source)."""
    try:
        nodes = ast.parse(text, FILE).body
    except SyntaxError as error:
        raise ValueError(f"the file has a syntax error, {error}; mend it, or give the file "
                         f"another name, {AGAIN}") from None
    lines, done = text.split("\n"), 0
    head, imports, body = [], {}, []
    for node in nodes:
        chunk = "\n".join(lines[done:node.end_lineno]).strip("\n")  # with the comments before it
        if isinstance(node, ast.Import | ast.ImportFrom):
            start = "import" if isinstance(node, ast.Import) else f"from {node.module} import"
            imports |= {alias.asname or alias.name: f"{start} {ast.unparse(alias)}"
                        for alias in node.names}
            head += [line for line in lines[done:node.lineno - 1] if line]
        elif isinstance(node, ast.Expr) and not done:
            head.append(chunk)
        else:
            bound = getattr(node, "name", "")
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                bound = getattr(node.targets[0], "id", "")
            elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
                bound = MAIN
            body.append((bound, chunk))
        done = node.end_lineno
    rest = "\n".join(lines[done:]).strip("\n")
    return head, imports, body + ([("", rest)] if rest else [])


def _joined(head, imports, body):
    """Return the text of a file: what it says of itself, sorted imports, definitions."""
    lines = sorted(imports.values(), key=lambda line: (
        not line.startswith("from __future__"), line.startswith("from"), line))
    text, small = "\n".join([*head, "", *lines]).strip("\n"), False
    for _, code in body:   # single lines stand together, all else apart
        text += ("\n" if small and "\n" not in code else "\n\n\n") + code
        small = "\n" not in code
    return text + "\n"


def _needed(part, answer, others):
    """Return the imports (name → line) and definitions (name → source) that a part consists of."""
    name = getattr(answer, "__name__", "")
    if not (inspect.isfunction(answer) or inspect.isclass(answer)) or name == "<lambda>":
        raise ValueError(f"it has no name of its own; write {part} with def or class, {AGAIN}")
    if answer.__module__.split(".")[0] == "resnet_lesson":
        raise ValueError(f"{name} is the lesson's own; write yours in a cell, {AGAIN}")
    if name in others:
        raise ValueError(f"{name} is the name of another part; call it {part} {AGAIN}")
    imports, definitions = {}, {}
    _take(name, {name: answer}, imports, definitions, set())
    if name != part:
        definitions[part] = f"{part} = {name}"
    return imports, definitions


def _take(name, known, imports, definitions, begun):
    """Add what stands behind a name, and before it what that needs in turn."""
    if name not in known or name in begun:
        return
    value = known[name]
    begun.add(name)
    line, theirs = import_line(name, value), getattr(value, "__name__", "")
    if line:
        imports[name] = line
    elif theirs and getattr(value, "__module__", "") == MODULE:  # it came from part()
        if theirs != name:
            definitions[name] = f"{name} = {theirs}"
    else:
        if isinstance(value, type | types.FunctionType) and theirs == name:
            text, known = _written(value)
        else:
            text = _plain(name, value)
        for other in names(text):
            _take(other, known, imports, definitions, begun)
        definitions[name] = text


def _written(thing):
    """Return the source of a function or class and the names that it sees."""
    if "<locals>" in thing.__qualname__ or not functions(thing):
        raise ValueError(f"the source of {thing.__name__} cannot be found; write it at the left "
                         f"edge of a cell that begins without %%, {AGAIN}")
    text = source(thing).rstrip("\n")
    if ast.parse(text).body[0].decorator_list:
        raise ValueError(f"{thing.__name__} has a decorator, which may change all that its source "
                         f"says; write it without, {AGAIN}")
    return text, namespace(thing)


def _plain(name, value):
    """Return the line that gives a number, a text or a list of them its name."""
    text = repr(value)
    try:
        if len(text) < 1000 and ast.literal_eval(text) == value:
            return f"{name} = {text}"
    except (ValueError, SyntaxError):  # no such value
        pass
    raise ValueError(f"it uses {name} of the notebook, which is no function, class or plain "
                     f"value; give it as an argument, or make it inside, {AGAIN}")


# ---------------------------------------------------------------- it is used again


def part(name):
    """Return a part of the network, the reader's where it passes its check, or the lesson's.

    Prints which of the two it is, and why.

    Raises:
        ValueError: there is no such part.
    """
    known, folder = parts(), reader.place()
    if name not in known:
        raise ValueError(f"there is no part {name!r}; choose one of {', '.join(known)}")
    exercise = known[name]
    if folder is None:
        print(f"{name}: the lesson's own.")
        return exercise.solve
    module, trouble = _own(folder)
    found = getattr(module, name, None)
    if not trouble and found is None:
        trouble = f"{FILE} has none; a right answer to {exercise.key} puts it there"
    if not trouble:
        verdict = exercise.judge(found)
        if not verdict.right:
            trouble = f"yours in {FILE} fails its check: {verdict.words.rstrip('.')}"
        reader.part(name, trouble or reader.KEPT)
    print(f"{name}: the lesson's own, since {trouble}." if trouble
          else f"{name}: yours, from {FILE}.")
    return exercise.solve if trouble else found


def _own(folder):
    """Return the reader's file as a module, and what is wrong with it, in words."""
    path, remedy = folder / FILE, f"; mend it, or put {BACKUP} in its place"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, f"there is no {FILE} here yet"
    except (OSError, ValueError) as error:
        return None, f"{FILE} cannot be read ({error}){remedy}"
    if _loaded.get(path, ("", None))[0] != text:
        module, trouble = _run(text, path)
        if trouble:
            return None, f"{FILE} {trouble}{remedy}"
        _loaded[path] = text, module
    return _loaded[path][1], ""


def _run(text, path):
    """Run a text as the reader's module; return it, and what went wrong, in words."""
    module = types.ModuleType(MODULE)
    module.__file__ = str(path)
    try:
        code = compile(text, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        return None, f"has a syntax error, {error}"
    outcome = guarded(lambda: exec(code, vars(module)))
    if outcome.error is not None:
        return None, f"raises {type(outcome.error).__name__}: {told(outcome.error)}"
    if outcome.trouble:
        return None, f"does not end well ({outcome.trouble.rstrip('.')})"
    sys.modules[MODULE] = module
    return module, ""
