"""Exercises of notebook 07: a broken loop mended, a whole training."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.data import Split, Splits
from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, Mistake, is_number, same, unsolved
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- a step


def train_step(model, optimizer, X, y):
    """Take one step on the batch (X, y); return its mean loss as a float."""
    logits = model(X)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _settings(draw):
    """Return a small network and two batches for it."""
    inputs, classes = draw.randint(3, 6), draw.randint(2, 5)
    model = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, classes))
    yield model, [(torch.randn(12, inputs), torch.randint(classes, (12,))) for _ in range(2)]


def _flat(model):
    return torch.cat([weight.detach().flatten().clone() for weight in model.parameters()])


def _two_steps(answer, case):
    """Take two steps; return the losses, and the weights before and after each of them."""
    model, batches = case
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses, weights = [], [_flat(model)]
    for X, y in batches:
        losses.append(answer(model, optimizer, X, y))
        weights.append(_flat(model))
    return {"losses": losses, "weights": weights}


def _the_loss(given, case):
    """Say what is missing where no weight has moved."""
    start, *_, end = given["weights"]
    if torch.equal(start, end) and all(unsolved(loss) for loss in given["losses"]):
        return NOT_SOLVED
    return None


def _equal(one, other):
    """Compare the weights; the losses too, where one of the two returned numbers."""
    if not same(one["weights"], other["weights"], rtol=1e-5, atol=1e-6):
        return False
    return all(type(a) is type(b) and (unsolved(a) or same(a, b))
               for a, b in zip(one["losses"], other["losses"], strict=True))


def _what_came(case, expected, given):
    if same(given["weights"], expected["weights"], rtol=1e-5, atol=1e-6):
        return "The weights are right."
    if torch.equal(given["weights"][0], given["weights"][-1]):
        return "After two steps no weight has moved."
    if same(given["weights"][1], expected["weights"][1], rtol=1e-5, atol=1e-6):
        return "The first step is right, the second is not."
    return "The weights after a step differ from those that the five lines give."


def _which_line(case, expected, given):
    start, after, _ = given["weights"]
    right = expected["weights"][1] - start
    if same(given["weights"], expected["weights"], rtol=1e-5, atol=1e-6):
        return (f"The loss returned is {given['losses'][0]!r:.20} instead of "
                f"{expected['losses'][0]:.4f}: return the loss of the batch before the step, as a "
                "number.")
    factor = ((after - start) @ right / right.square().sum()).item()
    if same(after - start, factor * right):
        return (f"The direction is right, the step is {factor:.3g} times as long as expected. Use "
                "the mean loss over the batch, and take one step.")
    return ("A step asks for the logits, then for their loss, then for the gradient of this batch "
            "alone, and moves the weights once. Follow one weight through your lines.")


_NOTHING = ("backward() computes the gradients, then optimizer.step() uses them; is one of the two "
            "missing, or are the gradients zeroed between them?")
_SOFTMAX = ("Even the first step differs, where no older gradient is left. What does cross_entropy "
            "do with the numbers that it is given, and which numbers does it get here?")
_ADDED = ("What is in weight.grad when backward() is called for the second batch, and what does "
          "backward() do with it?")
NO_ZERO, SOFTMAX = ("optimizer.zero_grad()", "pass"), ("model(X)", "model(X).softmax(1)")

TRAIN_STEP = Exercise(
    solve=train_step, cases=_settings, run=_two_steps, same=_equal, form=_the_loss,
    where=_what_came, idea=_which_line, changes=True, part="train_step",
    mistakes=tuple(Mistake(slip(train_step, *edits), words) for words, *edits in (
        (_SOFTMAX, NO_ZERO, SOFTMAX),   # as the notebook has it
        (_SOFTMAX, SOFTMAX),
        (_ADDED, NO_ZERO),
        (_NOTHING, ("loss.backward()", "pass")),
        (_NOTHING, ("optimizer.step()", "pass")),
        (_NOTHING, ("loss.backward()", "loss.backward(); optimizer.zero_grad()")),
        ("The weights moved uphill: the loss has the wrong sign.", ("loss = F", "loss = -F")),
        ("Use the mean loss over the batch, and take one step.",
         ("logits, y)", 'logits, y, reduction="sum")')),
        ("Now return the loss, as a number: loss.item().", ("return loss.item()", "pass")),
        ("The loss is right too, but you return a tensor, which keeps the whole graph of the step "
         "in memory. Return loss.item().", ("loss.item()", "loss")),
    )),
    hints=("There are two faults. One shows in the first step, the other from the second step on.",
           "Look at the section One step, by hand: which numbers go into cross_entropy? What does "
           "a second backward() do?",
           "cross_entropy takes logits. optimizer.zero_grad() empties the gradients."),
    remark="Where zero_grad stands does not matter, as long as it is not between backward and "
           "step.", minutes=5, difficulty=2)

# ---------------------------------------------------------------- a share of right answers


def accuracy(model, split):
    """Return the share of a split's pictures that the model, in evaluation mode, gets right."""
    model.eval()
    right = 0
    with torch.no_grad():
        for X, y in split.batches(500):
            right += (model(X).argmax(1) == y).sum().item()
    return right / len(split)


def _split(count, place, classes=3):
    """Return a split of pictures of 2×2 pixels; the first two say which picture of which place."""
    pixels = torch.randint(256, (count, 1, 2, 2), dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(count) % 256, place
    return Split(pixels, torch.randint(classes, (count,)), Splits._fields[place],
                 classes=tuple("abcde"[:classes]))


def _judged(draw):
    """Return networks whose statistics, fresh or not, are not those of the split's pictures."""
    for classes in (3, 5):
        model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, classes))
        nn.init.normal_(model[1].running_mean)
        yield model, _split(draw.randint(700, 900), 1, classes)


def _share(answer, case):
    model, _ = case
    before = model[1].running_mean.clone()
    return {"share": answer(*case), "kept": torch.equal(model[1].running_mean, before)}


def _one_share(given, case):
    if unsolved(given["share"]):
        return NOT_SOLVED
    return None if is_number(given["share"]) else "Return one number, the share that is right."


def _what_share(case, expected, given):
    moved = "" if given["kept"] else " And it changes the network's running statistics."
    return (f"Of {len(case[1])} pictures {expected['share']:.3f} are right; yours says "
            f"{float(given['share']):.3f}.{moved}")


ACCURACY = Exercise(
    solve=accuracy, cases=_judged, run=_share, form=_one_share, where=_what_share,
    changes=True, part="accuracy",
    idea="Count the right answers of all batches, then divide once by the number of pictures.",
    mistakes=tuple(Mistake(slip(accuracy, *edits), words) for words, *edits in (
        ("In which mode is the network while it is judged, and which mean does its batch norm take "
         "in that mode?", ("model.eval()", "model.train()")),   # as the notebook has it
        ("That is how many are right. Which share is it?", (" / len(split)", "")),
        ("A share lies between 0 and 1; this is in per cent.",
         ("right / len", "100 * right / len")),
        ("The last batch is smaller than the others, so the mean of the batches' shares is another "
         "number.", (".sum().item()", ".float().mean().item()"), ("len(split)", "2")),
        ("That is the share of wrong answers.", ("== y", "!= y")),
    )),
    hints=("The code is right for a network that answers alike in both modes.",
           "model.eval() switches to evaluation mode."),
    remark="torch.no_grad() around it saves the memory that only backward() needs. The network "
           "stays in evaluation mode: who trains it further calls model.train() first.",
    minutes=3, difficulty=1)

# ---------------------------------------------------------------- a whole training


def train(model, optimizer, splits, epochs):
    """Train; return each epoch's validation accuracy, and leave the best epoch's weights."""
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(epochs):
        model.train()
        for X, y in splits.train.batches(64, generator=generator):
            train_step(model, optimizer, X, y)
        found.append(accuracy(model, splits.validation))
        if found[-1] == max(found):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return found


RATE, EPOCHS, TRAIN_PICTURES, JUDGED = 0.5, 4, 150, 20


class _Watched(nn.Module):
    """A linear network that notes what it is asked; how much it gets right follows a plan.

    ``plan`` holds, by place (1 validation, 2 test) and mode, the right answers after each epoch.
    """

    def __init__(self, splits, plan):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3))
        self.register_buffer("statistics", torch.zeros(()))
        self.labels, self.plan = [split.labels for split in splits], plan
        self.asked, self.learned = [], 0   # what came, and of how many pictures it has learned

    def state(self):
        return self.weight.detach().clone(), self.statistics.clone()

    def forward(self, X):
        which, place = (X.detach().flatten(1)[:, :2] * 255).round().long().unbind(1)
        place = int(place[0])
        if self.asked and not torch.equal(self.asked[-1]["state"][0], self.weight):
            self.learned += len(self.asked[-1]["which"])
        self.asked.append({"place": place, "which": which, "state": self.state(), "X": X.detach(),
                           "mode": "training" if self.training else "evaluation"})
        self.statistics += self.training
        logits = X.flatten(1) @ self.weight
        if place == 0:
            return logits
        epoch = min(math.ceil(self.learned / TRAIN_PICTURES), EPOCHS) - 1
        wrong = which >= self.plan[place, self.training][epoch]
        return F.one_hot((self.labels[place][which] + wrong) % 3, 3) + 0 * logits


def _trainings(draw):
    """Return one network to watch: what it gets right is best after an epoch in the middle."""
    splits = Splits(*(_split(count, place) for place, count in
                      enumerate((TRAIN_PICTURES, JUDGED, JUDGED))))
    best = draw.choice(([7, 16, 12, 10], [7, 10, 16, 12]))
    plan = dict.fromkeys([(1, True), (2, False), (2, True)], best[::-1])
    yield splits, plan | {(1, False): best}


def _followed(answer, case):
    """Return what a training did, fact by fact, in words and numbers."""
    splits, plan = case
    model = _Watched(splits, plan)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    returned, asked = answer(model, optimizer, splits, EPOCHS), model.asked
    states = [call["state"] for call in asked] + [model.state()]
    steps = [i for i, call in enumerate(asked) if call["place"] == 0
             and not torch.equal(states[i][0], states[i + 1][0])]
    order = [which for i in steps for which in asked[i]["which"].tolist()]
    epochs = [order[start:start + TRAIN_PICTURES]
              for start in range(0, len(order), TRAIN_PICTURES)]
    judged = [call for call in asked if call["place"] > 0]
    each = math.ceil(TRAIN_PICTURES / 64)
    ends = steps[each - 1::each]
    left = [[number for number, end in enumerate(ends, 1)
             if torch.equal(states[end + 1][part], states[-1][part])] for part in (0, 1)]
    return {
        "different pictures used in each epoch": [len(set(epoch)) for epoch in epochs],
        "sizes of the batches": sorted({len(asked[i]["which"]) for i in steps}),
        "order of the pictures": _order(epochs),
        "mode while it learns": _listed(asked[i]["mode"] for i in steps),
        "gradient of a step": _listed(_gradient(asked[i], splits.train.labels, states[i + 1][0])
                                      for i in steps),
        "it is judged on": _listed(Splits._fields[call["place"]] for call in judged),
        "mode while it is judged": _listed(call["mode"] for call in judged),
        "accuracies returned": returned,
        "epoch whose weights are there in the end": left[0],
        "epoch whose running statistics are there in the end": left[1]}


def _listed(words):
    return " and ".join(sorted(set(words))) or "nothing"


def _order(epochs):
    if any(epoch == sorted(epoch) for epoch in epochs):
        return "as stored"
    return "another in each epoch" if len(set(map(tuple, epochs))) == len(epochs) else "repeated"


def _gradient(call, labels, after):
    """Say which gradient a step followed."""
    weight = call["state"][0].clone().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(call["X"].flatten(1) @ weight, labels[call["which"]])
    gradient, = torch.autograd.grad(loss, weight)
    right = torch.allclose(after, weight - RATE * gradient, atol=1e-5)
    return "that of its batch" if right else "another one"


def _a_list(given, case):
    returned = given["accuracies returned"]
    if unsolved(returned) and not given["sizes of the batches"]:
        return NOT_SOLVED
    try:
        given["accuracies returned"] = [round(float(value), 4) for value in returned]
    except (TypeError, ValueError):
        return f"Return a list, the validation accuracy after each epoch; got {returned!r:.60}."
    return None


def _first_fact(case, expected, given):
    name = next(name for name in expected if not same(given[name], expected[name]))
    return f"{name[0].upper()}{name[1:]}: {given[name]}; expected: {expected[name]}."


_LAST = ("Is the best state put back in the end, and was it a copy? state_dict() holds the very "
         "tensors that go on changing.")
_BY_HAND = ("sum((model(X).argmax(1) == y).sum().item() for X, y in splits.validation.batches(500))"
            " / len(splits.validation)")
_KEPT = "copy.deepcopy(model.state_dict())"

TRAIN = Exercise(
    solve=train, cases=_trainings, run=_followed, form=_a_list, where=_first_fact, changes=True,
    part="train", idea="Go through your loop with the sentence above in mind.",
    mistakes=tuple(Mistake(slip(train, *edits), words) for words, *edits in (
        ("accuracy leaves the model in evaluation mode. Who puts it back before the next epoch?",
         ("model.train()", "pass")),
        ("The network is judged in training mode: its batch norm takes the means of the pictures "
         "that it is asked about, and moves its running statistics by them.",
         ("accuracy(model, splits.validation)", _BY_HAND)),
        ("The test pictures choose the epoch. What, then, is left to report?",
         ("accuracy(model, splits.validation)", "accuracy(model, splits.test)")),
        ("The training pictures choose the epoch. They favour the network that knows them best.",
         ("accuracy(model, splits.validation)", "accuracy(model, splits.train)")),
        (_LAST, ("model.load_state_dict(best)", "pass")),
        (_LAST, (_KEPT, "model.state_dict()")),
        (_LAST, (_KEPT, "dict(model.state_dict())")),
        ("Which is the best accuracy so far?", ("== max(found)", "== min(found)")),
        ("A state is more than parameters: batch norm's running statistics belong to it. "
         "state_dict() holds both.",
         (_KEPT, "[weight.detach().clone() for weight in model.parameters()]"),
         ("model.load_state_dict(best)", "for weight, kept in zip(model.parameters(), best): "
                                         "weight.data.copy_(kept)")),
        ("Without a generator, batches come in the stored order, the same ones in every epoch.",
         (", generator=generator", "")),
        ("A generator with the same seed gives the same order again. Make it once, before the "
         "first epoch.", ("=generator", "=torch.Generator().manual_seed(0)")),
        ("Take batches of 64.", ("(64", "(50")),
        ("Every picture comes once in an epoch.", ("=generator", "=generator, skip=1")),
        ("What is in weight.grad when a step begins? train_step sees to it.",
         ("train_step(model, optimizer, X, y)",
          "F.cross_entropy(model(X), y).backward(); optimizer.step()")),
        ("Count the epochs: range(epochs).", ("range(epochs)", "range(epochs - 1)")),
    )),
    hints=("Two loops, one in the other: over epochs, and over the batches of splits.train. Before "
           "the inner one, model.train(); after it, accuracy on the validation split.",
           "Collect the accuracies in a list. If the newest is the largest, keep "
           "copy.deepcopy(model.state_dict()).",
           "In the end model.load_state_dict(best), and return the list."),
    remark="It never asked the test pictures, so they can still report.", minutes=10, difficulty=3)
