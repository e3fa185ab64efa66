"""What is said about recorded gradients: invented rows with a known answer give the words."""

import pytest
import torch

from resnet_lesson.experiments import gradients
from resnet_lesson.findings import gradient_flow
from resnet_lesson.findings.gradient_flow import summarise
from resnet_lesson.words import short


@pytest.fixture(scope="module")
def rows():
    return gradients.load()


def test_the_story_follows_the_numbers(rows):
    carried = {"short": [0.8, 0.1, 0.1], "long": [0.1, 0.1, 0.8]}
    alike = {("plain", "batch norm"): torch.tensor([[1, 0.9]]),
             ("residual", "none"): torch.tensor([[1, 0.1], [1, 0.3]]),
             ("residual", "batch norm"): torch.tensor([[1, 0.5]])}
    some = [row._replace(depth=2 if row.depth == 16 else row.depth) for row in rows]
    _, (plain, residual, paths, size) = gradient_flow.story(some, carried, alike, 64)
    assert plain[1] == "no norm: PyTorch 0, Xavier 5.2·10⁻²¹" and "no norm: He 0.036" in plain[2]
    assert "batch norm: PyTorch 3.7·10⁸" in plain[2] and "He 1.6·10¹⁰" in residual[2]
    assert residual[1].endswith("He 47") and "no norm: PyTorch 1.3" in residual[1]
    assert paths[1:] == ["short (0.3 of 2)", "long (1.7 of 2)"]
    assert size[1] == "–" and "residual, no norm (280, cosine 0.20)" in size[2]
    alike["residual", "none"] = alike["plain", "batch norm"]
    assert gradient_flow.story(some, carried, alike, 64)[1][3][2] == "–"
    few = [row._replace(gradient_ratio=1.0) for row in some]
    assert gradient_flow.story([*few[:-1], few[-1]._replace(depth=2)], carried, alike, 64)[1][
        0][1] == "–", "where nothing vanishes, the first sentence holds nowhere"


@pytest.mark.parametrize(("plain", "residual", "word"), [
    (1e-6, 0.5, "helps"), (0.0, 1e9, "helps"), (1.0, 1e3, "hurts"), (1.0, 1e-3, "hurts"),
    (2.0, 3.0, "makes no clear difference"), (0.0, 0.0, "makes no clear difference"),
    (100.0, 0.01, "makes no clear difference")])
def test_effect(plain, residual, word):
    assert gradient_flow.effect(plain, residual) == word


def test_a_unit_of_activation_changes_the_gradient_and_not_the_product(rows):
    _, lines = gradient_flow.scale_free(rows, 64)
    grown = [row._replace(gradient_ratio=row.gradient_ratio * 1000,
                          activation_ratio=row.activation_ratio * 1000) for row in rows]
    for line, other in zip(lines, gradient_flow.scale_free(grown, 64)[1], strict=True):
        assert line[1:3] != other[1:3] and line[3:] == other[3:]
    product = {line[0]: line[3] for line in lines}
    assert product["residual, He, no norm"] == "2.3" and "10⁸" in product["plain, He, batch norm"]


def test_tables_hold_the_medians(rows):
    found = summarise(rows)
    _, lines = gradient_flow.against_rule(rows, {("plain", "he"): 1.0, ("residual", "he"): 2.0}, 4)
    assert lines[1] == ["residual, He", "2.00", "8", short(found["residual", "none", "he",
                                                                  4].median)]
    _, lines = gradient_flow.growth(rows, "batch norm", "he")
    assert [line[0] for line in lines] == list(gradients.DEPTHS)
    assert float(lines[0][2]) ** 3 == pytest.approx(float(lines[0][1]), rel=0.03)
    assert float(lines[0][4]) * 4 == pytest.approx(float(lines[0][3]), rel=0.03)
