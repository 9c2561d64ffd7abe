"""The rule language: conditions on what the clinic knows about a patient, read from text.

    expression  = conjunction { "or" conjunction } ;
    conjunction = negation { "and" negation } ;
    negation    = "not" negation | condition ;
    condition   = "(" expression ")" | "true" | "false" | "default"
                | flag
                | operand relation operand { relation operand }
                | attribute [ "not" ] "in" "(" constant { "," constant } [ "," ] ")" ;
    operand     = attribute | constant ;
    relation    = "<" | "<=" | ">" | ">=" | "==" | "!=" ;
    constant    = number [ unit ] | word ;
    unit        = "years" | "months" | "weeks" | "days" | "mm" | "cm" | "ng/mL" | "%" | … ;
    word        = "'" characters "'" | '"' characters '"' ;

`attribute` is a name of `care.attributes.ATTRIBUTES`, `flag` one that is yes or no. A comparison
has an attribute on one side and a constant on the other; `20 mm <= largest_mm <= 50 mm` is two of
them. `default` is another word for `true`. A number without a unit is in the attribute's own unit.
"""

from __future__ import annotations

import difflib
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from crlm_sim.care import rules as machine
from crlm_sim.care.attributes import (
    ATTRIBUTES,
    BY_NAME,
    CHOICE,
    FLAG,
    MM,
    MONTHS,
    NG_ML,
    NUMBER,
    SHARE,
    YEARS,
    Attribute,
)
from crlm_sim.scenario.messages import nearest, one_of, shown
from crlm_sim.scenario.quantities import DAYS_PER_MONTH, DAYS_PER_YEAR

MOST_NESTING = 50
"""Brackets and `not`s that may stand inside one another."""
MOST_CELLS = 200_000
"""Combinations of values `never_fires` looks at; beyond that it does not judge."""

_OPCODES = {
    "<": machine.LESS,
    "<=": machine.AT_MOST,
    ">": machine.MORE,
    ">=": machine.AT_LEAST,
    "==": machine.EQUAL,
    "!=": machine.UNEQUAL,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_CONSTANTS = {"true": True, "default": True, "false": False}
_KEYWORDS = ("and", "or", "not", "in", *_CONSTANTS)
_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    YEARS: {
        "years": (1.0, 1.0),
        "months": (1.0, 12.0),
        "weeks": (7.0, DAYS_PER_YEAR),
        "days": (1.0, DAYS_PER_YEAR),
    },
    MONTHS: {
        "months": (1.0, 1.0),
        "years": (12.0, 1.0),
        "weeks": (7.0, DAYS_PER_MONTH),
        "days": (1.0, DAYS_PER_MONTH),
    },
    MM: {"mm": (1.0, 1.0), "cm": (10.0, 1.0)},
    NG_ML: {"ng/mL": (1.0, 1.0), "ng/ml": (1.0, 1.0), "µg/L": (1.0, 1.0), "ug/L": (1.0, 1.0)},
    SHARE: {"%": (1.0, 100.0)},
}
"""For each unit of an attribute, the units it may be written in: times the first, by the second."""
_SINGULAR = ("year", "month", "week", "day")


class RuleError(ValueError):
    """A rule that cannot be used: what is wrong, at which column (from 0), and what would do."""

    def __init__(self, message: str, column: int, suggestion: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.suggestion = suggestion


# The tree -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    """Always, or never."""

    value: bool


@dataclass(frozen=True)
class Flag:
    """An attribute that is yes or no."""

    name: str


@dataclass(frozen=True)
class Comparison:
    """An attribute compared with a constant, which is in the attribute's own unit."""

    name: str
    relation: str
    value: float | str


@dataclass(frozen=True)
class Member:
    """An attribute that is one of a few constants."""

    name: str
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class Not:
    """The contrary."""

    inner: Expression


@dataclass(frozen=True)
class And:
    """All of two or more."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """Any of two or more."""

    parts: tuple[Expression, ...]


Expression = Constant | Flag | Comparison | Member | Not | And | Or


# From text to tokens ------------------------------------------------------------------------------

_NUMBER, _WORD, _NAME, _SIGN, _END = "number", "word", "name", "sign", "end"
_TOKEN = re.compile(
    r"""(?P<number>[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)
      | (?P<word>'[^'\n]*'|"[^"\n]*")
      | (?P<name>[A-Za-zµ_][A-Za-z0-9_]*(/[A-Za-z]+)?)
      | (?P<sign><=|>=|==|!=|[<>(),%])""",
    re.VERBOSE,
)
_MEANT = {
    "=": "==",
    "&": "and",
    "|": "or",
    "!": "not",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "[": "(",
    "]": ")",
    "‘": "'",
    "’": "'",
    "“": "'",
    "”": "'",
}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int

    def is_one_of(self, *texts: str) -> bool:
        return self.kind in (_NAME, _SIGN) and self.text in texts


def _tokens(text: str) -> list[_Token]:
    """The tokens of a text, closed by one of kind `end`."""
    found = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            _reject_sign(text[at], at)
        kind = next(kind for kind in (_NUMBER, _WORD, _NAME, _SIGN) if match[kind])
        content = match[0][1:-1] if kind == _WORD else match[0]
        found.append(_Token(kind, content, at))
        at = match.end()
    return [*found, _Token(_END, "", len(text))]


def _reject_sign(sign: str, column: int) -> NoReturn:
    if sign in "'\"":
        raise RuleError("the quote opened here is never closed", column, f"add {sign} at its end")
    hint = f"did you mean {_quoted(_MEANT[sign])}?" if sign in _MEANT else ""
    raise RuleError(f"{shown(sign)} has no meaning in a rule", column, hint)


# From tokens to the tree --------------------------------------------------------------------------


def parse(text: str) -> Expression:
    """The tree of a rule's text; `RuleError` if it cannot be used."""
    parser = _Parser(_tokens(text))
    if parser.next.kind == _END:
        raise RuleError("the rule is empty", 0, "write 'default' for a rule that always holds")
    tree = parser.expression()
    parser.expect_end()
    return tree


@dataclass(frozen=True)
class _Operand:
    """One side of a comparison as written."""

    token: _Token
    unit: _Token | None = None

    @property
    def is_name(self) -> bool:
        return self.token.kind == _NAME and self.token.text not in _KEYWORDS

    @property
    def attribute(self) -> Attribute | None:
        return BY_NAME.get(self.token.text) if self.is_name else None


class _Parser:
    """Recursive descent, one method for each line of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nesting = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self.next
        self._at += token.kind != _END
        return token

    def expect_end(self) -> None:
        """Nothing may follow a whole expression."""
        token = self.next
        if token.kind == _END:
            return
        if token.is_one_of(")"):
            raise RuleError("this bracket closes nothing", token.column, "remove it")
        hint = ""
        if token.kind == _NAME:
            near = difflib.get_close_matches(token.text.lower(), ("and", "or"), n=1)
            hint = f"did you mean '{near[0]}'?" if near else ""
        text = f"'and' or 'or' is missing before {_quoted(token.text)}"
        raise RuleError(text, token.column, hint)

    def expression(self) -> Expression:
        parts = [self._conjunction()]
        while self.next.is_one_of("or"):
            self._take()
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self.next.is_one_of("and"):
            self._take()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self) -> Expression:
        if not self.next.is_one_of("not"):
            return self._condition()
        self._enter(self._take())
        inner = self._negation()
        self._nesting -= 1
        return Not(inner)

    def _enter(self, token: _Token) -> None:
        self._nesting += 1
        if self._nesting > MOST_NESTING:
            text = f"brackets and 'not' stand more than {MOST_NESTING} deep"
            raise RuleError(text, token.column, "write it more simply")

    def _condition(self) -> Expression:
        token = self.next
        if token.is_one_of("("):
            return self._bracket()
        if token.is_one_of(*_CONSTANTS):
            return Constant(_CONSTANTS[self._take().text])
        if token.kind == _END or token.is_one_of("and", "or", ")", "in"):
            raise RuleError(f"a condition is missing {_before(token)}", token.column)
        first = self._operand()
        if self.next.is_one_of("in") or self._not_in_follows():
            return self._membership(first)
        if not self.next.is_one_of(*_OPCODES):
            return self._flag(first)
        return self._comparisons(first)

    def _bracket(self) -> Expression:
        opened = self._take()
        self._enter(opened)
        tree = self.expression()
        self._nesting -= 1
        if self.next.kind == _END:
            raise RuleError("the bracket opened here is never closed", opened.column, "add ')'")
        if not self.next.is_one_of(")"):
            self.expect_end()
        self._take()
        return tree

    def _operand(self) -> _Operand:
        token = self.next
        if token.kind == _END or token.kind == _SIGN or token.is_one_of("and", "or", "not", "in"):
            raise RuleError(f"a value is missing {_before(token)}", token.column)
        self._take()
        unit = self.next
        if token.kind == _NUMBER and (unit.is_one_of("%") or _may_be_unit(unit)):
            return _Operand(token, self._take())
        return _Operand(token)

    def _flag(self, operand: _Operand) -> Expression:
        token = operand.token
        attribute = operand.attribute
        if attribute is None:
            if operand.is_name:
                _reject_name(token)
            text = f"{_quoted(token.text)} alone is no condition"
            raise RuleError(text, token.column, f"compare an attribute with it: {_example()}")
        if attribute.kind != FLAG:
            text = f"{attribute.name} alone is no condition: it is a {_kind(attribute)}"
            raise RuleError(text, token.column, f"compare it: {_example(attribute)}")
        return Flag(attribute.name)

    def _comparisons(self, left: _Operand) -> Expression:
        """A chain of comparisons, each neighbour with the next."""
        found: list[Expression] = []
        while self.next.is_one_of(*_OPCODES):
            relation = self._take()
            right = self._operand()
            found.append(_compare(left, relation, right))
            left = right
        return found[0] if len(found) == 1 else And(tuple(found))

    def _not_in_follows(self) -> bool:
        return self.next.is_one_of("not") and self._tokens[self._at + 1].is_one_of("in")

    def _membership(self, operand: _Operand) -> Expression:
        attribute = operand.attribute
        if attribute is None:
            if operand.is_name:
                _reject_name(operand.token)
            raise RuleError("'in' needs an attribute before it", operand.token.column, _EXAMPLE_IN)
        negated = self._take().text == "not"
        if negated:
            self._take()
        opened = self._take()
        if not opened.is_one_of("("):
            raise RuleError("'in' needs a list in brackets", opened.column, _EXAMPLE_IN)
        values = [_value(attribute, self._operand())]
        while self.next.is_one_of(","):
            self._take()
            if self.next.is_one_of(")"):
                break
            values.append(_value(attribute, self._operand()))
        if self.next.kind == _END:
            raise RuleError("the bracket opened here is never closed", opened.column, "add ')'")
        if not self._take().is_one_of(")"):
            column = self._tokens[self._at - 1].column
            raise RuleError("the list needs ',' or ')' here", column, _EXAMPLE_IN)
        member = Member(attribute.name, tuple(values))
        return Not(member) if negated else member


_EXAMPLE_IN = "such as mutation in ('ras', 'braf')"


def _may_be_unit(token: _Token) -> bool:
    return token.kind == _NAME and token.text not in _KEYWORDS


def _before(token: _Token) -> str:
    return "at the end" if token.kind == _END else f"before {_quoted(token.text)}"


def _quoted(text: str) -> str:
    """A piece of a rule in a message, in quotes that do not clash with its own."""
    return f'"{text}"' if "'" in text else shown(text)


def _reject_name(token: _Token) -> NoReturn:
    names = [entry.name for entry in ATTRIBUTES]
    hint = nearest(token.text, names)
    raise RuleError(f"unknown attribute {shown(token.text)}", token.column, hint)


def _kind(attribute: Attribute) -> str:
    return "choice" if attribute.kind == CHOICE else "number"


def _example(attribute: Attribute = BY_NAME["age"]) -> str:
    if attribute.kind == CHOICE:
        return f"such as {attribute.name} == '{attribute.choices[0]}'"
    middle = attribute.highest // 2.0 if attribute.whole else attribute.highest / 2.0
    return f"such as {attribute.name} >= {_write(attribute, middle)}"


def _compare(left: _Operand, relation: _Token, right: _Operand) -> Comparison:
    """One comparison, turned so that the attribute stands on the left."""
    one, other = left.attribute, right.attribute
    for attribute, operand in ((one, right), (other, left)):
        if attribute is not None and operand.is_name and operand.token.text in attribute.choices:
            word = operand.token.text
            text = f"{word} is a value of {attribute.name} here, and needs quotes"
            raise RuleError(text, operand.token.column, f"write '{word}' with its quotes")
    for operand in (left, right):
        if operand.is_name and operand.attribute is None:
            _reject_name(operand.token)
    if one is not None and other is not None:
        text = "an attribute is compared with a number or a word, not with another attribute"
        raise RuleError(text, right.token.column)
    attribute = one or other
    if attribute is None:
        text = "one side of a comparison must be an attribute"
        raise RuleError(text, left.token.column, _example())
    value = _value(attribute, right if one is not None else left)
    if attribute.kind == CHOICE and relation.text not in ("==", "!="):
        text = f"{attribute.name} has no order: {shown(relation.text)} cannot compare it"
        raise RuleError(text, relation.column, "use == or !=")
    written = relation.text if one is not None else _MIRRORED[relation.text]
    return Comparison(attribute.name, written, value)


def _value(attribute: Attribute, operand: _Operand) -> float | str:
    """The constant an attribute is compared with, of the right kind, unit and range."""
    token = operand.token
    if attribute.kind == FLAG:
        text = f"{attribute.name} is yes or no, and compared with nothing"
        raise RuleError(text, token.column, f"write {attribute.name} or not {attribute.name}")
    if operand.is_name and operand.attribute is None and token.text not in attribute.choices:
        _reject_name(token)
    if attribute.kind == CHOICE:
        return _choice_value(attribute, token)
    if token.kind != _NUMBER:
        text = f"{attribute.name} is a number, not {_quoted(token.text)}"
        raise RuleError(text, token.column, _example(attribute))
    return _number_value(attribute, operand)


def _choice_value(attribute: Attribute, token: _Token) -> str:
    if token.kind == _NUMBER:
        text = f"{attribute.name} is a word, not a number"
        raise RuleError(text, token.column, one_of([f"'{name}'" for name in attribute.choices]))
    if token.kind == _NAME:
        text = f"{attribute.name} is compared with a word in quotes"
        raise RuleError(text, token.column, _example(attribute))
    if token.text not in attribute.choices:
        text = f"{attribute.name} is never {_quoted(token.text)}"
        raise RuleError(text, token.column, nearest(token.text, attribute.choices))
    return token.text


def _number_value(attribute: Attribute, operand: _Operand) -> float:
    number = float(operand.token.text)
    if operand.unit is not None:
        times, by = _unit(attribute, operand.unit)
        number = number * times / by
    if not attribute.lowest <= number <= attribute.highest:
        as_percent = attribute.unit == SHARE and operand.unit is None and 1.0 < number <= 100.0
        hint = f"did you mean '{number:g} %'?" if as_percent else ""
        highest = _write(attribute, attribute.highest)
        text = f"{attribute.name} lies between {attribute.lowest:g} and {highest}"
        raise RuleError(text, operand.token.column, hint)
    return number


def _unit(attribute: Attribute, token: _Token) -> tuple[float, float]:
    """By what to multiply and divide a number in this unit."""
    known = _UNITS.get(attribute.unit, {})
    unit = f"{token.text}s" if token.text in _SINGULAR else token.text
    if unit in known:
        return known[unit]
    near = difflib.get_close_matches(unit, ("and", "or", *known), n=1)
    hint = f"did you mean '{near[0]}'?" if near else ""
    if not known:
        text = f"{attribute.name} has no unit: {_quoted(token.text)} does not fit"
    else:
        text = f"{_quoted(token.text)} does not fit {attribute.name}"
        hint = hint or one_of(list(known))
    raise RuleError(text, token.column, hint)


# From the tree back to text -----------------------------------------------------------------------


def to_text(expression: Expression) -> str:
    """The canonical text of a tree; parsing it gives an equal tree."""
    if isinstance(expression, Constant):
        return "true" if expression.value else "false"
    if isinstance(expression, Flag):
        return expression.name
    if isinstance(expression, Comparison):
        value = _write(BY_NAME[expression.name], expression.value)
        return f"{expression.name} {expression.relation} {value}"
    if isinstance(expression, Member):
        return _member_text(expression, "in")
    if isinstance(expression, Not):
        if isinstance(expression.inner, Member):
            return _member_text(expression.inner, "not in")
        return f"not {_inside(expression.inner, And | Or)}"
    if isinstance(expression, And):
        return " and ".join(_inside(part, And | Or) for part in expression.parts)
    return " or ".join(_inside(part, Or) for part in expression.parts)


def _inside(expression: Expression, bracketed: Any) -> str:
    text = to_text(expression)
    return f"({text})" if isinstance(expression, bracketed) else text


def _member_text(member: Member, word: str) -> str:
    values = ", ".join(_write(BY_NAME[member.name], value) for value in member.values)
    return f"{member.name} {word} ({values})"


def _write(attribute: Attribute, value: float | str) -> str:
    """A constant with its unit, such that it is read back to the very same value."""
    if isinstance(value, str):
        return f"'{value}'"
    if attribute.unit == SHARE:
        percent = f"{value * 100.0:.12g}"
        return f"{percent} %" if float(percent) / 100.0 == value else repr(value)
    number = str(int(value)) if float(value).is_integer() else repr(value)
    unit = attribute.unit.removesuffix("s") if value == 1.0 else attribute.unit
    return f"{number} {unit}".rstrip()


# From the tree to a program -----------------------------------------------------------------------


class Program(NamedTuple):
    """A rule as `care.rules.holds` runs it."""

    operations: tuple[int, ...]
    arguments: tuple[float, ...]


def compile_rule(expression: Expression) -> Program:
    """The program of a tree; `RuleError` if it needs more stack than the machine has."""
    steps = list(_steps(expression))
    depth = 0
    for operation, _ in steps:
        opcode = operation % machine.CODE_STEP
        depth += {machine.NOT: 0, machine.AND: -1, machine.OR: -1}.get(opcode, 1)
        if depth > machine.MOST_DEPTH:
            raise RuleError(f"the rule is nested more than {machine.MOST_DEPTH} deep", 0)
    return Program(tuple(step[0] for step in steps), tuple(step[1] for step in steps))


def _steps(expression: Expression) -> Iterator[tuple[int, float]]:
    if isinstance(expression, Constant):
        yield (machine.ALWAYS if expression.value else machine.NEVER_SO), 0.0
    elif isinstance(expression, Flag):
        yield _leaf(expression.name, "!=", 0.0)
    elif isinstance(expression, Comparison):
        yield _leaf(expression.name, expression.relation, expression.value)
    elif isinstance(expression, Not):
        yield from _steps(expression.inner)
        yield machine.NOT, 0.0
    else:
        opcode = machine.AND if isinstance(expression, And) else machine.OR
        for place, part in enumerate(_parts(expression)):
            yield from _steps(part)
            if place > 0:
                yield opcode, 0.0


def _parts(expression: Member | And | Or) -> Sequence[Expression]:
    if isinstance(expression, Member):
        return [Comparison(expression.name, "==", value) for value in expression.values]
    return expression.parts


def _leaf(name: str, relation: str, value: float | str) -> tuple[int, float]:
    attribute = BY_NAME[name]
    argument = attribute.choices.index(value) if isinstance(value, str) else value
    return attribute.code * machine.CODE_STEP + _OPCODES[relation], float(argument)


def join(programs: Sequence[Program]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Programs one after another: operations, arguments, and where each begins and the last ends.

    Program i is at places `starts[i]` … `starts[i + 1] − 1`.
    """
    operations = np.array([o for program in programs for o in program.operations], np.int64)
    arguments = np.array([a for program in programs for a in program.arguments], np.float64)
    lengths = [len(program.operations) for program in programs]
    return operations, arguments, np.cumsum([0, *lengths], dtype=np.int64)


# The meaning, in plain Python ---------------------------------------------------------------------


def evaluate(expression: Expression, values: Mapping[str, float | bool | str]) -> bool:
    """Whether a tree holds for these values of the attributes, choices as their words."""
    if isinstance(expression, Constant):
        return expression.value
    if isinstance(expression, Flag):
        return bool(values[expression.name])
    if isinstance(expression, Comparison):
        compare = _COMPARE[expression.relation]
        return bool(compare(values[expression.name], expression.value))
    if isinstance(expression, Member):
        return values[expression.name] in expression.values
    if isinstance(expression, Not):
        return not evaluate(expression.inner, values)
    if isinstance(expression, And):
        return all(evaluate(part, values) for part in expression.parts)
    return any(evaluate(part, values) for part in expression.parts)


# Rules that cannot fire ---------------------------------------------------------------------------

_ELSEWHERE = ("seen_lung", "seen_peritoneum", "seen_nodes", "seen_portal_nodes")
_PLANS = ("resectable", "two_stage", "unresectable", "beyond_surgery")


def _tied_rows() -> Iterator[list[dict[str, float]]]:
    """Attributes that determine one another: every combination that occurs."""
    yield [
        {"primary": site, "right_sided": site == 0, "left_sided": site != 0, "rectal": site == 2}
        for site in range(len(BY_NAME["primary"].choices))
    ]
    yield [
        {"mutation": m, "wild_type": m == 0, "ras_mutant": m == 1, "braf_mutant": m == 2}
        for m in range(len(BY_NAME["mutation"].choices))
    ]
    yield [{name: name == plan for name in _PLANS} for plan in (*_PLANS, "none")]
    yield [
        {
            **{name: (places >> n) & 1 for n, name in enumerate(_ELSEWHERE)},
            "seen_extrahepatic": places > 0,
            "liver_only": places == 0,
        }
        for places in range(1 << len(_ELSEWHERE))
    ]


_TIED = tuple(_tied_rows())


def never_fires(rules: Sequence[Expression]) -> list[tuple[int, str]]:
    """Rules that cannot fire when the first that holds wins: their places and why.

    The values of the attributes are cut at every constant that appears, and each combination of
    pieces is tried. What follows for one patient from another attribute counts only for the
    primary's site, the mutation, the plan and the places outside the liver, so a rule may be
    missed, but none is blamed wrongly. A rule with too many combinations is not judged.
    """
    found = []
    for place in range(len(rules)):
        alone = _truths(rules[place : place + 1])
        if alone is not None and not alone[0].any():
            found.append((place, "no patient can meet its condition"))
            continue
        truths = _truths(rules[: place + 1])
        winners = _winners(truths) if truths is not None else []
        if winners:
            found.append((place, _shadowed(winners)))
    return found


def can_judge(rules: Sequence[Expression]) -> bool:
    """Whether `never_fires` judges all of these rules; if not, some of them stay unknown."""
    return _cells(_axes(rules)) <= MOST_CELLS


def _winners(truths: list[np.ndarray]) -> list[int]:
    """The earlier rules that win wherever the last one holds; none if it wins somewhere."""
    left = truths[-1].copy()
    winners = []
    for place, truth in enumerate(truths[:-1]):
        if (left & truth).any():
            winners.append(place)
            left &= ~truth
    return [] if left.any() else winners


def _shadowed(winners: list[int]) -> str:
    numbers = [str(place + 1) for place in winners]
    if len(numbers) == 1:
        return f"whenever it holds, rule {numbers[0]} holds too and comes first"
    listed = f"{', '.join(numbers[:-1])} or {numbers[-1]}"
    return f"whenever it holds, one of the rules {listed} holds too and comes first"


def _truths(rules: Sequence[Expression]) -> list[np.ndarray] | None:
    """Whether each rule holds, cell by cell; None if there are too many cells."""
    axes = _axes(rules)
    size = _cells(axes)
    if size > MOST_CELLS:
        return None
    columns = {}
    stride = 1
    for names, rows in axes:
        at = np.arange(size) // stride % len(rows)
        stride *= len(rows)
        for name, column in zip(names, np.array(rows, float).T, strict=True):
            columns[name] = column[at]
    return [_truth(rule, columns, size) for rule in rules]


def _truth(expression: Expression, columns: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    if isinstance(expression, Constant):
        return np.full(size, expression.value)
    if isinstance(expression, Flag):
        return columns[expression.name] != 0.0
    if isinstance(expression, Comparison):
        _, argument = _leaf(expression.name, expression.relation, expression.value)
        return _COMPARE[expression.relation](columns[expression.name], argument)
    if isinstance(expression, Not):
        return ~_truth(expression.inner, columns, size)
    combine = np.logical_and if isinstance(expression, And) else np.logical_or
    return combine.reduce([_truth(part, columns, size) for part in _parts(expression)])


_Axis = tuple[tuple[str, ...], list[tuple[float, ...]]]
"""Attributes that go together, and the combinations of their values to try."""


def _cells(axes: Sequence[_Axis]) -> int:
    return math.prod(len(rows) for _, rows in axes)


def _axes(rules: Sequence[Expression]) -> list[_Axis]:
    """What to try for the attributes of these rules."""
    cuts: dict[str, set[float]] = {}
    for rule in rules:
        for name, value in _constants(rule):
            cuts.setdefault(name, set()).update([] if isinstance(value, str) else [value])
    axes: list[_Axis] = []
    for rows in _TIED:
        names = tuple(name for name in rows[0] if name in cuts)
        if names:
            axes.append((names, sorted({tuple(row[name] for name in names) for row in rows})))
    tied = {name for rows in _TIED for name in rows[0]}
    for name in cuts:
        if name not in tied:
            points = _points(BY_NAME[name], cuts[name])
            axes.append(((name,), [(point,) for point in points]))
    return axes


def _constants(expression: Expression) -> Iterator[tuple[str, float | str]]:
    """Each attribute of a tree with each constant it is compared with."""
    if isinstance(expression, Flag):
        yield expression.name, 0.0
    elif isinstance(expression, Comparison):
        yield expression.name, expression.value
    elif isinstance(expression, Not):
        yield from _constants(expression.inner)
    elif isinstance(expression, Member | And | Or):
        for part in _parts(expression):
            yield from _constants(part)


def _points(attribute: Attribute, cuts: set[float]) -> list[float]:
    """One value in each piece of the attribute's scale, and the cuts between the pieces.

    The scale of a quantity such as a diameter has no sharp end, so a value beyond it is tried too.
    """
    if attribute.kind != NUMBER:
        return [float(n) for n in range(int(attribute.highest) + 1)]
    edges = sorted({attribute.lowest, attribute.highest, *cuts})
    neighbours = itertools.pairwise(edges)
    if attribute.whole:
        between = [n for a, b in neighbours if (n := math.floor(a) + 1.0) < b]
        return sorted({*between, *(edge for edge in edges if float(edge).is_integer())})
    beyond = [] if attribute.unit == SHARE else [attribute.highest + 1.0]
    return sorted({*edges, *((a + b) / 2.0 for a, b in neighbours), *beyond})
