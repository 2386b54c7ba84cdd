"""The report as one HTML file that needs nothing beside it."""

import base64
from html import escape

from reader_study.results.report import Heading, Part, Report, Sources, Text
from reader_study.results.sections import Figure, Table

STYLE = """
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a;
  background: #fff; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.8rem; line-height: 1.2; } h2 { border-bottom: 1px solid #c8c8c8; }
h3 { margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { text-align: left; padding: 0.25rem 0.5rem; border-bottom: 1px solid #d8d8d8;
  vertical-align: top; overflow-wrap: anywhere; }
tbody th { font-weight: 400; } .number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption, .quiet { color: #595959;
  font-size: 0.875rem; }
.mark { font-size: 0.8rem; border: 1px solid; border-radius: 4px; padding: 0 0.35rem;
  font-weight: 600; color: #8a4b00; } .mark.pre-specified { color: #1f6b35; }
.scroll { overflow-x: auto; }
@media print { section { break-inside: avoid; } }
"""


def as_html(report: Report, svgs: dict[str, bytes]) -> bytes:
    """Return the report as HTML; `svgs` are the figures by name."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in report.about
    )
    body = "\n".join(_part(part, svgs) for part in report.parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(report.title)}</h1>\n<p>{escape(report.subject)}</p>\n"
        f"<table><caption>What this report was made of</caption><tbody>{rows}</tbody></table>\n"
        f"{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def _part(part: Part, svgs: dict[str, bytes]) -> str:
    match part:
        case Heading(level, text, mark):
            tag = f"h{level + 1}"
            standing = f' <span class="mark {mark}">{mark}</span>' if mark else ""
            return f"<{tag}>{escape(text)}{standing}</{tag}>"
        case Text(text, quiet):
            return f'<p class="quiet">{escape(text)}</p>' if quiet else f"<p>{escape(text)}</p>"
        case Sources(items):
            return "<ol>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ol>"
        case Figure():
            return _figure(part, svgs[part.name])
        case Table():
            return _table(part)


def _figure(figure: Figure, svg: bytes) -> str:
    content = base64.b64encode(svg).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{content}" alt="{escape(figure.alt)}">'
        f"<figcaption>{escape(figure.title)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    numeric = [column.kind != "text" for column in table.columns]
    head = "".join(
        f'<th scope="col"{_class(number)}>{escape(column.label)}</th>'
        for column, number in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for row in table.shown():
        cells = [f'<th scope="row">{escape(row[0])}</th>'] + [
            f"<td{_class(number)}>{escape(cell)}</td>"
            for cell, number in zip(row[1:], numeric[1:], strict=True)
        ]
        rows.append("<tr>" + "".join(cells) + "</tr>")
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in table.notes)
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(table.caption)}">'
        f"<table><caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>{notes}"
    )


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""
