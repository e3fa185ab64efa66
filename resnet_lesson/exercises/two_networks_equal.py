"""The exercises of A2: where two networks part, what checks miss, a check that can fail."""

import torch

from resnet_lesson.exercises.base import Exercise, Mistake, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import mutants
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import randomise
from resnet_lesson.networks.resnet import ResNet

# ---------------------------------------------------------------- where two networks part


def first_difference(found, expected):
    """Return the name of the first stage whose outputs differ, or "nowhere"."""
    for name in expected:
        if found[name].shape != expected[name].shape:
            return name
        if not torch.allclose(found[name], expected[name]):
            return name
    return "nowhere"


def _outputs(draw):
    """Yield outputs by stage that part at a stage, in values, in sign or in shape, or nowhere."""
    names = ("stem", "stage 1", "stage 2", "stage 3", "logits")
    for place, change in ((2, lambda t: t - 0.5), (5, None), (1, lambda t: t + 1e-2),
                          (0, torch.neg), (3, lambda t: t[..., :-1]), (4, torch.neg),
                          (2, lambda t: t.roll(1, -1))):
        expected = {name: torch.randn(2, 3, 4).double() for name in names}
        found = {name: value.clone() for name, value in expected.items()}
        for name in names[place:]:
            found[name] = change(found[name])
        if place == 2:   # numbers may agree again further on
            found["logits"] = expected["logits"].clone()
        rounding = 1 + 1e-12 * draw.random()
        yield {name: value * rounding for name, value in found.items()}, expected


def _place(answer, case):
    """Return the answer's stage; no stub gives nothing only where nothing differs."""
    given = answer(*case)
    return "nothing" if given is None and first_difference(*case) == "nowhere" else given


FIRST_DIFFERENCE = Exercise(
    solve=first_difference, cases=_outputs, run=_place,
    form=lambda given, case: None if isinstance(given, str) else (
        f"Expected the name of a stage, got {type(given).__name__}."),
    where=lambda case, expected, given: (
        f"The outputs part first at: {expected}. Your function says: {given:.40}."),
    idea="Go through the stages in their order and return at the first that differs.",
    mistakes=tuple(Mistake(slip(first_difference, *edits), words) for words, *edits in (
        ("Rounding is no difference: compare with torch.allclose, not bit by bit.",
         ("torch.allclose(found[name], expected[name])",
          "torch.equal(found[name], expected[name])")),
        ("That is the last stage that differs. Stop at the first: return inside the loop.",
         ("in expected:", "in reversed(expected):")),
        ("That is the first stage that agrees; return where torch.allclose says False.",
         ("if not torch.allclose", "if torch.allclose")),
        ("Where all agree, return the word \"nowhere\", after the loop.",
         ('"nowhere"', "None")),
        ("Compare every number of a stage, not a summary such as its mean or its sum.",
         ("found[name], expected[name])", "found[name].sum(), expected[name].sum())")),
        ("A difference may have either sign: take its absolute value.",
         ("not torch.allclose(found[name], expected[name])",
          "(found[name] - expected[name]).max() > 1e-6")),
    )),
    hints=("expected is a dict in the order of the stages: for name in expected.",
           "torch.allclose(a, b) is True where all numbers agree up to rounding. It raises where "
           "shapes do not fit: compare a.shape and b.shape first.",
           "Return name inside the loop, and \"nowhere\" after it."),
    remark="Look for a mistake in the stage that it names, and not after: what comes later is only "
           "fed with wrong numbers.", minutes=5, difficulty=2)

# ---------------------------------------------------------------- what checks miss


def missed(caught, checks):
    """Return a list of the mistakes that none of the checks catches."""
    found = []
    for mistake in caught:
        if not any(check in caught[mistake] for check in checks):
            found.append(mistake)
    return found


def _surveys(draw):
    """Yield which checks catch each mistake, and some checks: one, two, or none."""
    table = {"a": {"names", "logits"}, "b": {"logits"}, "c": {"step"}, "d": {"logits", "step"},
             "e": {"shape"}, "f": set()}
    yield table, ("logits", "step")
    for number in (1, 2, 3, 0):
        yield table, tuple(draw.sample(["names", "logits", "step", "shape"], number))


MISSED = Exercise(
    solve=missed, cases=_surveys, run=lambda answer, case: (
        sorted(map(str, given)) if isinstance(given := answer(*case), list | tuple | set)
        else given),
    form=lambda given, case: None if isinstance(given, list) else (
        f"Expected a list of mistakes, got {type(given).__name__}."),
    where=lambda case, expected, given: (
        f"With the checks {', '.join(case[1]) or '(none)'}: expected {expected}, got {given}."),
    idea="A mistake is missed if no check of the two stands in its set.",
    mistakes=tuple(Mistake(slip(missed, *edits), words) for words, *edits in (
        ("Those are the mistakes that are caught; the others are asked for.",
         ("if not any", "if any")),
        ("One check that catches it is enough: a mistake is missed only if all of them miss it.",
         ("not any", "not all")),
        ("Look at every check, not at the first alone.", ("in checks)", "in checks[:1])")),
    )),
    hints=("caught[mistake] is the set of checks that catch that mistake.",
           "any(check in caught[mistake] for check in checks) is True if one of them catches it."),
    remark="An empty list says that these checks catch all mistakes of the table. It says nothing "
           "of mistakes that nobody put there.", minutes=4, difficulty=1)

# ---------------------------------------------------------------- a check that can fail


def same_network(ours, theirs):
    """Return whether two networks compute the same, as far as one random experiment can tell."""
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        return torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


TRAPS = (None, mutants.forget_last_relu, mutants.swap_blocks, mutants.always_batch_statistics,
         mutants.ignore_running_mean)


def small():
    """Return a narrow ResNet for colour pictures: the same parts, computed in a moment."""
    return ResNet(BasicBlock, [2, 1, 1, 1], 10, 3, widths=(8, 8, 16, 16))


def _tried(answer, case):
    """Return what a check says of a network: ``True`` for "the same"."""
    ours, theirs = small(), small()
    trap, = case
    if trap is not None:
        trap(ours)
    said = answer(ours, theirs)
    return said if unsolved(said) else bool(said)


_WORDS = {
    None: "Your check says that two equal networks differ.",
    mutants.forget_last_relu: "Your check passes a wrong network: the ReLU after each addition is "
                              "missing.",
    mutants.swap_blocks: "Your check passes a wrong network: two blocks run in the wrong order.",
    mutants.always_batch_statistics: "Your check passes a wrong network: it normalises by the "
                                     "batch even in evaluation mode.",
    mutants.ignore_running_mean: "Your check passes a wrong network: it never subtracts the "
                                 "running mean."}
_LOGITS = ("Names and counts cannot tell; compare the logits of `ours` with those of `theirs`, and "
           "not one network with itself.")

SAME_NETWORK = Exercise(
    solve=same_network, cases=lambda draw: [(trap,) for trap in TRAPS], run=_tried,
    oracle=lambda trap: trap is None, where=lambda case, expected, given: _WORDS[case[0]],
    idea="Compare the logits of both networks on the same random pictures.",
    mistakes=(
        Mistake(slip(same_network, ("ours.load_state_dict(theirs.state_dict())", "pass")),
                "Treat both alike: copy the weights, call eval() on both, allow for rounding with "
                "torch.allclose."),
        Mistake(slip(same_network, (".eval()", ".train()")),
                "In training mode both do that; call eval() on both networks first."),
        Mistake(slip(same_network, ("randomise(theirs)", "pass")),
                "A fresh running mean is zero, which hides that; call randomise(theirs) before you "
                "copy the weights."),
        Mistake(slip(same_network, ("ours(x), theirs(x)", "ours.fc.weight, theirs.fc.weight")),
                _LOGITS),
        Mistake(slip(same_network, ("ours(x)", "theirs(x)")), _LOGITS),
    ),
    hints=("Give theirs random statistics: randomise(theirs). Then copy its whole state_dict.",
           "Put both networks into evaluation mode before you feed them.",
           "Feed both the same random pictures of shape (2, 3, 64, 64) and return "
           "torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)."),
    remark="It says no where it should, and yes where it should. Gradients and the momentum of "
           "batch norm remain unseen by it: those need a training step.", minutes=8, difficulty=3)
