# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The picture: grouped horizontal bars, one panel for time and one for memory.

The drawing is a list of rectangles, lines and texts in points, from the top left; it is written as
SVG and, for the PNG, as PostScript that ghostscript renders.
"""
import shutil
import subprocess
from xml.sax.saxutils import escape

from . import report

# Distinct in print and for colour-blind readers; ours is the strongest.
COLOURS = {
    "libc": "#9a9a9a",
    "mimalloc": "#56b4e9",
    "jemalloc": "#e69f00",
    "tcmalloc": "#009e73",
    "tbbmalloc": "#cc79a7",
    "umf": "#c1121f",
}
OTHER_COLOUR = "#444444"

WIDTH, MARGIN, LABELS = 980, 16, 128
BAR, GROUP_GAP, TITLE, FOOT = 7, 8, 62, 30
CLIP = 2.5  # ratios above are cut off and written out
TEXT = 10


class Drawing:
    """Collects shapes; knows nothing of what they mean."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.shapes = []

    def rectangle(self, x, y, width, height, colour):
        self.shapes.append(("rectangle", x, y, width, height, colour))

    def line(self, x1, y1, x2, y2, colour):
        self.shapes.append(("line", x1, y1, x2, y2, colour))

    def text(self, x, y, text, size=TEXT, anchor="start", colour="#000000"):
        self.shapes.append(("text", x, y, text, size, anchor, colour))


def panel(drawing, left, width, table, names, title):
    """Draws the groups of one metric; `table` is {workload: {allocator: ratio}}."""
    scale = width / CLIP
    drawing.text(left, TITLE - 12, title, 12)
    y = TITLE
    bottom = TITLE + len(table) * (len(names) * BAR + GROUP_GAP)
    for mark in (0.5, 1.0, 1.5, 2.0, 2.5):
        x = left + mark * scale
        drawing.line(x, TITLE - 4, x, bottom, "#555555" if mark == 1.0 else "#dddddd")
        drawing.text(x, bottom + 11, "%.1f" % mark, 9, "middle")
    for row in table.values():
        for name in names:
            value = row.get(name)
            if value is None:
                drawing.text(left + 2, y + BAR - 0.5, "failed", 7, colour="#c1121f")
            else:
                colour = COLOURS.get(name, OTHER_COLOUR)
                drawing.rectangle(left, y, min(value, CLIP) * scale, BAR - 1, colour)
                if value > CLIP:
                    right = left + width - 3
                    drawing.text(right, y + BAR - 1, "%.1f" % value, 7, "end", "#ffffff")
            y += BAR
        y += GROUP_GAP


def draw(data):
    """The drawing for a stored run."""
    names = data["allocators"]
    base = report.BASE if report.BASE in names else names[0]
    tables = []
    for metric, _ in report.METRICS:
        relative = report.ratios(report.medians(data["results"], metric), base)
        tables.append({"geometric mean": report.geometric_means(relative, names), **relative})
    height = TITLE + len(tables[0]) * (len(names) * BAR + GROUP_GAP) + FOOT + MARGIN
    drawing = Drawing(WIDTH, height)
    drawing.rectangle(0, 0, WIDTH, height, "#ffffff")
    x = LABELS + MARGIN
    for name in names:
        drawing.rectangle(x, MARGIN, 10, 10, COLOURS.get(name, OTHER_COLOUR))
        drawing.text(x + 14, MARGIN + 9, name)
        x += 90
    y = TITLE
    for workload in tables[0]:
        drawing.text(LABELS + MARGIN - 8, y + len(names) * BAR / 2 + 3, workload, TEXT, "end")
        y += len(names) * BAR + GROUP_GAP
    width = (WIDTH - LABELS - 4 * MARGIN) / 2
    for number, (_, title) in enumerate(report.METRICS):
        left = LABELS + MARGIN + number * (width + 2 * MARGIN)
        heading = "%s, ratio to %s (shorter is better)" % (title, base)
        panel(drawing, left, width, tables[number], names, heading)
    drawing.text(MARGIN, height - 10, report.machine_line(data), 8)
    return drawing


SVG_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
    'font-family="Helvetica, Arial, sans-serif">'
)
SVG_RECTANGLE = '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>'
SVG_LINE = '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="0.7"/>'
SVG_TEXT = '<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s">%s</text>'


def svg(drawing):
    out = [SVG_HEAD % ((drawing.width, drawing.height) * 2)]
    for kind, *shape in drawing.shapes:
        if kind == "rectangle":
            out.append(SVG_RECTANGLE % tuple(shape))
        elif kind == "line":
            out.append(SVG_LINE % tuple(shape))
        else:
            x, y, text, size, anchor, colour = shape
            out.append(SVG_TEXT % (x, y, size, anchor, colour, escape(text)))
    return "\n".join(out + ["</svg>", ""])


def ps_colour(colour):
    return "%.3f %.3f %.3f setrgbcolor" % tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def ps_string(text):
    plain = text.encode("ascii", "replace").decode()
    return "(" + plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") + ")"


# What moves the pen before a text is shown; the text is on the stack.
PS_SHIFT = {
    "start": "0",
    "middle": "dup stringwidth pop -2 div",
    "end": "dup stringwidth pop neg",
}


def ps_shape(kind, shape, page_height):
    """One shape as PostScript, whose y axis points up."""
    if kind == "rectangle":
        x, y, width, height, _ = shape
        return "%.1f %.1f %.1f %.1f rectfill" % (x, page_height - y - height, width, height)
    if kind == "line":
        x1, y1, x2, y2, _ = shape
        ends = (x1, page_height - y1, x2, page_height - y2)
        return "%.1f %.1f moveto %.1f %.1f lineto stroke" % ends
    x, y, text, size, anchor, _ = shape
    place = (size, x, page_height - y, ps_string(text), PS_SHIFT[anchor])
    return "/Helvetica %g selectfont %.1f %.1f moveto %s %s 0 rmoveto show" % place


def postscript(drawing):
    page = "<< /PageSize [%d %d] >> setpagedevice" % (drawing.width, drawing.height)
    out = ["%!PS", page, "0.7 setlinewidth"]
    for kind, *shape in drawing.shapes:
        out.append(ps_colour(shape[-1]))
        out.append(ps_shape(kind, shape, drawing.height))
    return "\n".join(out + ["showpage", ""])


def write_png(drawing, path):
    """Renders with ghostscript; returns whether that worked."""
    if shutil.which("gs") is None:
        return False
    command = "gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=png16m -r108".split()
    command += ["-dTextAlphaBits=4", "-dGraphicsAlphaBits=4", "-o", path, "-"]
    source = postscript(drawing).encode("ascii")
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def write(data, stem):
    """Writes stem.svg and, if possible, stem.png; returns the paths written."""
    drawing = draw(data)
    with open(stem + ".svg", "w", encoding="utf-8") as out:
        out.write(svg(drawing))
    return [stem + ".svg"] + ([stem + ".png"] if write_png(drawing, stem + ".png") else [])
