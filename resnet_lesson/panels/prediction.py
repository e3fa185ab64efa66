"""``Prediction``: the reader chooses before a measurement and sees both after it."""

import html

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.panels.base import WIDGET_VIEW


class Prediction(widgets.VBox):
    """A question with a few answers to choose from, and later the measured one beside it.

    Args:
        question: a sentence.
        options: the possible answers, at least two, all different.

    Use: show it in a cell of its own before the measurement. After the measurement call
    ``compare(answer, evidence)``, which shows the same object again, in both places.

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
        self._radio = widgets.RadioButtons(options=options, value=None,
                                           layout=widgets.Layout(width="auto"))
        self._radio.observe(lambda change: self._tell(), names="value")
        self._words = widgets.HTML()
        super().__init__([
            widgets.HTML(f'<p style="font-size:16px;font-weight:bold;margin:4px 0">'
                         f"{html.escape(question)}</p>"), self._radio, self._words])
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
        self._radio.disabled = True
        self._tell()
        return self

    @property
    def caption(self):
        """Return the state in words."""
        if self.measured is None:
            return (f"{self.question} Options: {'; '.join(self.options)}. "
                    f"Your prediction: {self.choice or 'none yet'}.")
        verdict = {None: "You made no prediction", self.measured: "Your prediction holds"}.get(
            self.choice, f"You predicted “{self.choice}”")
        tail = f" {self.evidence}" if self.evidence else ""
        return f"{verdict}. Measured: {self.measured}.{tail}"

    def _tell(self):
        words = "" if self.measured is None and self.choice is None else (
            f"Your prediction: {self.choice}." if self.measured is None else self.caption)
        color = (figures.GREEN if self.measured is not None and self.choice == self.measured
                 else "inherit")
        self._words.value = (f'<p role="status" style="font-size:16px;margin:4px 0;'
                             f'max-width:900px;color:{color}">{html.escape(words)}</p>')

    def __repr__(self):
        """Return the state in words."""
        return self.caption

    def _repr_mimebundle_(self, **kwargs):
        """Return the live view and the state in words, as Markdown and as text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        live = bundle[0] if isinstance(bundle, tuple) else bundle
        if self.measured is None:
            lines = "\n".join(f"- {option}" for option in self.options)
            markdown = f"**Predict:** {self.question}\n\n{lines}"
        else:
            markdown = f"**Prediction and measurement.** {self.caption}"
        return {WIDGET_VIEW: live[WIDGET_VIEW], "text/markdown": markdown,
                "text/plain": self.caption}
