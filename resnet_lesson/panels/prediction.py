"""``Prediction``: the reader chooses before a measurement and sees both after it."""

import html
import re

import ipywidgets as widgets

from resnet_lesson import figures, reader
from resnet_lesson.panels.base import LOOKS, WIDGET_VIEW


class Prediction(widgets.VBox):
    """A question with a few answers to choose from, and later the measured one beside it.

    Args:
        question: a sentence.
        options: the possible answers, at least two, all different.

    Use: show it in a cell of its own before the measurement. After the measurement call
    ``compare(answer, evidence)``, which shows the same object again, in both places. Whoever ran
    all cells at once can still choose: the live view holds the verdict back until then. The
    caption never does, since whoever reads a printed or exported notebook cannot choose.

    Attributes:
        choice: what the reader chose, or ``None``.
        measured: the option that the measurement supports, or ``None`` before ``compare``.
        caption: the state in words; also its ``repr``.

    Raises:
        ValueError: fewer than two options, or two that are equal.
    """

    def __init__(self, question, options):
        options = [str(option) for option in options]
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError("a prediction needs at least two different options, "
                             f"got {options}")
        self.question, self.options = question, options
        self.measured, self.evidence = None, ""
        self._radio = widgets.RadioButtons(options=options, value=None, tooltip=question,
                                           layout=widgets.Layout(width="auto"))
        earlier = reader.read()["predictions"].get(question, {})
        if earlier.get("choice") in options:
            self.choice = earlier["choice"]
            self.measured = earlier["outcome"] if earlier["outcome"] in options else None
        self._radio.observe(lambda change: self._keep(), names="value")
        self._words = widgets.HTML()
        super().__init__([
            widgets.HTML(f'{LOOKS}<p style="font-size:16px;font-weight:bold;margin:4px 0">'
                         f"{html.escape(question)}</p>"), self._radio, self._words])
        self.add_class("lesson-panel")
        self._tell()

    @property
    def choice(self):
        """Return what the reader chose, or ``None``."""
        return self._radio.value

    @choice.setter
    def choice(self, option):
        if option is not None and option not in self.options:
            raise ValueError(f"choose one of {', '.join(self.options)}; got {option!r}")
        self._radio.value = option

    def compare(self, measured, evidence=""):
        """Show the prediction beside what was measured.

        Args:
            measured: the option that the measurement supports.
            evidence: the numbers behind it, in a sentence.

        Raises:
            ValueError: ``measured`` is none of the options.
        """
        measured = str(measured)
        if measured not in self.options:
            raise ValueError(f"measured must be one of {', '.join(self.options)}; "
                             f"got {measured!r}")
        self.measured, self.evidence = measured, evidence
        self._keep()
        return self

    @property
    def caption(self):
        """Return the state in words."""
        if self.measured is None:
            return (f"{self.question} Options: {'; '.join(self.options)}. "
                    f"Your prediction: {self.choice or 'none yet'}.")
        verdict = ("" if self.choice is None else
                   "Your prediction holds. " if self.choice == self.measured else
                   f"You predicted “{self.choice}”. ")
        return f"{verdict}Measured: {self.measured}. {self.evidence}".rstrip()

    def _keep(self):
        """Remember the choice beyond a restart, and what was measured."""
        if self.choice is not None:
            reader.prediction(self.question, self.choice, self.measured)
        self._tell()

    def _tell(self):
        asked, known = self.choice is not None, self.measured is not None
        self._radio.disabled = asked and known
        words = (self.caption if asked and known else
                 f"Your prediction: {self.choice}." if asked else
                 "The measurement is done. Choose an answer to see it." if known else "")
        color = figures.GREEN if self.choice == self.measured else figures.AMBER
        mark = f"border-left:6px solid {color};padding-left:10px;" * (asked and known)
        self._words.value = (f'<p role="status" style="font-size:16px;line-height:1.4;'
                             f'margin:4px 0;max-width:900px;{mark}">{html.escape(words)}</p>')

    def __repr__(self):
        """Return the state in words."""
        return self.caption

    def _repr_mimebundle_(self, **kwargs):
        """Return the live view and the state in words, as Markdown and as text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        live = bundle[0] if isinstance(bundle, tuple) else bundle
        if self.measured is None:
            lines = "\n".join(f"- {_escaped(option)}" for option in self.options)
            markdown = f"**Predict:** {_escaped(self.question)}\n\n{lines}"
        else:
            markdown = f"**Prediction and measurement.** {_escaped(self.caption)}"
        return {WIDGET_VIEW: live[WIDGET_VIEW], "text/markdown": markdown,
                "text/plain": self.caption}


def _escaped(words):
    """Return words for Markdown, so that ``__init__`` or ``*layers`` is shown as it is."""
    return re.sub(r"[\\`*<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", words)
