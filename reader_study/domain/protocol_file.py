"""A protocol as a file, YAML or JSON: read with the line of every part."""

from typing import Any

import yaml

from reader_study.domain.mistakes import Mistake, Place
from reader_study.domain.protocol import Protocol, find_mistakes, parse_protocol, refusal

Lines = dict[Place, int]


def read_protocol(text: str) -> Protocol:
    """Read and validate a protocol.

    Raises:
        ProtocolInvalid: with a problem per mistake: line, place, and what is wrong there.
    """
    return read_with_lines(text)[0]


def read_with_lines(text: str) -> tuple[Protocol, Lines]:
    """Read and validate a protocol; also return the line of every part.

    Raises:
        ProtocolInvalid: as `read_protocol`.
    """
    document, lines, twice = _load(text)
    mistakes = [*twice, *find_mistakes(document)]
    if mistakes:
        raise refusal(mistakes, lines)
    return parse_protocol(document), lines


def write_protocol(protocol: Protocol) -> str:
    """Write a protocol as YAML, without what is as it would be anyway."""
    document = protocol.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _load(text: str) -> tuple[Any, Lines, list[Mistake]]:
    """Return the document, the lines of its parts, and keys that are written twice."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                says = f"write out what *{event.anchor} refers to: a protocol has no references"
                raise refusal([Mistake((), says)], {(): _line(event.start_mark)})
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mistake = Mistake((), f"cannot be read: {error.problem}")
        raise refusal([mistake], {(): _line(error.problem_mark)}) from None
    except yaml.YAMLError as error:
        raise refusal([Mistake((), f"cannot be read: {error}")], {(): 1}) from None
    except ValueError as error:  # such as a date that there is not
        raise refusal([Mistake((), f"cannot be read: {error}")], {(): 1}) from None
    if not isinstance(document, dict):
        says = "is no protocol: it has no names with values, such as 'protocol: 1'"
        raise refusal([Mistake((), says)], {(): 1})
    lines: Lines = {}
    twice: list[Mistake] = []
    _walk(root, (), lines, twice)
    return document, lines, twice


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _walk(node: yaml.Node | None, place: Place, lines: Lines, twice: list[Mistake]) -> None:
    if node is None:
        return
    lines.setdefault(place, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            line = _line(key.start_mark)
            if inner in lines:
                says = f"is written twice, on the lines {lines[inner]} and {line}"
                twice.append(Mistake(inner, says))
            lines[inner] = line
            _walk(value, inner, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _walk(value, (*place, str(number)), lines, twice)
