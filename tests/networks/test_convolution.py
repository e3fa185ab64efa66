"""Arithmetic of sizes against torch: what it computes, and what it refuses."""

import math
import warnings
from contextlib import suppress
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resnet_lesson.networks.convolution import (
    coverage,
    output_size,
    pads,
    unreached,
    windows,
)

# float64 throughout: float32 convolutions are compiled anew for each shape, which takes longer.
torch_zeros = partial(torch.zeros, dtype=torch.float64)
torch_randn = partial(torch.randn, dtype=torch.float64)

many = settings(max_examples=600, derandomize=True, deadline=None)
some = settings(max_examples=150, derandomize=True, deadline=None)

# Zero and below are drawn on purpose: torch refuses them, and so must we.
LAYER = {"size": st.integers(-1, 14), "kernel": st.integers(-1, 7), "stride": st.integers(-1, 5),
         "padding": st.integers(-1, 7), "dilation": st.integers(-1, 4)}
GOOD = {"size": st.integers(1, 14), "kernel": st.integers(1, 6), "stride": st.integers(1, 5),
        "padding": st.integers(0, 6), "dilation": st.integers(1, 4)}


def answer(function, *arguments):
    """Return what a function of ours returns, or None where it refuses."""
    with suppress(ValueError):
        return function(*arguments)


def torch_answer(function):
    """Return the last axis of what torch returns, or None where it refuses."""
    with warnings.catch_warnings(), suppress(RuntimeError, ValueError):
        warnings.simplefilter("ignore")
        return function().shape[-1]


def torch_conv(size, kernel, stride, padding, dilation):
    if size < 0 or kernel < 0:
        return None  # torch has no tensor of negative size
    return torch_answer(lambda: F.conv2d(
        torch_zeros(1, 1, size, size), torch_zeros(1, 1, kernel, kernel), stride=stride,
        padding=padding, dilation=dilation))


@many
@given(**LAYER)
def test_sizes_and_refusals_are_those_of_conv2d_and_unfold(size, kernel, stride, padding,
                                                           dilation):
    layer = size, kernel, stride, padding, dilation
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    assert answer(output_size, *layer) == torch_conv(*layer)
    if size < 0:
        return  # torch has no tensor of negative size
    x = torch_zeros(1, 1, size, size)
    columns = torch_answer(lambda: F.unfold(x, kernel, **window))
    assert answer(output_size, *layer) == (None if columns is None else math.isqrt(columns))


@some
@given(size=st.integers(1, 14), kernel=st.integers(1, 7), stride=st.integers(1, 3),
       dilation=st.integers(1, 3), word=st.sampled_from(["valid", "same"]))
def test_words_for_padding_are_conv2ds(size, kernel, stride, dilation, word):
    layer = size, kernel, stride, word, dilation
    assert answer(output_size, *layer) == torch_conv(*layer)
    assume(answer(output_size, *layer) is not None)
    x, weight = torch_randn(1, 1, size), torch_randn(1, 1, kernel)
    padded = F.pad(x, pads(word, kernel, stride, dilation))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(F.conv1d(padded, weight, stride=stride, dilation=dilation),
                                   F.conv1d(x, weight, None, stride, word, dilation))


@some
@given(**GOOD, after=st.integers(0, 6))
def test_windows_coverage_and_unreached_cells_are_what_a_probe_finds(size, kernel, stride, padding,
                                                                     dilation, after):
    layer = size, kernel, stride, (padding, after), dilation
    one_hot = F.pad(torch.eye(size, dtype=torch.float64).unsqueeze(1), (padding, after))
    weight = torch.ones(1, 1, kernel, dtype=torch.float64)
    count = torch_answer(lambda: F.conv1d(one_hot, weight, None, stride, 0, dilation))
    assert answer(output_size, *layer) == count
    assume(count is not None)
    reads = F.conv1d(one_hot, weight, None, stride, 0, dilation).squeeze(1).T  # (windows, cells)
    ours = [[position for position in window if 0 <= position < size]
            for window in windows(*layer)]
    assert ours == [row.nonzero().flatten().tolist() for row in reads]
    assert all(len(window) == kernel for window in windows(*layer))
    assert coverage(*layer) == reads.sum(0).int().tolist()
    assert unreached(*layer) == (reads.sum(0) == 0).nonzero().flatten().tolist()


def test_broken_formulas_are_caught_by_the_same_settings():
    """Each variant is a mistake people make; the random settings tell it from torch."""
    broken = {
        "no floor": lambda n, k, s, p, d: Fraction(n + 2 * p - d * (k - 1) - 1, s) + 1,
        "ceiling": lambda n, k, s, p, d: -((d * (k - 1) + 1 - n - 2 * p) // s) + 1,
        "padding once": lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1,
        "no + 1": lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s,
        "no dilation": lambda n, k, s, p, d: (n + 2 * p - k) // s + 1,
        "d·k": lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1,
    }
    generator = np.random.default_rng(0)
    settings_ = [tuple(map(int, generator.integers((1, 1, 1, 0, 1), (14, 6, 5, 6, 4))))
                 for _ in range(200)]
    possible = [layer for layer in settings_ if answer(output_size, *layer) is not None]
    for name, formula in broken.items():
        assert any(formula(*layer) != torch_conv(*layer) for layer in possible), name


GOOD_LAYER = {"input_size": 8, "kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1}
NONSENSE = [2.0, True, None, "3", -1, float("nan"), (3,), {}, np.float64(2), np.bool_(True)]


@pytest.mark.parametrize("name", GOOD_LAYER)
@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_nonsense_is_refused_by_name_and_value(name, value):
    for function in (output_size, coverage):
        with pytest.raises(ValueError, match=name) as refusal:
            function(**{**GOOD_LAYER, name: value})
        assert repr(value) in str(refusal.value)


@pytest.mark.parametrize("call, words", [
    (lambda: output_size(5, 7), "no window fits: kernel_size 7 .* spans 7 .*input_size 5 .*only 5"),
    (lambda: output_size(5, 3, 1, 0, 4), "kernel_size 3 at dilation 4 spans 9"),
    (lambda: output_size(5, 3, 2, "same"), 'padding "same" with stride 2 is refused'),
    (lambda: output_size(5, 3, 1, "reflect"), "got 'reflect'"),
    (lambda: output_size(5, 3, 1, (1, -2)), "padding must be a whole number, at least 0, got -2"),
    (lambda: output_size(5, 3, 1, (1, 1, 1)), r"pair means .* got \(1, 1, 1\)"),
    (lambda: output_size((5, 5), 3), r"input_size must be one whole number, got \(5, 5\)"),
    (lambda: output_size(5, 3, stride=0), "stride must be a whole number above 0, got 0$"),
])
def test_refusals_name_the_offending_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_whole_numbers_of_other_libraries_are_taken():
    layer = np.int64(224), np.int32(7), torch.tensor(2), np.uint8(3)
    size = output_size(*layer)
    assert size == 112 and type(size) is int
    assert windows(np.int64(200), np.int8(3), np.int8(2)) == windows(200, 3, 2)
    assert coverage(torch.tensor(8), 3) == coverage(8, 3)


def test_half_a_kernel_of_padding_divides_the_size_for_odd_kernels_alone():
    """Notebook 03 says ⌈n / s⌉ of odd kernels at dilation 1; elsewhere it would not be true."""
    for kernels, dilation, holds in (((1, 3, 5, 7), 1, True), ((2, 4), 1, False), ((3,), 2, False)):
        layers = [(n, k, s) for n in range(9, 60) for k in kernels for s in (1, 2, 3, 4)]
        assert all(output_size(n, k, s, (k - 1) // 2, dilation) == -(-n // s)
                   for n, k, s in layers) is holds


def test_a_gradient_shows_the_whole_field_only_where_nothing_is_chosen():
    """Max-pooling hands a gradient to the largest of each window alone; the mean to all."""
    for pool, pixels in ((F.avg_pool2d, 36), (F.max_pool2d, 9)):
        x = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
        F.conv2d(pool(x, 2), torch.ones(1, 1, 3, 3))[0, 0, 1, 1].backward()
        assert x.grad.count_nonzero() == pixels


def test_max_pooling_commutes_with_what_never_goes_down():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for function, pool, same in ((F.relu, F.max_pool2d, True), (torch.tanh, F.max_pool2d, True),
                                 (F.gelu, F.max_pool2d, False), (F.relu, F.avg_pool2d, False)):
        assert torch.allclose(pool(function(x), 2), function(pool(x, 2))) is same
