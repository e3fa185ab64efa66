"""Sentences about recorded gradients: invented rows with a known answer give the words for it."""

import pytest

from resnet_lesson.experiments import gradients
from resnet_lesson.findings import gradient_flow
from resnet_lesson.findings.gradient_flow import hidden, sentences, summarise
from resnet_lesson.words import short


@pytest.fixture(scope="module")
def rows():
    return gradients.load()


def fake(shortcut, norm, initialisation, depth, seed, ratio, weight=1.0):
    return gradients.Row(shortcut, norm, initialisation, depth, seed, ratio, weight, 1.0, 16, 14,
                         128, "2", (ratio, 1.0), (weight, 1.0), (1.0, 1.0))


def test_sentences_follow_the_numbers():
    values = {("none", "default"): (0.0, 2.0), ("none", "he"): (0.5, 5000.0),
              ("batch norm", "he"): (3e4, 20.0), ("none", "xavier"): (1.0, 2.0),
              ("batch norm", "xavier"): (1e-9, 500.0)}
    rows = [fake(arm, *key, 8, seed, pair[i]) for key, pair in values.items() for seed in range(3)
            for i, arm in enumerate(("plain", "residual"))]
    vanish, explode, hold, helps, hurts, same = sentences(rows, 8)
    assert "plain, PyTorch's default, no norm (0, underflow in 3 of 3 seeds)" in vanish
    assert "plain, Xavier, with batch norm (1.0·10⁻⁹)" in vanish and "residual" not in vanish
    assert "residual, He, no norm (5.0·10³)" in explode
    assert "plain, He, with batch norm (3.0·10⁴)" in explode
    assert "residual, He, with batch norm (20)" in hold and "plain, He, no norm (0.5)" in hold
    assert "PyTorch's default, no norm" in helps and "He, with batch norm" in helps
    assert "500 with: it still explodes" in helps and "20 with)" in helps
    assert "He, no norm (0.5 without, 5.0·10³ with)" in hurts
    assert "Xavier, no norm (1 without, 2 with)" in same


def test_sentences_change_with_the_numbers(rows):
    turned = [row._replace(gradient_ratio=1 / row.gradient_ratio if row.gradient_ratio else 1e9)
              for row in rows]
    assert sentences(turned, 64)[0] != sentences(rows, 64)[0]
    with pytest.raises(ValueError, match="nothing was measured at 5 blocks"):
        sentences(rows, 5)


def test_weights_that_hide_are_found():
    rows = [fake("plain", "none", "he", 8, 0, 1e-5), fake("plain", "none", "xavier", 8, 0, 1.0),
            fake("residual", "none", "he", 8, 0, 1e5, weight=1e4)]
    assert [setting for setting, _, _ in hidden(rows, 8)] == [rows[0].setting]


@pytest.mark.parametrize(("plain", "residual", "word"), [
    (1e-6, 0.5, "helps"), (0.0, 1e9, "helps"), (1.0, 1e3, "hurts"), (1.0, 1e-3, "hurts"),
    (2.0, 3.0, "makes no clear difference"), (0.0, 0.0, "makes no clear difference"),
    (100.0, 0.01, "makes no clear difference")])
def test_effect(plain, residual, word):
    assert gradient_flow.effect(plain, residual) == word


def test_the_table_shows_each_setting_once(rows):
    headings, lines = gradient_flow.table(rows)
    assert headings[3:] == [f"{depth} blocks" for depth in gradients.DEPTHS]
    assert len(lines) == 12 and len({tuple(line[:3]) for line in lines}) == 12
    found = summarise(rows)
    assert lines[0][3] == short(found[("plain", "none", "default", 4)].median)
