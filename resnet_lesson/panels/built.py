"""*What you have built*: exercises solved, parts kept, predictions and how they came out."""

from resnet_lesson import reader
from resnet_lesson.exercises import SERIES, mine
from resnet_lesson.words import listed

NOBODY = ("Nothing is recorded here. In a copy of your own, which `resnet-lesson lab` makes, this "
          "shows what you have solved, built and predicted.")


class Built:
    """The reader's record at a glance, read anew whenever it is shown."""

    @property
    def caption(self):
        """Return the record in up to three sentences; also the ``repr``."""
        if reader.place() is None:
            return NOBODY
        found, known = reader.summary(), mine.catalogue()
        said = [f"Exercises solved: {len(known.keys() & found['solved'])} of {len(known)}."]
        if found["parts"]:
            said.append(f"Parts of your network in my_resnet.py: {listed(found['parts'])}.")
        if found["predictions"]:
            said.append(f"Predictions: {found['predictions']} made, {found['measured']} of them "
                        f"measured, {found['held']} held.")
        return " ".join(said)

    def __repr__(self):
        """Return the caption."""
        return self.caption

    def _repr_markdown_(self):
        """Return the caption over a table of each notebook's exercises and parts."""
        found, rows = reader.summary(), {}
        for key, exercise in mine.catalogue().items():
            name = key.partition(".")[0]
            marks, parts = rows.setdefault(name, ([], []))
            marks.append("●" if key in found["solved"] else "○")
            if exercise.part:
                kept = "●" if exercise.part in found["parts"] else "○"
                parts.append(f"{kept} `{exercise.part}`")
        table = "".join(
            f"\n| {SERIES.get(name, '')} {name.replace('_', ' ')} | {' '.join(marks)} | "
            f"{' '.join(parts)} |" for name, (marks, parts) in rows.items())
        return (f"**What you have built.** {self.caption}\n\n| notebook | exercises, ● solved | "
                f"parts of your network, ● kept |\n|---|---|---|{table}")


def line():
    """Print the record in a line, for the end of a notebook."""
    print(Built())
