"""Figure of notebook 11: pairs of runs, seed by seed, and the interval of their difference."""

from resnet_lesson import figures
from resnet_lesson.figures.axes import dots_and_bars
from resnet_lesson.findings import your_question

MEASURES = {"validation_error": "validation", "train_error": "training"}


@figures.style()
def pairs(found):
    """Draw the validation errors of each pair, joined, and first − second with its intervals.

    Args:
        found: the ``Pairs`` that ``experiments.your_question`` returns.
    """
    figure, (left, right) = figures.new_figure(1, 2, size=(10.5, 3.8))
    for one, other in zip(found.errors(0), found.errors(1), strict=True):
        left.plot([0, 1], [one, other], "-", color=figures.GREY, linewidth=1.5)
        left.plot(0, one, "s", color=figures.ORANGE)
        left.plot(1, other, "o", color=figures.BLUE)
    left.set_xticks([0, 1], found.names)
    left.set(xlim=(-0.4, 1.4), ylabel="validation error")
    right.axvline(0, color="black", linewidth=1.2)
    for place, (column, color) in enumerate(zip(MEASURES, (figures.GREEN, figures.PINK),
                                                strict=True)):
        singles = [one - other for one, other in zip(
            found.errors(0, column), found.errors(1, column), strict=True)]
        right.plot(singles, [-place - 0.25] * len(singles), ".", color="black", alpha=0.6)
        if len(singles) >= your_question.FEWEST:
            dots_and_bars(right, [-place], [your_question.difference(found, column)], color=color,
                          upright=False)
    right.set_yticks([0, -1], list(MEASURES.values()))
    right.set(ylim=(-1.6, 0.5), xlabel=f"error, {found.names[0]} − {found.names[1]}")
    right.locator_params(axis="x", nbins=5)
    figure.caption = ("A line or a black dot per seed; right, means with 95 % intervals over "
                      f"seeds. {your_question.conclusion(found)}".replace("\n", " "))
    return figure
