"""``Prediction``: the reader chooses before a measurement and sees both after it."""

import bisect
import html
import math
import re

import ipywidgets as widgets

from resnet_lesson import figures, reader
from resnet_lesson.panels.base import LOOKS, Captioned, paragraph


class Prediction(Captioned):
    """A question with a few answers to choose from, and later the measured one beside it.

    Args:
        question: a sentence.
        options: the possible answers, at least two, all different; or a dict from each answer to
            the measured value that makes it true, such as ``{"yes": True, "no": False}``.
        limits: where the answers stand for ranges of a number, from small to large: the numbers
            between them, one fewer than answers. A number that is a limit counts as the larger.

    Show it in a cell of its own before the measurement; ``compare`` after the measurement shows
    the same object again, in both places. Whoever ran all cells at once can still choose: the
    live view holds the verdict back until then. The caption never does, since whoever reads a
    printed or exported notebook cannot choose.

    Attributes:
        choice: what the reader chose, or ``None``.
        measured: the option that the measurement supports, or ``None`` before ``compare``.
        caption: the state in words; also its ``repr``.
        radio, words: the widgets with the options, and with what is said about the choice.

    Raises:
        ValueError: fewer than two options, two that are equal, or limits that do not part them.
    """

    def __init__(self, question, options, limits=()):
        values = options if isinstance(options, dict) else {}
        options = [str(option) for option in options]
        if len(options) < 2 or len(set(options)) < len(options):
            raise ValueError("a prediction needs at least two different options, "
                             f"got {options}")
        limits = list(limits)
        if limits and (len(limits) != len(options) - 1 or limits != sorted(set(limits))):
            raise ValueError(f"{len(options)} options need {len(options) - 1} limits, from small "
                             f"to large, got {limits}")
        self.question, self.options, self.limits, self._values = question, options, limits, values
        self.measured, self.evidence = None, ""
        self.radio = widgets.RadioButtons(options=options, value=None, tooltip=question,
                                          layout=widgets.Layout(width="auto"))
        earlier = reader.read()["predictions"].get(question, {})
        if earlier.get("choice") in options:
            self.choice = earlier["choice"]
            self.measured = earlier["outcome"] if earlier["outcome"] in options else None
        self.radio.observe(lambda change: self._keep(), names="value")
        self.words = widgets.HTML()
        super().__init__([
            widgets.HTML(f'{LOOKS}<p style="font-size:16px;font-weight:bold;margin:4px 0">'
                         f"{html.escape(question)}</p>"), self.radio, self.words])
        self._tell()

    @property
    def choice(self):
        """Return what the reader chose, or ``None``."""
        return self.radio.value

    @choice.setter
    def choice(self, option):
        if option is not None and option not in self.options:
            raise ValueError(f"choose one of {', '.join(self.options)}; got {option!r}")
        self.radio.value = option

    def compare(self, measured, evidence=""):
        """Show the prediction beside what was measured.

        Args:
            measured: the number between the limits, the value of an option, or the option itself.
            evidence: the numbers behind it, in a sentence.

        Raises:
            ValueError: ``measured`` fits none of the options.
        """
        if self.limits and not isinstance(measured, str):
            if math.isnan(measured):
                raise ValueError("measured must be a number, got nan")
            measured = self.options[bisect.bisect_right(self.limits, measured)]
        for option, value in self._values.items():
            if measured == value:
                measured = option
                break
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
        if self.choice is None:
            verdict = ""
        elif self.choice == self.measured:
            verdict = "Your prediction holds. "
        else:
            verdict = f"You predicted “{self.choice}”. "
        return f"{verdict}Measured: {self.measured}. {self.evidence}".rstrip()

    def _keep(self):
        """Remember the choice beyond a restart, and what was measured."""
        if self.choice is not None:
            reader.prediction(self.question, self.choice, self.measured)
        self._tell()

    def _tell(self):
        asked, known, color = self.choice is not None, self.measured is not None, None
        if asked and known:
            words = self.caption
            color = figures.GREEN if self.choice == self.measured else figures.AMBER
        elif asked:
            words = f"Your prediction: {self.choice}."
        elif known:
            words = "The measurement is done. Choose an answer to see it."
        else:
            words = ""
        self.radio.disabled = asked and known
        self.words.value = paragraph(words, color)

    def snapshot(self):
        """Return the state in words, as Markdown."""
        if self.measured is not None:
            words = f"**Prediction and measurement.** {_escaped(self.caption)}"
        else:
            options = "\n".join(f"- {_escaped(option)}" for option in self.options)
            words = f"**Predict:** {_escaped(self.question)}\n\n{options}"
        return {"text/markdown": words}


def _escaped(words):
    """Return words for Markdown, so that ``__init__`` or ``*layers`` is shown as it is."""
    return re.sub(r"[\\`*<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", words)
