"""The report as PDF, on A4; the same report gives the same bytes."""

import io
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    Image,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from reader_study.results.drawing import DPI
from reader_study.results.report import Heading, Part, Report, Sources, Text
from reader_study.results.sections import PRE_SPECIFIED, Figure, Table

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN
# A figure leaves room for its heading and its caption.
HIGHEST = 105 * mm
INK, QUIET, LINE = (colors.HexColor(each) for each in ("#1a1a1a", "#595959", "#c8c8c8"))
MARKS = {PRE_SPECIFIED: "#1f6b35"}
OTHER_MARK = "#8a4b00"


def as_pdf(report: Report, pngs: dict[str, bytes]) -> bytes:
    """Return the report as PDF; `pngs` are the figures by name."""
    _fonts()
    target = io.BytesIO()
    document = _Document(
        target,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=report.title,
        author="Reread",
        subject=report.subject,
        lang="en",
        invariant=1,  # no dates and no chance in the file
    )
    document.foot = report.subject
    story: list[Flowable] = [
        Paragraph(escape(report.title), _style("title", 18, bold=True, after=4)),
        Paragraph(escape(report.subject), _style("subject", 11, after=10, colour=QUIET)),
        _grid([[escape(cell) for cell in row] for row in report.about], [0.25, 0.75], 8),
    ]
    for part, following in zip(report.parts, [*report.parts[1:], None], strict=True):
        flowables = _part(part, pngs)
        if isinstance(part, Text) and isinstance(following, Figure):
            # What is said of a figure stays with it.
            flowables[-1].keepWithNext = 1
        story += flowables
    document.build(story)
    return target.getvalue()


def _fonts() -> None:
    if FONT not in pdfmetrics.getRegisteredFontNames():
        folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
        pdfmetrics.registerFont(TTFont(FONT, folder / "DejaVuSans.ttf"))
        pdfmetrics.registerFont(TTFont(BOLD, folder / "DejaVuSans-Bold.ttf"))
        pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def _style(
    name: str,
    size: float,
    *,
    bold: bool = False,
    before: float = 0,
    after: float = 4,
    colour: Any = INK,
    right: bool = False,
) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        fontName=BOLD if bold else FONT,
        fontSize=size,
        leading=1.35 * size,
        spaceBefore=before,
        spaceAfter=after,
        textColor=colour,
        alignment=2 if right else 0,
        splitLongWords=1,
    )


class _Document(BaseDocTemplate):  # type: ignore[misc]
    """Pages with a foot, and headings as bookmarks."""

    foot = ""

    def __init__(self, target: io.BytesIO, **options: Any) -> None:
        super().__init__(target, **options)
        frame = Frame(
            *(self.leftMargin, self.bottomMargin, self.width, self.height),
            leftPadding=0,
            rightPadding=0,
        )
        self.addPageTemplates([PageTemplate("page", [frame], onPage=self._foot)])
        self.bookmarks = 0

    def _foot(self, canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(MARGIN, 12 * mm, self.foot)
        canvas.drawRightString(A4[0] - MARGIN, 12 * mm, f"Page {document.page}")
        canvas.restoreState()

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 (reportlab's name)
        """Note each heading among the bookmarks."""
        level = getattr(flowable, "level", None)
        if level is not None:
            self.bookmarks += 1
            key = f"heading-{self.bookmarks}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(flowable.getPlainText(), key, level - 1, closed=level > 1)


def _part(part: Part, pngs: dict[str, bytes]) -> list[Flowable]:
    match part:
        case Heading():
            return [_heading(part)]
        case Text(text, quiet):
            size, colour = (7.5, QUIET) if quiet else (9, INK)
            return [Paragraph(escape(text), _style("text", size, colour=colour, after=5))]
        case Sources(items):
            style = _style("source", 8, after=3)
            style.leftIndent, style.firstLineIndent = 16, -16
            return [
                Paragraph(f"{number}.&nbsp;{escape(item)}", style)
                for number, item in enumerate(items, start=1)
            ]
        case Figure():
            return _figure(part, pngs[part.name])
        case Table():
            return _table(part)


def _heading(part: Heading) -> Flowable:
    size, before = {1: (14, 16), 2: (11, 12)}.get(part.level, (9.5, 8))
    mark = ""
    if part.mark:
        colour = MARKS.get(part.mark, OTHER_MARK)
        mark = f' <font size="7.5" color="{colour}">[{part.mark}]</font>'
    found = Paragraph(
        escape(part.text) + mark, _style(f"h{part.level}", size, bold=True, before=before, after=4)
    )
    found.level = part.level
    found.keepWithNext = 1
    return found


def _figure(figure: Figure, png: bytes) -> list[Flowable]:
    wide, high = ImageReader(io.BytesIO(png)).getSize()
    # Somewhat smaller than it was drawn, so that its text is that of captions.
    scale = min(0.8 * 72 / DPI, WIDTH / wide, HIGHEST / high)
    image = Image(io.BytesIO(png), wide * scale, high * scale, hAlign="LEFT")
    caption = Paragraph(escape(figure.title), _style("caption", 8, colour=QUIET, after=8))
    image.keepWithNext = 1
    return [image, caption]


def _table(table: Table) -> list[Flowable]:
    many = len(table.columns)
    size = 8 if many < 7 else 7 if many < 9 else 6
    numeric = [column.kind != "text" for column in table.columns]
    shown = table.shown()
    head = [column.label for column in table.columns]
    shares = _widths([head, *shown], size)
    style, right = _style("cell", size, after=0), _style("number", size, after=0, right=True)
    bold = _style("head", size, bold=True, after=0)
    bold_right = _style("head-number", size, bold=True, after=0, right=True)
    rows = [
        [
            Paragraph(escape(cell), bold_right if number else bold)
            for cell, number in zip(head, numeric, strict=True)
        ]
    ]
    rows += [
        [
            Paragraph(escape(cell), right if number else style)
            for cell, number in zip(row, numeric, strict=True)
        ]
        for row in shown
    ]
    caption = Paragraph(escape(table.caption), _style("caption", 8, bold=True, before=6, after=2))
    caption.keepWithNext = 1
    notes = [
        Paragraph(escape(note), _style("note", 7, colour=QUIET, after=2)) for note in table.notes
    ]
    return [caption, _grid_of(rows, shares), *notes, Spacer(1, 6)]


def _widths(rows: list[list[str]], size: float) -> list[float]:
    """Share the width of the page: no word is broken if it can be helped, long texts wrap."""
    wanted = []
    for column in zip(*rows, strict=True):
        word = max(
            pdfmetrics.stringWidth(word, BOLD, size)
            for cell in column
            for word in cell.split() or [""]
        )
        whole = max(pdfmetrics.stringWidth(cell, BOLD, size) for cell in column)
        wanted.append((min(word, 0.35 * WIDTH) + 8, min(whole, 0.6 * WIDTH) + 8))
    least, most = sum(low for low, _ in wanted), sum(high for _, high in wanted)
    if most <= WIDTH:
        spare = (WIDTH - most) / len(wanted)
        return [(high + spare) / WIDTH for _, high in wanted]
    if least >= WIDTH:
        return [low / least for low, _ in wanted]
    part = (WIDTH - least) / (most - least)
    return [(low + part * (high - low)) / WIDTH for low, high in wanted]


def _grid(rows: list[list[str]], shares: list[float], size: float) -> Flowable:
    style = _style("cell", size, after=0)
    cells = [[Paragraph(cell, style) for cell in row] for row in rows]
    return _grid_of(cells, shares, head=False)


def _grid_of(rows: list[list[Any]], shares: list[float], *, head: bool = True) -> Flowable:
    return Grid(
        rows,
        colWidths=[share * WIDTH for share in shares],
        repeatRows=1 if head else 0,
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            *([("LINEBELOW", (0, 0), (-1, 0), 0.8, INK)] if head else []),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ],
    )
