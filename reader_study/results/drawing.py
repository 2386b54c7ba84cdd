"""How figures are drawn: one style, and files that come out the same again."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from reader_study.results.sections import Figure

# Okabe and Ito's colours, which people tell apart whatever colours they see; the line style and
# the marker differ too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"
INK, QUIET, FAINT = "#1a1a1a", "#595959", "#c8c8c8"
DPI = 200

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "reread",
    "svg.fonttype": "path",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "path.simplify": False,
}

Draw = Callable[[Canvas, dict[str, Any]], None]


def draw(figure: Figure, how: Draw) -> tuple[bytes, bytes]:
    """Return a figure as SVG and as PNG; the same content gives the same bytes."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(layout="constrained")
        how(canvas, figure.content)
        svg, png = io.BytesIO(), io.BytesIO()
        # A title and a description, for those who do not see it.
        about = {"Title": figure.title, "Description": figure.alt, "Date": None, "Creator": None}
        FigureCanvasSVG(canvas).print_svg(svg, metadata=about)  # type: ignore[no-untyped-call]
        canvas.set_dpi(DPI)
        shown = {"Title": figure.title, "Description": figure.alt, "Software": None}
        FigureCanvasAgg(canvas).print_png(png, metadata=shown)  # type: ignore[no-untyped-call]
    return svg.getvalue(), png.getvalue()


def grid_of(canvas: Canvas, number: int, *, width: float, height: float) -> list[Axes]:
    """Return axes for `number` panels in rows of at most three, each of a size in inches."""
    columns = min(3, number)
    lines = -(-number // columns)
    canvas.set_size_inches(width * columns, height * lines)
    return [canvas.add_subplot(lines, columns, i + 1) for i in range(number)]


def unit_square(axes: Axes, title: str) -> None:
    """Prepare axes for a ROC curve."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=0)
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
        xlabel="1 − specificity",
        ylabel="Sensitivity",
        title=title,
    )
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
