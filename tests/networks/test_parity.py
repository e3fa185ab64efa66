import copy
import hashlib
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.networks import mutants, parity, resnet
from resnet_lesson.networks.blocks import BasicBlock


@pytest.fixture(scope="module")
def table():
    return mutants.survey(progress=False)


def small(**options):
    torch.manual_seed(1)
    return resnet.ResNet(BasicBlock, [1, 1], 5, 3, widths=(4, 8), **options)


# Notebook 06 asserts the same for 101 and 152, which take longer.
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_our_network_equals_torchvisions_before_and_after_a_step(depth):
    gaps = parity.report(depth)
    assert len(gaps) == 5
    assert max(gaps.values()) < parity.TOLERANCE


@pytest.mark.parametrize("depth", parity.DEPTHS)
def test_names_order_and_shapes_are_torchvisions(depth):
    with torch.device("meta"):
        ours, theirs = parity.ours(depth), parity.theirs(depth)
    assert parity.mismatches(theirs, ours) == []
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_both_with_random_statistics_agree_in_float32_at_another_size():
    theirs = parity.randomise(parity.theirs(18), seed=5).eval()
    ours = parity.transfer(theirs, parity.ours(18)).eval()
    x = torch.randn(1, 3, 50, 41)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_a_report_on_a_wrong_network_shows_it(monkeypatch):
    def wrong(depth):
        network = resnet.resnet18(1000, 3)
        mutants.cut_shortcut_gradient(network)
        return network
    monkeypatch.setattr(parity, "ours", wrong)
    gaps = parity.report(18)
    assert gaps["stages"] < parity.TOLERANCE
    assert gaps["gradients"] > 0.1


def test_the_correct_network_passes_every_check(table):
    assert all(finding.passed for finding in table["none: the correct network"])


def test_each_mutant_is_caught_and_passes_the_published_check(table):
    assert len(mutants.MUTANTS) >= 8
    for mutant in mutants.MUTANTS:
        findings = table[mutant.name]
        assert any(not finding.passed for finding in findings), mutant.name
        assert findings[0].check == "as published"
        assert findings[0].passed, mutant.name


# published, shape, count, half repaired, names, logits, every stage, training step
@pytest.mark.parametrize(("name", "row"), [
    ("bias in every convolution", "..x.xxxx"),
    ("no norm on the shortcut", "..xxxxxx"),
    ("max-pool without padding", "...x.xxx"),
    ("blocks of stage 1 swapped", "...x.xxx"),
    ("last ReLU of each block forgotten", "...x.xxx"),
    ("ReLU before the addition", "...x.xxx"),
    ("stride on the first 1×1 (ResNet-50)", "...x.xxx"),
    ("eps 10⁻³ for 10⁻⁵", "...x.xxx"),
    ("running statistics not copied", ".....xxx"),
    ("running mean ignored", ".....xx."),
    ("compared in training mode", ".....xx."),
    ("last ReLU behind stage 4", "......x."),
    ("no gradient through the shortcut", ".......x"),
    ("momentum 0.9 for 0.1", ".......x"),
])
def test_which_check_catches_which_mutant(table, name, row):
    assert "".join(".x"[not finding.passed] for finding in table[name]) == row


def test_findings_say_where(table):
    words = {name: {f.check: f.words for f in findings} for name, findings in table.items()}
    assert words["no norm on the shortcut"]["every stage"].startswith("stage 2")
    assert words["last ReLU behind stage 4"]["every stage"].startswith("stage 4")
    assert "another shape" in words["max-pool without padding"]["every stage"]
    assert "bias" in words["bias in every convolution"]["names, strictly"]
    assert "running_mean" in words["momentum 0.9 for 0.1"]["training step"]


def test_mangled_names_leave_twelve_tensors_of_resnet18_unloaded():
    ours, theirs = parity.ours(18), parity.theirs(18)
    missing = ours.load_state_dict(mutants.mangle(theirs.state_dict()), strict=False).missing_keys
    assert len(missing) == 12
    assert all("downsample.1" in name for name in missing)


def test_examine_refuses_a_reference_of_another_depth():
    reference = SimpleNamespace(depth=34)
    with pytest.raises(ValueError, match="ResNet-18.*ResNet-34"):
        mutants.examine(mutants.MUTANTS[0], reference)


def test_mutants_change_only_their_own_copy():
    before = mutants.Candidate("correct").build()
    mutants.MUTANTS[0].build()
    assert parity.mismatches(before, mutants.Candidate("correct").build()) == []


def test_always_batch_statistics_does_not_listen_to_eval():
    model = parity.randomise(small()).eval()
    x = torch.randn(3, 3, 40, 40)
    usual = model(x)
    mutants.always_batch_statistics(model)
    assert parity.difference(model(x), usual) > 1e-3


def test_mismatches_names_what_is_missing_too_many_or_misshapen():
    norm = nn.BatchNorm2d(4)
    assert parity.mismatches(norm, nn.BatchNorm2d(4)) == []
    assert parity.mismatches(norm, nn.BatchNorm2d(4, affine=False)) == [
        "weight is missing", "bias is missing"]
    assert parity.mismatches(nn.BatchNorm2d(4, affine=False), norm)[0] == "weight is too many"
    assert parity.mismatches(norm, nn.BatchNorm2d(5))[0] == "weight is (5,) instead of (4,)"


def test_mismatches_sees_another_order():
    first = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})
    second = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.Linear(1, 1)})
    assert parity.mismatches(first, second) == ["the names are equal, but their order is not"]


def test_transfer_copies_everything_or_nothing():
    source, target = parity.randomise(small()), small()
    parity.transfer(source, target)
    assert parity.differences(target.state_dict(), source.state_dict()) == dict.fromkeys(
        source.state_dict(), 0.0)
    other = small(bias=True)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="do not fit: .*bias is too many, and"):
        parity.transfer(source, other)
    assert max(parity.differences(other.state_dict(), before).values()) == 0


def test_randomise_moves_every_tensor_off_its_start_and_repeats():
    fresh, model = small(), parity.randomise(small(), seed=3)
    for name, value in model.state_dict().items():
        assert not torch.equal(value, fresh.state_dict()[name]), name
    norm = model.layer2[0].bn1
    assert not torch.isin(norm.running_mean, torch.tensor([0.0])).any()
    assert not torch.isin(norm.running_var, torch.tensor([1.0])).any()
    assert (norm.running_var >= 0.5).all()
    again = parity.randomise(small(), seed=3).state_dict()
    assert max(parity.differences(again, model.state_dict()).values()) == 0
    assert max(parity.differences(parity.randomise(small(), 4).state_dict(), again).values()) > 0


def test_freshen_puts_norms_back():
    model = parity.freshen(parity.randomise(small()))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            expected = nn.BatchNorm2d(module.num_features).state_dict()
            assert max(parity.differences(module.state_dict(), expected).values()) == 0


def test_difference():
    a = torch.tensor([1.0, -4.0])
    assert parity.difference(a, a) == 0
    assert parity.difference(torch.tensor([1.0, -3.0]), a) == pytest.approx(0.25)
    assert parity.difference(a[:1], a) == math.inf
    assert parity.difference(torch.tensor([1.0, math.nan]), a) == math.inf
    assert parity.difference(torch.zeros(2), torch.zeros(2)) == 0
    assert parity.difference(torch.ones(2), torch.zeros(2)) == math.inf
    assert parity.difference(torch.tensor(3), torch.tensor(3)) == 0
    assert parity.difference(torch.tensor(3), torch.tensor(4)) == math.inf
    assert parity.differences({}, {"a": a}) == {"a": math.inf}


@pytest.mark.parametrize("make", [parity.ours, parity.theirs])
def test_stage_outputs_are_what_the_layers_give(make):
    torch.manual_seed(0)
    model, x = parity.randomise(make(18)).eval(), torch.randn(1, 3, 40, 40)
    found = parity.stage_outputs(model, x)
    assert list(found) == list(parity.STAGES.values())
    with torch.no_grad():
        h = model.maxpool(F.relu(model.bn1(model.conv1(x))))
        torch.testing.assert_close(found["stem"], h)
        for i in range(1, 5):
            h = getattr(model, f"layer{i}")(h)
            torch.testing.assert_close(found[f"stage {i}"], h)
        torch.testing.assert_close(found["logits"], model(x))
    assert not any(module._forward_hooks for module in model.modules())
    assert not model.training


def test_training_step_is_a_step_of_sgd():
    ours, theirs = small(), small()
    x, y = torch.randn(4, 3, 40, 40), torch.tensor([0, 1, 2, 4])
    gradients, weights, statistics = parity.training_step(ours, x, y, lr=0.3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.3)
    F.cross_entropy(theirs.train()(x), y).backward()
    optimizer.step()
    for name, weight in theirs.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad)
        torch.testing.assert_close(weights[name], weight.detach())
    for name, value in theirs.named_buffers():
        torch.testing.assert_close(statistics[name], value)


@pytest.mark.parametrize("settings", [{"size": 32}, {"batch": 1}])
def test_reference_refuses_what_would_make_batch_statistics_meaningless(settings):
    with pytest.raises(ValueError, match="at least"):
        parity.Reference(18, **settings)


@pytest.mark.parametrize("call", [parity.ours, parity.theirs, parity.report, parity.pretrained])
def test_an_unknown_depth_is_refused_in_words(call):
    with pytest.raises(ValueError, match="depth must be one of 18, 34, 50, 101, 152, got 20"):
        call(20)


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


def test_pretrained_does_not_download_unasked(weights_online):
    with pytest.raises(FileNotFoundError, match="download=True"):
        parity.pretrained(18)
    assert not weights_online[1].exists()


def test_pretrained_downloads_once_and_then_finds(weights_online, capsys):
    online, place = weights_online
    state = parity.pretrained(18, download=True)
    assert torch.equal(state["fc.bias"], torch.arange(3.0))
    online.unlink()
    assert torch.equal(parity.pretrained(18)["fc.bias"], torch.arange(3.0))
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert capsys.readouterr().err == ""


def test_a_failing_download_is_one_sentence_and_leaves_nothing(weights_online, capsys):
    online, place = weights_online
    online.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="failed .what arrived is not the file"):
        parity.pretrained(18, download=True)
    online.unlink()
    with pytest.raises(RuntimeError, match="the download of resnet18-.* failed"):
        parity.pretrained(18, download=True)
    assert list(place.parent.iterdir()) == []


def test_a_damaged_file_is_named(weights_online):
    place = weights_online[1]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half a file")
    with pytest.raises(ValueError, match="is damaged"):
        parity.pretrained(18)
