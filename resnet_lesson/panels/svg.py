"""SVG: documents, with a caption or without, and the shapes that diagrams are made of."""

import base64
import html
import textwrap

from resnet_lesson.panels.picture import quick_png


def svg(width, height, *parts, style="background:white"):
    """Return an SVG document of the given size in pixels from its parts."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="100%" style="{style}" font-family="DejaVu Sans, Verdana, sans-serif" '
            f'font-size="16">{"".join(parts)}</svg>')


def with_caption(source, caption, size):
    """Return an SVG document that holds another one and, under it, a caption in lines.

    Args:
        source: what ``svg`` returned.
        caption: the words.
        size: width and height of ``source`` in units of 100 pixels.
    """
    width, height = (round(100 * side) for side in size)
    lines = textwrap.wrap(caption, width // 9)
    words = [text(8, height + 24 + 22 * i, words) for i, words in enumerate(lines)]
    inner = source.replace('width="100%"', f'width="{width}" height="{height}"', 1)
    return svg(width, height + 22 * len(lines) + 16, inner, *words,
               style=f"max-width:{width}px;background:white")


def element(tag, content="", **attributes):
    """Return an SVG element; an attribute with the value ``None`` is left out.

    >>> element("rect", x=1.5, stroke_width=2, fill=None)
    '<rect x="1.5" stroke-width="2"></rect>'
    """
    pairs = (f' {name.strip("_").replace("_", "-")}="{_short(value)}"'
             for name, value in attributes.items() if value is not None)
    return f"<{tag}{''.join(pairs)}>{content}</{tag}>"


def _short(value):
    """Return a number with at most two decimals, and anything else as it is."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def text(x, y, words, color="black", anchor="start", *, bold=False, size=None):
    """Return words at a point, as large as those around them unless a size is given."""
    return element("text", html.escape(words), x=x, y=y, fill=color, text_anchor=anchor,
                   font_weight="bold" if bold else None, font_size=size)


def box(x, y, width, height, fill="none", **look):
    """Return a rectangle; ``look`` are further attributes, as in ``element``."""
    return element("rect", x=x, y=y, width=width, height=height, fill=fill, **look)


def line(*points, color="black", thick=2.5, dash=None, arrow=False):
    """Return a line through points (x, y), with a head at its end for an ``arrow``."""
    drawn = element("polyline", points=_route(points), fill="none", stroke=color,
                    stroke_width=thick, stroke_dasharray=dash)
    if not arrow:
        return drawn
    (x0, y0), (x, y) = points[-2:]
    across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
    head = ((x, y), (x - 10 * across - 6 * down, y - 10 * down - 6 * across),
            (x - 10 * across + 6 * down, y - 10 * down + 6 * across))
    return drawn + element("polygon", points=_route(head), fill=color)


def _route(points):
    return " ".join(f"{_short(x)},{_short(y)}" for x, y in points)


def image(pixels, x, y, width):
    """Return a picture, an array (H, W, 3) of bytes, each of whose pixels is a square."""
    height = width * pixels.shape[0] / pixels.shape[1]
    source = base64.b64encode(quick_png(pixels)).decode()
    return element("image", x=x, y=y, width=width, height=height,
                   href=f"data:image/png;base64,{source}", style="image-rendering:pixelated")
