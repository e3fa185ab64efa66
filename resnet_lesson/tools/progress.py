"""What readers' records say: one reader's progress, and a class's, exercise by exercise."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

from resnet_lesson import reader
from resnet_lesson.exercises import mine

COLUMNS = ("exercise", "solved", "checks", "wrong")


def rows(record):
    """Return a row for each exercise of the lesson, as in ``COLUMNS``; ``wrong`` is a dict."""
    blank = {"solved": "", "checks": 0, "wrong": {}}
    return [{"exercise": key, **record["exercises"].get(key, blank)} for key in mine.catalogue()]


def as_csv(record):
    """Return a record as CSV, one row an exercise; ``wrong`` is JSON: words and how often."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(record):
        writer.writerow(row | {"wrong": json.dumps(row["wrong"], ensure_ascii=False)})
    return text.getvalue()


def as_text(record):
    """Return a record as people read it; of an empty one, nothing."""
    lines = [f"{row['exercise']:<36}{row['solved'] or 'not yet':<18}{row['checks']:>3} checks"
             for row in rows(record) if row["checks"]]
    lines += [f"{name:<36}{entry['status']}" for name, entry in record["parts"].items()]
    lines += [f"{question} You said: {guess['choice']}. Measured: {guess['outcome'] or 'not yet'}."
              for question, guess in record["predictions"].items()]
    return "\n".join(lines)


def read_rows(path):
    """Return the rows of one reader's file, a record or its CSV; none where it is neither."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            record = json.loads(text)
            return rows(record) if reader.sound(record) else []
        return [{**row, "checks": int(row["checks"]), "wrong": Counter(json.loads(row["wrong"]))}
                for row in csv.DictReader(io.StringIO(text))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def joined(folder):
    """Return, for a folder of readers' files, how each exercise went, and what was left out.

    Raises:
        ValueError: there is no such folder, or no file of a reader in it.
    """
    if not Path(folder).expanduser().is_dir():
        raise ValueError(f"{folder} is no folder; name the one with your readers' files")
    files = {path: read_rows(path) for path in sorted(Path(folder).expanduser().rglob("*"))
             if path.suffix in (".csv", ".json") and not path.name.startswith(".")}
    if not any(files.values()):
        raise ValueError(f"{folder} holds no file of a reader; collect there what `resnet-lesson "
                         "progress --csv` writes, a file for each")
    lines, table = [f"{sum(map(bool, files.values()))} readers", ""], {}
    for row in (row for found in files.values() for row in found):
        table.setdefault(row["exercise"], []).append(row)
    for key, found in table.items():
        lines.append(f"{key}: solved by {sum(bool(row['solved']) for row in found)}, tried by "
                     f"{sum(row['checks'] > 0 for row in found)}")
        wrong = sum((Counter(row["wrong"]) for row in found), Counter())
        lines += [f"    {count} × {words}" for words, count in wrong.most_common()]
    return "\n".join(lines + [f"Left out, since no record of a reader: {path}"
                              for path, found in files.items() if not found])
