"""The kinds of values in a scenario: how each is read, written and described to editors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from crlm_sim.evidence import REGIMENS
from crlm_sim.scenario import quantities
from crlm_sim.scenario.messages import Wrong, nearest, shown
from crlm_sim.scenario.rules import parse, to_text

NONE = "none"
DRUGS = (NONE, *REGIMENS)
ENGINES = ("cohort", "agents")
MAIN = "main"
"""The outcomes that a precision is about if it names none."""
POINTS = "points"
MEAN: Final = "mean"
POSTERIOR: Final = "posterior"
POSTERIOR_DRAWS = 50
"""Draws that `draws = "posterior"` takes: enough for a central 95 % to within a tenth of it."""
POPULATIONS = ("unselected",)
MOST_PATIENTS = 2**31
SEEDS = 2**32
MOST_CYCLES = 24
MOST_LINES = len(("first", "second", "third"))
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def choice(known: tuple[str, ...]) -> Callable[[object], str]:
    """A reader of one word out of a few."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        hint = nearest(value, known) if isinstance(value, str) else ""
        listed = ", ".join(f"'{name}'" for name in known)
        form = "one of " if len(known) > 1 else ""
        raise Wrong(f"must be {form}{listed} (got {shown(value)})", hint)

    return read


def _drug(value: object) -> str:
    if isinstance(value, str) and value in DRUGS:
        return value
    hint = nearest(value, DRUGS) if isinstance(value, str) else f"such as '{REGIMENS[0]}'"
    raise Wrong(f"unknown regimen {shown(value)}", hint)


def _whole_within(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = quantities.whole(value)
        if number < least:
            text = "must not be negative" if least == 0 else f"must be at least {least}"
            raise Wrong(f"{text} (got {shown(value)})")
        if number > most:
            raise Wrong(f"must be at most {most} (got {shown(value)})")
        return number

    return read


def read_patients(value: object) -> int:
    """The number of patients; none at all is a population without anyone."""
    if quantities.whole(value) == 0:
        raise Wrong("the population is empty: ask for at least 1 patient (got 0)")
    return _whole_within(1, MOST_PATIENTS)(value)


def read_draws(value: object) -> int | str:
    """The best estimates, the usual draws of the posterior, or how many draws of it."""
    if value in (MEAN, POSTERIOR):
        return str(value)
    if isinstance(value, str):
        text = f"must be '{POSTERIOR}', '{MEAN}' or a whole number (got {shown(value)})"
        raise Wrong(text, nearest(value, (POSTERIOR, MEAN)))
    return _whole_within(1, MOST_PATIENTS)(value)


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Wrong(f"must be true or false, without quotes (got {shown(value)})")


def _words(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise Wrong(f"must be a text in quotes (got {shown(value)})")


def _any_words(value: object) -> str:
    return "" if isinstance(value, str) and not value.strip() else _words(value)


@dataclass(frozen=True)
class Precision:
    """How far a mean may be off: half of its 95 % interval, in per cent of it or in its unit."""

    amount: float
    unit: str

    @property
    def relative(self) -> bool:
        """Whether it is a share of the mean."""
        return self.unit == "%"

    @property
    def size(self) -> float:
        """The share of the mean, or the number in the outcome's unit (points are hundredths)."""
        return self.amount / 100.0 if self.unit in ("%", POINTS) else self.amount

    def __str__(self) -> str:
        return f"{self.amount:.15g} {self.unit}"


def _read_precision(value: object) -> Precision:
    return value if isinstance(value, Precision) else Precision(*quantities.precision(value))


def _read_precisions(value: object) -> object:
    """What is asked of each outcome; one text alone is asked of the main ones."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {MAIN: value}
    raise Wrong(f"must be a precision such as '5 %' (got {shown(value)})")


def policy_name(value: object) -> str:
    """A policy's name, fit for file and column names."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    words = re.findall(r"[a-z0-9]+", shown(value).casefold())
    example = "_".join(words)
    hint = f"such as '{example}'" if _NAME.fullmatch(example) else "such as 'liver_first'"
    raise Wrong(
        f"must be lower-case words joined by underscores (got {shown(value)})",
        f"{hint}; `label` is free text",
    )


def read_condition(value: object) -> str:
    """A condition of the rule language, in its canonical form."""
    if isinstance(value, str):
        return to_text(parse(value))
    hint = "write it in quotes, such as 'fong_score <= 2'"
    if isinstance(value, bool):
        hint = f'write "{str(value).lower()}" in quotes'
    raise Wrong(f"a condition must be a text (got {shown(value)})", hint)


def within(least: int, most: int) -> list[Any]:
    """What makes an `int` field hold whole numbers of a range, here and in the schema."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return [BeforeValidator(_whole_within(least, most)), WithJsonSchema(schema)]


def _write_days(length: float | None) -> str | None:
    return None if length is None else quantities.write_days(length)


_DURATION = WithJsonSchema({"type": "string", "pattern": quantities.DURATION_PATTERN})
_WRITE_DURATION = PlainSerializer(_write_days, when_used="json")
_SHARE = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            {"type": "string", "pattern": quantities.PERCENT_PATTERN},
        ]
    }
)
_PROPORTION = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": quantities.PERCENT_PATTERN},
        ]
    }
)
_NOT_NEGATIVE = WithJsonSchema({"type": "number", "minimum": 0})

Days = Annotated[float, BeforeValidator(quantities.days), _WRITE_DURATION, _DURATION]
Interval = Annotated[float, BeforeValidator(quantities.interval), _WRITE_DURATION, _DURATION]
SomeDays = Annotated[float | None, BeforeValidator(quantities.days), _WRITE_DURATION, _DURATION]
Proportion = Annotated[float, BeforeValidator(quantities.share), _PROPORTION]
_PRECISION = {"type": "string", "pattern": quantities.PRECISION_PATTERN}
Precisions = Annotated[
    dict[
        str,
        Annotated[
            Precision,
            BeforeValidator(_read_precision),
            PlainSerializer(str, when_used="json"),
            WithJsonSchema(_PRECISION),
        ],
    ],
    BeforeValidator(_read_precisions),
    WithJsonSchema({"anyOf": [_PRECISION, {"type": "object", "additionalProperties": _PRECISION}]}),
]
PositiveShare = Annotated[float, BeforeValidator(quantities.positive_share), _SHARE]
NotNegative = Annotated[float, BeforeValidator(quantities.at_least_zero), _NOT_NEGATIVE]
SomeNotNegative = Annotated[float | None, BeforeValidator(quantities.at_least_zero), _NOT_NEGATIVE]
Words = Annotated[str, BeforeValidator(_words)]
AnyWords = Annotated[str, BeforeValidator(_any_words)]
Name = Annotated[
    str,
    BeforeValidator(policy_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
Drug = Annotated[
    str, BeforeValidator(_drug), WithJsonSchema({"type": "string", "enum": list(DRUGS)})
]


def chosen(known: tuple[str, ...]) -> list[Any]:
    """What makes a `str` field hold one word out of a few, here and in the schema."""
    schema = {"type": "string", "enum": list(known)}
    return [BeforeValidator(choice(known)), WithJsonSchema(schema)]


YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no), WithJsonSchema({"type": "boolean"})]
Cycles = Annotated[int, *within(0, MOST_CYCLES)]
