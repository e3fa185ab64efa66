"""Numbers and lists as people write them, and the one check for whole numbers."""

import math
import operator

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def whole(value, name, least=1):
    """Return a whole number as an ``int``; numpy's and torch's integers are whole, booleans not.

    Args:
        value: what was given.
        name: what it is called where it was given.
        least: the smallest that makes sense; ``None`` where all do.

    Raises:
        ValueError: no whole number, or one below ``least``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or "bool" in str(getattr(value, "dtype", type(value))) or (
            least is not None and number < least):
        limit = {None: "", 1: " above 0"}.get(least, f", at least {least}")
        raise ValueError(f"{name} must be a whole number{limit}, got {value!r}")
    return number


def signed(value, digits=3):
    """Return a difference with its sign: +0.123, −0.045."""
    return f"{value:+.{digits}f}".replace("-", "−")


def listed(items):
    """Return items as people write them: 8, 20 and 32."""
    items = [str(item) for item in items]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def short(value):
    """Return a number in two digits as people write it: 0.31, 47, 2.1·10⁵, 0.

    >>> short(0.000032), short(0)
    ('3.2·10⁻⁵', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.01 <= abs(value) < 1000:
        return f"{float(f'{value:.2g}'):g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"


def duration(seconds):
    """Return a time in the unit that people would use: 0.2 s, 40 s, 12 minutes, 3.1 hours."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def fixed(value, digits):
    """Return a number with so many digits, a real minus sign, and no minus before zero."""
    words = f"{value:.{digits}f}"
    return words.strip("-") if float(words) == 0 else words.replace("-", "−")


def count(number, noun):
    """Return a number with its noun: 1 epoch, 2,000 epochs."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
