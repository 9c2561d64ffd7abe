"""The flow of patients through the sequence, drawn as a Sankey diagram in plain SVG."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from typing import Any

from crlm_sim.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, translucent
from crlm_sim.report.run_folder import Run

_WIDTH, _HEIGHT, _BOX, _GAP = 1080, 360, 14, 32
_TOP, _LABEL_WIDTH, _LABEL_LETTERS = 24, 205, 24
_COLOURS = (BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, GREY)

Link = tuple[str, str, float]


@dataclass(frozen=True)
class Flow:
    """One policy's picture and the same in numbers: from, to, patients, share of `from`."""

    label: str
    picture: str
    rows: list[tuple[str, str, str, str]]


@dataclass
class _Node:
    name: str
    layer: int
    size: float
    y: float = 0.0
    used_out: float = 0.0
    used_in: float = 0.0


def read_links(found: list[Any]) -> list[Link]:
    """The links that carry patients."""
    links = [(str(source), str(target), float(number)) for source, target, number in found]
    return [link for link in links if link[2] > 0 and link[0] != link[1]]


def layers(links: list[Link]) -> dict[str, int]:
    """Each node's column: one to the right of everything that leads to it."""
    found = {name: 0 for link in links for name in link[:2]}
    for _ in found:
        for source, target, _patients in links:
            found[target] = min(max(found[target], found[source] + 1), len(found))
    return found


def _nodes(links: list[Link]) -> dict[str, _Node]:
    columns = layers(links)
    nodes = {}
    for name, layer in columns.items():
        into = sum(n for _, target, n in links if target == name)
        out = sum(n for source, _, n in links if source == name)
        nodes[name] = _Node(name, layer, max(into, out))
    return nodes


def _stack(nodes: dict[str, _Node], links: list[Link]) -> float:
    """Place each column's nodes, near what leads to them; returns pixels per patient."""
    columns: dict[int, list[_Node]] = {}
    for node in nodes.values():
        columns.setdefault(node.layer, []).append(node)
    scale = min(
        (_HEIGHT - _GAP * (len(column) - 1)) / sum(node.size for node in column)
        for column in columns.values()
    )
    for layer in sorted(columns):
        column = columns[layer]
        wished = {node.name: _wish(node, nodes, links, scale) for node in column}
        column.sort(key=lambda node: wished[node.name])
        height = sum(node.size for node in column) * scale + _GAP * (len(column) - 1)
        size = sum(node.size for node in column)
        middle = sum(wished[node.name] * node.size for node in column) / size
        y = min(max(middle - height / 2, _TOP), _TOP + _HEIGHT - height)
        for node in column:
            node.y = y
            y += node.size * scale + _GAP
    return scale


def _wish(node: _Node, nodes: dict[str, _Node], links: list[Link], scale: float) -> float:
    """The mean middle of what leads to a node; the middle of the picture for the first."""
    into = [(nodes[source], n) for source, target, n in links if target == node.name]
    weight = sum(n for _, n in into)
    if not weight:
        return _TOP + _HEIGHT / 2
    return sum((source.y + source.size * scale / 2) * n for source, n in into) / weight


def _colour(name: str, names: list[str]) -> str:
    return _COLOURS[names.index(name) % len(_COLOURS)]


def _ribbon(x0: float, y0: float, x1: float, y1: float, height: float, colour: str) -> str:
    middle = (x0 + x1) / 2
    path = (
        f"M{x0:.1f} {y0:.1f}C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"v{height:.1f}C{middle:.1f} {y1 + height:.1f} {middle:.1f} {y0 + height:.1f} "
        f"{x0:.1f} {y0 + height:.1f}Z"
    )
    return f'<path d="{path}" fill="{translucent(colour, 0.38)}"/>'


def _label(node: _Node, x: float, height: float, total: float) -> str:
    """A node's name, on as many lines as it needs, and its patients."""
    lines = textwrap.wrap(node.name, _LABEL_LETTERS) or [""]
    numbers = f"{node.size:,.0f} ({100 * node.size / total:.0f} %)"
    y = node.y + height / 2 + 6 - 8 * len(lines)
    halo = 'paint-order="stroke" stroke="#fff" stroke-width="3" stroke-linejoin="round"'
    parts = []
    for place, line in enumerate([*lines, numbers]):
        weight = 400 if place == len(lines) else 600
        parts.append(
            f'<text x="{x + _BOX + 6:.1f}" y="{y + 16 * place:.1f}" font-size="13" '
            f'font-weight="{weight}" fill="#1a1a1a" {halo}>{html.escape(line)}</text>'
        )
    return "".join(parts)


def picture(links: list[Link], names: list[str], title: str) -> str:
    """The diagram as SVG; `names` fixes the colours, so that policies look alike."""
    nodes = _nodes(links)
    scale = _stack(nodes, links)
    last = max(node.layer for node in nodes.values()) or 1
    step = (_WIDTH - _LABEL_WIDTH - _BOX) / last
    total = sum(node.size for node in nodes.values() if node.layer == 0)
    ribbons = []
    ordered = sorted(links, key=lambda link: (nodes[link[0]].y, nodes[link[1]].y))
    for source, target, patients in ordered:
        start, end = nodes[source], nodes[target]
        height = patients * scale
        ribbons.append(
            _ribbon(
                start.layer * step + _BOX,
                start.y + start.used_out,
                end.layer * step,
                end.y + end.used_in,
                height,
                _colour(target, names),
            )
        )
        start.used_out += height
        end.used_in += height
    boxes, labels = [], []
    for node in nodes.values():
        height = max(node.size * scale, 1.0)
        x = node.layer * step
        colour = _colour(node.name, names)
        boxes.append(
            f'<rect x="{x:.1f}" y="{node.y:.1f}" width="{_BOX}" height="{height:.1f}" '
            f'fill="{colour}"/>'
        )
        labels.append(_label(node, x, height, total))
    body = "".join(ribbons + boxes + labels)
    tall = _HEIGHT + 2 * _TOP
    return (
        f'<svg viewBox="0 0 {_WIDTH} {tall}" width="{_WIDTH}" height="{tall}" role="img" '
        f'aria-label="{html.escape(title)}">{body}</svg>'
    )


def _rows(links: list[Link]) -> list[tuple[str, str, str, str]]:
    out: dict[str, float] = {}
    for source, _, n in links:
        out[source] = out.get(source, 0.0) + n
    return [(s, t, f"{n:,.0f}", f"{100 * n / out[s]:.0f}\u00a0%") for s, t, n in links]


def flows(run: Run) -> list[Flow]:
    """A diagram and a table for every policy."""
    found = run.summary.get("flow") or {}
    by_policy = {name: read_links(found.get(name) or []) for name in run.names}
    names = list(dict.fromkeys(n for links in by_policy.values() for k in links for n in k[:2]))
    return [
        Flow(
            label=run.label(policy),
            picture=picture(
                links, names, f"Flow of patients under {run.label(policy)}; numbers in the table"
            ),
            rows=_rows(links),
        )
        for policy, links in by_policy.items()
        if links
    ]
