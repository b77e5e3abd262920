"""From recognised strips of text to the order in which they are read: lines, paragraphs, blocks.

Pure geometry: no pixels, no messages.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Quad = npt.NDArray[np.float64]
"""Four points (x, y): top left, top right, bottom right, bottom left as the text is read. Shape (4, 2)."""

# All lengths below are in heights of the text.
_JOIN_GAP = 1.5
_WIDE_GAP = 1.0
_PARAGRAPH_GAP = 0.8
_BLOCK_GAP = 2.0
# A short number far to the right of a line, as on receipts and in tables of contents, is read with that line.
_NUMBER_GAP = 15.0
_NUMBER_WIDTH = 6.0
_ALIKE = 1.5


@dataclass(frozen=True, slots=True)
class Symbol:
    """One character, where it is, and how sure the recogniser is of it (0 to 1)."""

    text: str
    confidence: float
    quad: Quad


@dataclass(slots=True)
class Word:
    """Symbols that belong together. ``after`` is what follows it within its line: nothing, " ", or a tab for a wide gap."""

    symbols: list[Symbol]
    after: str = ""


@dataclass(slots=True)
class Line:
    """Words side by side, and the strip of the picture that they fill."""

    words: list[Word]
    quad: Quad


@dataclass(slots=True)
class Paragraph:
    """Lines one below the other."""

    lines: list[Line]
    quad: Quad


@dataclass(slots=True)
class Block:
    """Paragraphs one below the other, apart from the rest of the page."""

    paragraphs: list[Paragraph]
    quad: Quad


@dataclass(slots=True)
class _Box:
    """The extent of something in the frame in which its text runs from left to right."""

    left: float
    top: float
    right: float
    bottom: float
    lines: list["_Box"] = field(default_factory=list)
    line: Line | None = None

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)

    @property
    def number(self) -> bool:
        """Whether this is a strip that holds a short number and at most a unit or a currency beside it."""
        text = "".join(symbol.text for word in self.line.words for symbol in word.symbols) if self.line else ""
        letters = sum(char.isalpha() for char in text)
        return any(char.isdigit() for char in text) and letters <= 3 and self.right - self.left < _NUMBER_WIDTH * self.height

    def beside(self, other: "_Box") -> float:
        """By how much the two overlap vertically, as a share of the lower of them."""
        return (min(self.bottom, other.bottom) - max(self.top, other.top)) / min(self.height, other.height)

    def above(self, other: "_Box") -> float:
        """By how much the two overlap horizontally, as a share of the narrower of them."""
        narrower = max(min(self.right - self.left, other.right - other.left), 1.0)
        return (min(self.right, other.right) - max(self.left, other.left)) / narrower

    def alike(self, other: "_Box") -> bool:
        return max(self.height, other.height) <= _ALIKE * min(self.height, other.height)


def read(strips: Iterable[Line]) -> list[Block]:
    """Groups strips into blocks of paragraphs of lines, all in reading order.

    Strips that run in different directions (from left to right, downwards, …) never share a block. Within one direction
    the median slope is taken out first, so that a tilted page reads like a straight one.
    """
    directions: dict[int, list[Line]] = {}
    for strip in strips:
        directions.setdefault(round(_angle(strip.quad) / (np.pi / 2)) % 4, []).append(strip)
    blocks: list[Block] = []
    for quarter in sorted(directions):
        blocks += _read_direction(directions[quarter], quarter * np.pi / 2)
    return blocks


def _read_direction(strips: list[Line], direction: float) -> list[Block]:
    slopes = [(_angle(strip.quad) - direction + np.pi) % (2 * np.pi) - np.pi for strip in strips]
    widths = [float(np.linalg.norm(strip.quad[1] - strip.quad[0])) for strip in strips]
    order = np.argsort(slopes)
    # The median by width: short strips know little about the slope.
    half = int(np.searchsorted(np.cumsum(np.array(widths)[order]), sum(widths) / 2))
    angle = direction + slopes[order[min(half, len(order) - 1)]]
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])  # Row vectors times this run from left to right.

    lines = _join_strips([_box(strip, turn) for strip in strips])
    paragraphs = _stack(lines, _PARAGRAPH_GAP, alike=True)
    blocks = _stack(paragraphs, _BLOCK_GAP, alike=False)
    return [
        Block(
            [Paragraph([line.line for line in paragraph.lines if line.line], _quad(paragraph, turn)) for paragraph in block.lines],
            _quad(block, turn),
        )
        for block in _reading_order(blocks)
    ]


def _angle(quad: Quad) -> float:
    across = quad[1] - quad[0] + quad[2] - quad[3]
    return float(np.arctan2(across[1], across[0]))


def _box(strip: Line, turn: npt.NDArray[np.float64]) -> _Box:
    points = strip.quad @ turn
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    # The mean of both ends, so that a strip that is tilted a little does not look taller.
    return _Box(left, float(points[:2, 1].mean()), right, float(points[2:, 1].mean()), line=strip)


def _quad(box: _Box, turn: npt.NDArray[np.float64]) -> Quad:
    corners = np.array([(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)])
    turned: Quad = corners @ turn.T
    return turned


def _join_strips(strips: Sequence[_Box]) -> list[_Box]:
    """Lines of strips that stand beside each other with no more than a gap between words."""
    lines: list[_Box] = []
    for strip in sorted(strips, key=lambda box: (box.left, box.top)):
        reach = _NUMBER_GAP if strip.number else _JOIN_GAP
        fitting = [
            line
            for line in lines
            if line.beside(strip) > 0.5
            and line.alike(strip)
            and -0.5 * strip.height < strip.left - line.right < reach * min(line.height, strip.height)
        ]
        if not fitting:
            lines.append(strip)
            continue
        line = max(fitting, key=lambda box: (box.right, box.beside(strip)))
        assert line.line is not None
        assert strip.line is not None
        line.line.words[-1].after = "\t" if strip.left - line.right > _WIDE_GAP * strip.height else " "
        line.line.words += strip.line.words
        line.left, line.right = min(line.left, strip.left), max(line.right, strip.right)
        line.top, line.bottom = min(line.top, strip.top), max(line.bottom, strip.bottom)
    return lines


def _stack(boxes: Sequence[_Box], gap: float, *, alike: bool) -> list[_Box]:
    """Piles of boxes that stand below each other, at most ``gap`` heights of a line apart."""
    piles: list[_Box] = []
    for box in sorted(boxes, key=lambda box: (box.top, box.left)):
        first = _first_line(box)
        fitting = [
            pile
            for pile in piles
            if pile.above(box) > 0.2
            and -0.5 * first.height < box.top - pile.bottom <= gap * min(first.height, _last_line(pile).height)
            and (not alike or _last_line(pile).alike(first))
        ]
        if not fitting:
            piles.append(_Box(box.left, box.top, box.right, box.bottom, [box]))
            continue
        pile = max(fitting, key=lambda each: (each.bottom, each.above(box)))
        pile.lines.append(box)
        pile.left, pile.right = min(pile.left, box.left), max(pile.right, box.right)
        pile.bottom = max(pile.bottom, box.bottom)
    return piles


def _first_line(box: _Box) -> _Box:
    return _first_line(box.lines[0]) if box.lines else box


def _last_line(box: _Box) -> _Box:
    return _last_line(box.lines[-1]) if box.lines else box


def _reading_order(blocks: Sequence[_Box]) -> list[_Box]:
    """Rows of blocks from the top, each from the left: a block belongs to a row whose first block it stands beside."""
    rows: list[list[_Box]] = []
    for block in sorted(blocks, key=lambda box: (box.top, box.left)):
        if rows and rows[-1][0].beside(block) > 0.5:
            rows[-1].append(block)
        else:
            rows.append([block])
    return [block for row in rows for block in sorted(row, key=lambda box: (box.left, box.top))]
