"""Our networks against torchvision's, the tools for it, and networks that are wrong on purpose."""

import copy
import hashlib
import itertools
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.two_networks_equal import first_difference, missed
from resnet_lesson.networks import mutants, parity, resnet, weights
from resnet_lesson.networks.blocks import BasicBlock


def narrow(make, depth):
    """Build a network, torchvision's or ours, with all widths divided by 8: alike, but faster."""
    with torch.device("meta"):
        network = make(depth)
    for path, part in list(network.named_modules()):
        if isinstance(part, nn.Conv2d):
            new = nn.Conv2d(part.in_channels // 8 or 3, part.out_channels // 8, part.kernel_size,
                            part.stride, part.padding, bias=part.bias is not None)
        elif isinstance(part, nn.BatchNorm2d):
            new = nn.BatchNorm2d(part.num_features // 8, part.eps, part.momentum)
        elif isinstance(part, nn.Linear):
            new = nn.Linear(part.in_features // 8, part.out_features)
        else:
            if hasattr(part, "branch"):
                part.in_channels //= 8
            continue
        place, _, name = path.rpartition(".")
        setattr(network.get_submodule(place), name, new)
    return network


def narrow_both(patch):
    """Let parity compare narrow networks."""
    for side in ("ours", "theirs"):
        patch.setattr(parity, side, partial(narrow, getattr(parity, side)))


@pytest.fixture(scope="module")
def table():
    with pytest.MonkeyPatch.context() as patch:
        narrow_both(patch)
        return mutants.survey((mutants.CORRECT, *mutants.MUTANTS, *mutants.COMPARISONS,
                               mutants.EQUIVALENT, mutants.OTHER_START), progress=False)


def small(**options):
    torch.manual_seed(1)
    return resnet.ResNet(BasicBlock, [1, 1], 5, 3, widths=(4, 8), **options)


# Notebook 06 asserts the same for all depths in full width.
@pytest.mark.parametrize(("depth", "width"), [
    (18, "full"), (34, "narrow"), (50, "narrow"), (101, "narrow"), (152, "narrow")])
def test_our_network_equals_torchvisions_before_and_after_a_step(monkeypatch, depth, width):
    if width == "narrow":
        narrow_both(monkeypatch)
    gaps = parity.report(depth)
    assert len(gaps) == 5 and max(gaps.values()) < parity.TOLERANCE


def test_both_with_random_statistics_agree_in_float32_at_another_size():
    theirs = parity.randomise(narrow(parity.theirs, 18), seed=5).eval()
    ours = parity.transfer(theirs, narrow(parity.ours, 18)).eval()
    x = torch.randn(1, 3, 50, 41)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_a_report_on_a_wrong_network_shows_it(monkeypatch):
    narrow_both(monkeypatch)
    wrong = parity.ours(18)
    mutants.cut_shortcut_gradient(wrong)
    monkeypatch.setattr(parity, "ours", lambda depth: wrong)
    gaps = parity.report(18)
    assert gaps["stages"] < parity.TOLERANCE and gaps["gradients"] > 0.1


# published, shape, count, half repaired, names, logits, every stage, training step
@pytest.mark.parametrize(("name", "row"), [
    ("none: the correct network", "........"),
    ("bias in every convolution", "..x.xxxx"),
    ("no norm on the shortcut", "..xxxxxx"),
    ("max-pool without padding", "...x.xxx"),
    ("blocks of stage 1 swapped", "...x.xxx"),
    ("last ReLU of each block forgotten", "...x.xxx"),
    ("ReLU before the addition", "...x.xxx"),
    ("stride on the first 1×1 (ResNet-50)", "...x.xxx"),
    ("eps 10⁻³ for 10⁻⁵", "...x.xxx"),
    ("running mean ignored", ".....xx."),
    ("no gradient through the shortcut", ".......x"),
    ("momentum 0.9 for 0.1", ".......x"),
    ("only ours in training mode", ".....xx."),
    ("running statistics not copied", ".....xxx"),
    ("names lost, strict=False", ".....xxx"),
    ("last ReLU moved after stage 4", "......x."),
    ("another initialisation", "........"),
])
def test_which_check_catches_which_mutant(table, name, row):
    assert "".join(".x"[not finding.passed] for finding in table[name]) == row


def test_two_checks_together_catch_all_and_no_other_pair_on_offer(table):
    caught = {mutant.name: {found.check for found in table[mutant.name] if not found.passed}
              for mutant in mutants.MUTANTS}
    assert len(caught) == 11 and max(map(len, caught.values())) < len(mutants.CHECKS)
    pairs = [pair for pair in itertools.combinations(mutants.CHECKS, 2) if not missed(caught, pair)]
    assert pairs == [("logits", "training step"), ("every stage", "training step")]


def test_the_equivalent_mutant_computes_the_same_and_the_mystery_does_not(monkeypatch):
    narrow_both(monkeypatch)
    theirs, right, moved = (parity.randomise(narrow(parity.ours, 18)) for _ in range(3))
    mutants.late_relu(moved)
    x, y = torch.randn(2, 3, 64, 64), torch.tensor([3, 7])
    assert torch.equal(moved.eval()(x), right.eval()(x))
    for one, other in zip(parity.training_step(moved, x, y), parity.training_step(right, x, y),
                          strict=True):
        assert max(parity.differences(one, other).values()) == 0
    wrong = mutants.mystery(parity.randomise(narrow(parity.ours, 18))).eval()
    found, expected = (parity.stage_outputs(net.eval(), x) for net in (wrong, theirs))
    assert first_difference(found, expected) == "stage 3"


def test_findings_say_where(table):
    words = {name: {f.check: f.words for f in findings} for name, findings in table.items()}
    assert words["no norm on the shortcut"]["every stage"].startswith("stage 2")
    assert words["last ReLU moved after stage 4"]["every stage"].startswith("stage 4")
    assert "another shape" in words["max-pool without padding"]["every stage"]
    assert "bias" in words["bias in every convolution"]["names, strictly"]
    assert "running_mean" in words["momentum 0.9 for 0.1"]["training step"]


def test_mangled_names_leave_twelve_tensors_of_resnet18_unloaded():
    with torch.device("meta"):
        ours, state = parity.ours(18), mutants.mangle(parity.theirs(18).state_dict())
    missing = ours.load_state_dict(state, strict=False, assign=True).missing_keys
    assert len(missing) == 12 and all("downsample.1" in name for name in missing)


@pytest.mark.parametrize(("source", "target", "found"), [
    (nn.BatchNorm2d(4), nn.BatchNorm2d(4), []),
    (nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), ["weight is missing", "bias is missing"]),
    (nn.Linear(4, 2, False), nn.Linear(4, 2), ["bias is too many"]),
    (nn.Linear(4, 2, False), nn.Linear(5, 2, False), ["weight is (2, 5) instead of (2, 4)"]),
    (nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}),
     nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.Linear(1, 1)}),
     ["the names are equal, but their order is not"])])
def test_mismatches_are_missing_too_many_misshapen_or_out_of_order(source, target, found):
    assert weights.mismatches(source.state_dict(), target.state_dict()) == found


def test_transfer_copies_everything_or_nothing():
    source, target = parity.randomise(small()), small()
    parity.transfer(source, target)
    assert not any(parity.differences(target.state_dict(), source.state_dict()).values())
    other = small(bias=True)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="do not fit: .*bias is too many, and"):
        parity.transfer(source, other)
    assert not any(parity.differences(other.state_dict(), before).values())


@pytest.mark.parametrize("wrap", [nn.DataParallel, partial(torch.compile, backend="eager"),
                                  lambda net: net])
def test_transfer_looks_through_wrappers(wrap):
    theirs, ours = (parity.randomise(small(), seed) for seed in (1, 2))
    parity.transfer(nn.DataParallel(theirs), wrap(ours))
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def test_randomise_moves_every_tensor_off_its_start_and_repeats_and_freshen_moves_norms_back():
    start, model = small().state_dict(), parity.randomise(small(), seed=3)
    assert min(parity.differences(start, model.state_dict()).values()) > 0
    norm = model.layer2[0].bn1
    assert norm.running_mean.all() and (norm.running_var >= 0.5).all()
    again, other = (parity.randomise(small(), seed).state_dict() for seed in (3, 4))
    assert not any(parity.differences(again, model.state_dict()).values())
    assert any(parity.differences(other, again).values())
    fresh = parity.freshen(model).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in fresh.items() if "bn" in name)


def test_always_batch_statistics_does_not_listen_to_eval():
    model, x = parity.randomise(small()).eval(), torch.randn(3, 3, 40, 40)
    usual = model(x)
    mutants.always_batch_statistics(model)
    assert parity.difference(model(x), usual) > 1e-3


@pytest.mark.parametrize(("found", "expected", "gap"), [
    ([1.0, -4.0], [1.0, -4.0], 0), ([1.0, -3.0], [1.0, -4.0], 0.25),
    ([1.0], [1.0, -4.0], math.inf), ([1.0, math.nan], [1.0, -4.0], math.inf),
    ([1.0, -4.0], [1.0, math.nan], math.inf), ([0.0], [0.0], 0), ([1.0], [0.0], math.inf),
    (3, 3, 0), (3, 4, math.inf)])
def test_difference_is_relative_to_the_largest_value(found, expected, gap):
    assert parity.difference(torch.tensor(found), torch.tensor(expected)) == pytest.approx(gap)


@pytest.mark.parametrize("make", [parity.ours, parity.theirs])
def test_stage_outputs_are_what_the_layers_give(make):
    model, x = parity.randomise(narrow(make, 18)).eval(), torch.randn(1, 3, 40, 40)
    found = parity.stage_outputs(model, x)
    expected = {"stem": model.maxpool(F.relu(model.bn1(model.conv1(x))))}
    for i in range(1, 5):
        expected[f"stage {i}"] = getattr(model, f"layer{i}")(list(expected.values())[-1])
    expected |= {"pooled": expected["stage 4"].mean((2, 3)), "logits": model(x)}
    assert tuple(found) == parity.STAGES
    torch.testing.assert_close(found, expected)
    assert not any(module._forward_hooks for module in model.modules())
    assert not model.training


def test_training_step_is_a_step_of_sgd():
    ours, theirs = small(), small()
    x, y = torch.randn(4, 3, 40, 40), torch.tensor([0, 1, 2, 4])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.3)
    F.cross_entropy(theirs.train()(x), y).backward()
    optimizer.step()
    weights = dict(theirs.named_parameters())
    gradients = {name: weight.grad for name, weight in weights.items()}
    torch.testing.assert_close(parity.training_step(ours, x, y, lr=0.3),
                               (gradients, weights, dict(theirs.named_buffers())))


@pytest.mark.parametrize("call", [parity.ours, parity.theirs, parity.report, parity.pretrained])
def test_an_unknown_depth_is_refused_in_words(call):
    with pytest.raises(ValueError, match="depth must be one of 18, 34, 50, 101, 152, got 20"):
        call(20)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: parity.Reference(18, size=32), "at least 33 pixels"),
    (lambda: parity.Reference(18, batch=1), "a batch of at least 2"),
    (lambda: mutants.Subject(mutants.MUTANTS[0], SimpleNamespace(depth=34)), "18.*ResNet-34")])
def test_a_reference_that_shows_nothing_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.fixture
def weights_online(tmp_path, monkeypatch):
    """Put a small state_dict behind a URL, as torchvision does, with an empty download folder."""
    source = tmp_path / "weights"
    torch.save({"fc.bias": torch.arange(3.0)}, source)
    digits = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    online = source.rename(tmp_path / f"resnet18-{digits}.pth")
    entry = SimpleNamespace(DEFAULT=SimpleNamespace(url=online.as_uri()))
    monkeypatch.setattr(parity.torchvision.models, "get_model_weights", lambda name: entry)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return online, tmp_path / "hub" / "checkpoints" / online.name


def test_pretrained_downloads_only_when_asked_and_only_once(weights_online, capsys):
    online, place = weights_online
    with pytest.raises(FileNotFoundError, match="download=True"):
        parity.pretrained(18)
    assert not place.exists()
    state = parity.pretrained(18, download=True)
    assert torch.equal(state["fc.bias"], torch.arange(3.0))
    online.unlink()
    assert torch.equal(parity.pretrained(18)["fc.bias"], torch.arange(3.0))
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert capsys.readouterr().err == ""


def half_a_file(online, place):
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda online, place: online.write_bytes(b"something else"), "invalid hash value"),
    (lambda online, place: online.unlink(), "No such file"), (half_a_file, "")])
def test_a_failing_download_or_a_damaged_file_is_one_sentence(weights_online, spoil, reason):
    online, place = weights_online
    spoil(online, place)
    words = rf"resnet18-.* could not be loaded \(.*{reason}.*\); delete {place} if it is there"
    with pytest.raises(RuntimeError, match=words) as error:
        parity.pretrained(18, download=True)
    assert "\n" not in str(error.value)
    assert set(place.parent.iterdir()) <= {place}
