"""Study files: published figures and how the study they come from is simulated.

A study is read as a scenario whose policies are its arms, so that everything a scenario may say
about people and treatment is checked in the same way, with the line where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from crlm_sim.calibration import scales
from crlm_sim.outcomes.clocks import CLOCKS, CURVES, DEFAULT_CLOCK
from crlm_sim.outcomes.definitions import OUTCOMES
from crlm_sim.scenario import quantities
from crlm_sim.scenario.kinds import (
    AnyWords,
    Interval,
    Name,
    SomeDays,
    Words,
    chosen,
    read_condition,
    within,
)
from crlm_sim.scenario.lines import Path, Place
from crlm_sim.scenario.loading import scenario_of
from crlm_sim.scenario.messages import Problem, ScenarioError, Wrong, nearest, shown
from crlm_sim.scenario.model import Population, Scenario
from crlm_sim.scenario.packing import SETTINGS
from crlm_sim.scenario.reading import read_plain_file
from crlm_sim.scenario.sections import note_errors
from crlm_sim.scenario.source import Source

COUNTED = {o.name: o for o in OUTCOMES if o.kind in ("proportion", "mean")}
DEFINED = {
    o.name: o
    for o in OUTCOMES
    if o.kind in ("survival", "median", "rmst") and o.source not in CURVES
}
"""Outcomes of curves of a run's own, such as survival of those resected."""
RESTRICTED = {o.name: o for o in OUTCOMES if o.kind == "rmst"}
TESTS = ("ct", "mri", "pet_ct", "pet_mr")
AT_DIAGNOSIS = (
    *(f"sensitivity_{test}" for test in TESTS),
    *(f"sensitivity_{test}_after_drugs" for test in TESTS),
    "doubling_time_days",
    "doubling_time_occult_days",
    "share",
)
"""Outcomes read off the patients on the day of diagnosis."""
LINES_RECEIVED = {"second_line_received": 2, "third_line_received": 3}
OTHERS = ("remnant_growth", "fong_c_index")
_CONTRASTS = ("hr", "rr", "or")
_NAMED_TIME = re.compile(rf"({'|'.join(CURVES)})_(\d+)([ym])")
_TOP = (
    "id",
    "title",
    "source",
    "description",
    "from",
    "follow_up",
    "visits",
    "population",
    "eligible",
    "parameters",
    "arm",
    "figure",
    "curve",
)
_VISITS = {"first": "first_reevaluation", "drugs": "reevaluation", "follow_up": "surveillance"}
_AGAINST = re.compile(r"\s+(?:against|versus|vs\.?)\s+")
_POLICY_KEYS = ("base", "rule", "label")
_LEAST_FOLLOWED = 365.25
_BEFORE_THE_CLOCK = 3 * 365.25
"""Days simulated besides what is followed, where the clock starts after the diagnosis."""
LONGEST = 40 * 365.25


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _read_number(value: object) -> float:
    """A number, or a share such as '28.1 %'."""
    return quantities.share(value) if isinstance(value, str) else quantities.finite(value)


def _read_level(value: object) -> float:
    level = quantities.share(value)
    if not 0.5 <= level < 1.0:
        raise Wrong(f"must lie between 0.5 and 1 (got {shown(value)})", "as a rule 0.95")
    return level


def _read_pair(value: object) -> tuple[str, str]:
    if isinstance(value, str):
        value = [part.strip() for part in _AGAINST.split(value)]
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(name, str) for name in value)
        and value[0] != value[1]
    ):
        return value[0], value[1]
    raise Wrong(
        f"must be the names of two arms (got {shown(value)})",
        'such as contrast = ["new", "control"], the first against the second',
    )


def _read_arm(value: object) -> str:
    if isinstance(value, str):
        return value
    raise Wrong(f"must be the name of an arm (got {shown(value)})")


Number = Annotated[float | None, BeforeValidator(_read_number)]
ClockName = Annotated[str | None, *chosen(tuple(CLOCKS))]


class Arm(_Part):
    """One arm, or one group of a series: how it was treated, and how many there were."""

    name: Name
    policy: Any = "standard"
    eligible: Annotated[str | None, BeforeValidator(read_condition)] = None
    n: Annotated[int | None, *within(1, 10_000_000)] = None


class Figure(_Part):
    """One published figure, with what it was read off."""

    arm: Annotated[str | None, BeforeValidator(_read_arm)] = None
    contrast: Annotated[tuple[str, str] | None, BeforeValidator(_read_pair)] = None
    outcome: str
    time: SomeDays = None
    when: Annotated[str | None, BeforeValidator(read_condition)] = None
    clock: ClockName = Field(None, alias="from")
    value: Number = None
    lower: Number = None
    upper: Number = None
    count: Annotated[int | None, *within(0, 10_000_000)] = None
    n: Annotated[int | None, *within(1, 10_000_000)] = None
    level: Annotated[float, BeforeValidator(_read_level)] = 0.95
    use: Annotated[Literal["fit", "check"], *chosen(("fit", "check"))] = "check"
    note: AnyWords = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The arms it is read off."""
        return self.contrast or ((self.arm,) if self.arm else ())

    @property
    def base(self) -> str:
        """The outcome without the suffix of a contrast."""
        name, _, suffix = self.outcome.rpartition("_")
        return name if suffix in _CONTRASTS and name else self.outcome

    @property
    def measure(self) -> str:
        """How two arms are compared: hr, rr, or, difference; "" for one arm."""
        if self.contrast is None:
            return ""
        suffix = self.outcome.rpartition("_")[2]
        return suffix if suffix in _CONTRASTS else "difference"

    @property
    def curve(self) -> str:
        """The curve it is read off, "" if none."""
        named = _NAMED_TIME.fullmatch(self.base)
        name = named[1] if named else self.base.removesuffix("_median_months")
        return name if name in CURVES else ""

    @property
    def days(self) -> float | None:
        """When its curve is read, from `time` or from a name such as os_5y."""
        named = _NAMED_TIME.fullmatch(self.base)
        if named is None:
            return self.time
        unit = quantities.DAYS_PER_YEAR if named[3] == "y" else quantities.DAYS_PER_MONTH
        return int(named[2]) * unit

    @property
    def is_amount(self) -> bool:
        """Whether it is a mean, a time or a growth, and no share."""
        counted = COUNTED.get(self.base)
        named = self.base.endswith(("_months", "_days", "remnant_growth"))
        return named or (counted is not None and counted.kind == "mean")

    @property
    def scale(self) -> str:
        """The scale on which its error is near normal."""
        if self.measure == "difference" or self.base == "fong_c_index":
            return scales.PLAIN
        return scales.LOG if self.measure or self.is_amount else scales.LOGIT

    def value_of(self, n: int | None) -> float:
        """The published value. Raises Wrong if there is none."""
        if self.value is not None:
            return self.value
        if self.count is None or not n:
            raise Wrong("has neither a value nor a count with n")
        return self.count / n

    def published(self, arms_n: int | None) -> tuple[float, float]:
        """(value on its scale, standard error there): from the interval, else from n.

        `arms_n` is how many its arms had, if known. Raises Wrong if there is no error to be had.
        """
        n = self.n or arms_n
        value = self.value_of(n)
        if self.lower is not None and self.upper is not None:
            found = scales.centre_and_error(self.scale, value, self.lower, self.upper, self.level)
            if found[1] <= 0.0:
                raise Wrong("has an interval that is not told from 0 or 1", "give n instead")
            return found
        if n is None:
            raise Wrong("has no interval", "give lower and upper, or n")
        return scales.from_number(self.scale, value, n, bool(self.measure))


class PublishedCurve(_Part):
    """Points of a published survival curve, to draw beside the simulated one."""

    arm: Annotated[str, BeforeValidator(_read_arm)]
    outcome: Annotated[str, *chosen(CURVES)]
    months: tuple[float, ...]
    survival: tuple[float, ...]


class Study(_Part):
    """A published study as read from its file."""

    id: Name
    title: Words
    source: Words
    description: AnyWords = ""
    clock: ClockName = Field("diagnosis", alias="from")
    follow_up: Annotated[Interval | None, Field()] = None
    arms: tuple[Arm, ...] = ()
    figures: tuple[Figure, ...] = ()
    curves: tuple[PublishedCurve, ...] = ()
    scenario: Any = None
    file: str = ""

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def names_of(self, figure: Figure) -> tuple[str, ...]:
        """The arms a figure is read off; the only arm, if it names none."""
        return figure.names or (self.arms[0].name,)

    def published(self, figure: Figure) -> tuple[float, float]:
        """(value, standard error) of a figure on its scale."""
        return figure.published(patients_of(self.arms, self.names_of(figure)))

    def clock_of(self, figure: Figure) -> str:
        """When the clock of a figure starts."""
        if figure.clock:
            return figure.clock
        if self.clock and self.clock != "diagnosis":
            return self.clock
        return DEFAULT_CLOCK.get(figure.curve, "diagnosis")

    def population(self, arm: str) -> Population:
        """Whom an arm takes: the study's population under its own further condition."""
        own = self.arm(arm).eligible
        everybody: Population = self.scenario.population
        if own is None:
            return everybody
        both = own if everybody.eligible is None else f"({everybody.eligible}) and ({own})"
        return Population.model_validate({**dict(everybody), "eligible": both})

    def figure_id(self, figure: Figure) -> str:
        """A name for a figure, unique in a study: outcome, arm, time."""
        where = "-vs-".join(figure.names)
        time = f"@{figure.time / quantities.DAYS_PER_MONTH:g}m" if figure.time else ""
        when = f"[{figure.when}]" if figure.when else ""
        since = f"~{figure.clock}" if figure.clock else ""
        return f"{self.id}/{figure.outcome}{when}{time}{since}/{where}"

    @property
    def followed_days(self) -> float:
        """How long the longest figure needs from its clock's start."""
        if self.follow_up:
            return self.follow_up
        times = [figure.days for figure in self.figures if figure.days]
        times += [
            DEFINED[figure.base].months * quantities.DAYS_PER_MONTH
            for figure in self.figures
            if figure.base in DEFINED
        ]
        medians = [
            3.0 * figure.value * quantities.DAYS_PER_MONTH
            for figure in self.figures
            if figure.value and figure.outcome.endswith("_median_months")
        ]
        ratios = any(figure.measure == "hr" for figure in self.figures)
        known = [*times, *medians, _LEAST_FOLLOWED]
        return min(max(known) + (365.25 if ratios else 1.0), LONGEST)


def patients_of(arms: Sequence[Arm], names: Sequence[str]) -> int | None:
    """How many patients these arms had together; None if one does not say."""
    found = [arm.n for arm in arms if arm.name in (names or [one.name for one in arms])]
    return None if not found or None in found else sum(n for n in found if n)


# Reading -----------------------------------------------------------------------------------------


def load_studies(folder: str | FilePath) -> list[Study]:
    """Every study file of a folder, by name. Raises ScenarioError with every problem of all."""
    folder = FilePath(folder)
    if folder.is_file():
        return [load_study(folder)]
    if not folder.is_dir():
        raise ScenarioError([Problem(str(folder), "no such folder of study files")])
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ScenarioError([Problem(str(folder), "this folder holds no study file (*.toml)")])
    found: list[Study] = []
    problems: list[Problem] = []
    for file in files:
        try:
            found.append(load_study(file))
        except ScenarioError as error:
            problems += error.problems
    problems += _same_ids(found)
    if problems:
        raise ScenarioError(problems)
    return found


def _same_ids(studies: Sequence[Study]) -> list[Problem]:
    first: dict[str, str] = {}
    problems = []
    for study in studies:
        if study.id in first:
            text = f"id '{study.id}' is that of {first[study.id]} too"
            problems.append(Problem(study.file, text))
        first.setdefault(study.id, study.file)
    return problems


def load_study(path: str | FilePath) -> Study:
    """The study of a file. Raises ScenarioError with every problem found."""
    path = FilePath(path)
    source = read_plain_file(path)
    _number_from_one(source)
    _place_people(source)
    _place_settings(source)
    for key in source.data:
        if key not in _TOP:
            hint = nearest(key, _TOP)
            source.report((key,), f"unknown key '{key}' in a study", hint, key=True)
    head = {k: v for k, v in source.data.items() if k in Study.model_fields or k == "from"}
    head.pop("curve", None)
    study = _model(source, Study, head, (), ("id", "title", "source"))
    arms = _list(source, "arm", Arm)
    figures = _list(source, "figure", Figure)
    curves = _list(source, "curve", PublishedCurve)
    _check_arms(source, arms, study)
    named = _names_given(source)
    for number, figure in figures:
        if set(figure.names) <= named:
            _check_figure(source, number, figure, [arm for _, arm in arms])
        else:
            _check_names(source, number, figure, sorted(named))
        if study and study.follow_up and figure.days and figure.days > study.follow_up:
            text = "is read when nobody is followed any more: `follow_up` is shorter"
            source.wrong(("figure", number), f"'{figure.outcome}' {text}", "make follow_up longer")
    _check_twice(source, figures)
    for number, curve in curves:
        if curve.arm not in named:
            source.wrong(("curve", number, "arm"), f"no arm is called '{curve.arm}'")
        if len(curve.months) != len(curve.survival):
            source.wrong(("curve", number), "months and survival differ in length")
    parts = {
        "arms": tuple(arm for _, arm in arms),
        "figures": tuple(figure for _, figure in figures),
        "curves": tuple(curve for _, curve in curves),
        "file": str(path),
    }
    scenario = None
    if study and arms and all(isinstance(arm.policy, str | dict) for _, arm in arms):
        study = study.model_copy(update=parts)
        scenario = _scenario(source, study)
        _check_subgroups(source, study, scenario, arms)
    if source.problems or study is None:
        raise ScenarioError(source.problems)
    return study.model_copy(update={"scenario": scenario})


def _number_from_one(source: Source) -> None:
    """Arms, figures and curves are called by their number from 1 on in messages."""
    for path, place in source.places.items():
        if len(path) > 1 and path[0] in _NEEDED and isinstance(path[1], int):
            rest = ".".join(map(str, path[2:]))
            name = f"{path[0]} {path[1] + 1}" + (f", {rest}" if rest else "")
            source.places[path] = replace(place, key=name)


def _place_people(source: Source) -> None:
    """`eligible` and `population = "name"` at the top mean what they mean in [population]."""
    people = source.data.get("population", {})
    if isinstance(people, str):
        people = {"base": people}
        source.places[("population", "base")] = source.place(("population",))
        source.data["population"] = people
    if "eligible" in source.data and isinstance(people, dict):
        if "eligible" in people:
            source.report(("eligible",), "eligible is in [population] too", "keep one", key=True)
        source.data["population"] = {**people, "eligible": source.data.pop("eligible")}
        source.places[("population", "eligible")] = source.place(("eligible",))


def _place_settings(source: Source) -> None:
    """Settings given straight in an `[[arm]]` are changes to its policy."""
    arms = source.data.get("arm")
    if not isinstance(arms, list):
        return
    for number, arm in enumerate(arms):
        if not isinstance(arm, dict):
            continue
        own = {key: arm.pop(key) for key in list(arm) if key in (*SETTINGS, *_POLICY_KEYS)}
        policy = arm.get("policy", {})
        if not own or not isinstance(policy, str | dict):
            continue
        arm["policy"] = {**({"base": policy} if isinstance(policy, str) else policy), **own}
        for path, place in list(source.places.items()):
            if path[:2] == ("arm", number) and len(path) > 2 and path[2] in own:
                source.places[("arm", number, "policy", *path[2:])] = place


def _model(
    source: Source, model: type[Any], data: dict[str, Any], path: Path, needed: Sequence[str]
) -> Any:
    missing = [key for key in needed if key not in data]
    for key in missing:
        source.report(path, f"{key} is missing", f"add {key} = …", key=True)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        keys = tuple(field.alias or name for name, field in model.model_fields.items())
        errors = [
            e for e in error.errors() if not (e["type"] == "missing" and e["loc"][0] in missing)
        ]
        if errors:
            note_errors(source, error, path, keys)
        return None


_NEEDED = {"arm": ("name",), "figure": ("outcome",), "curve": ("arm", "outcome")}


def _list(source: Source, key: str, model: type[Any]) -> list[tuple[int, Any]]:
    """The sections `[[key]]` that can be read, each with its number."""
    raw = source.data.get(key, [])
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        source.wrong((key,), f"each {key} is a section of its own", f"write [[{key}]]")
        return []
    if not raw and key != "curve":
        source.report((), f"this study has no {key}", f"add [[{key}]]")
    found = [
        (number, _model(source, model, entry, (key, number), _NEEDED[key]))
        for number, entry in enumerate(raw)
    ]
    return [(number, one) for number, one in found if one is not None]


def _names_given(source: Source) -> set[str]:
    """The names of all arms, also of those in which something else is wrong."""
    arms = source.data.get("arm", [])
    given = [arm.get("name") for arm in arms if isinstance(arm, dict)]
    return {name for name in given if isinstance(name, str)}


def _check_arms(source: Source, arms: list[tuple[int, Arm]], study: Study | None) -> None:
    seen: set[str] = set()
    for number, arm in arms:
        if arm.name in seen:
            source.wrong(("arm", number, "name"), f"a second arm is called '{arm.name}'")
        seen.add(arm.name)
        if not isinstance(arm.policy, str | dict):
            text = f"must be a policy's name or settings in braces (got {shown(arm.policy)})"
            source.wrong(("arm", number, "policy"), text, 'such as policy = "standard"')


def _known_outcomes() -> list[str]:
    curves = [f"{name}{end}" for name in CURVES for end in ("", "_median_months", "_hr")]
    named = [o.name for o in OUTCOMES if o.name not in COUNTED]
    return [*curves, *named, *COUNTED, *AT_DIAGNOSIS, *LINES_RECEIVED, *OTHERS]


def _check_names(source: Source, number: int, figure: Figure, names: list[str]) -> None:
    key = "contrast" if figure.contrast else "arm"
    for name in figure.names:
        if name not in names:
            text = f"no arm is called '{name}'"
            source.wrong(("figure", number, key), text, nearest(name, names))


def _check_figure(source: Source, number: int, figure: Figure, arms: list[Arm]) -> None:
    """What a single key does not show: an outcome and what it needs, an interval, an error."""
    path = ("figure", number)
    neither = figure.arm is None and figure.contrast is None
    both = figure.arm is not None and figure.contrast is not None
    if both or (neither and len(_names_given(source)) != 1):
        source.wrong(path, "a figure is of one arm or of one contrast", 'add arm = "…"')
        return
    problem = _outcome_problem(figure)
    if problem:
        key, text, hint = problem
        source.wrong((*path, key) if key else path, text, hint)
        return
    known = figure.n or patients_of(arms, figure.names)
    if figure.count is not None and known is not None and figure.count > known:
        source.wrong((*path, "count"), f"{figure.count} of {known} is more than all")
        return
    if not set(figure.names) <= {arm.name for arm in arms}:
        return
    try:
        value = figure.value_of(known)
        figure.published(patients_of(arms, figure.names))
    except Wrong as error:
        source.wrong(path, f"this figure {error}", error.suggestion)
        return
    lower, upper = figure.lower, figure.upper
    if lower is not None and upper is not None and not lower <= value <= upper:
        source.wrong(path, f"the interval {lower:g} to {upper:g} does not hold {value:g}")


def _outcome_problem(figure: Figure) -> tuple[str, str, str] | None:
    """(key, text, hint) of what is wrong with a figure's outcome, if anything."""
    base, curve = figure.base, figure.curve
    is_median = base.endswith("_median_months") and curve
    named = _NAMED_TIME.fullmatch(base) is not None
    timed = bool(curve) and not is_median and not named and figure.measure != "hr"
    if base not in _known_outcomes() and not named:
        return "outcome", f"unknown outcome '{figure.outcome}'", nearest(base, _known_outcomes())
    if timed and figure.time is None:
        return "", f"'{figure.outcome}' is a curve and needs a time", 'add time = "3 years"'
    if figure.measure == "or" and figure.is_amount:
        return "outcome", f"an odds ratio is of a share, which '{base}' is not", "use _rr"
    if figure.measure == "hr" and not curve:
        return "outcome", f"a hazard ratio is of a curve, which '{base}' is not", "use _rr or _or"
    if figure.outcome != base and figure.contrast is None:
        return "outcome", f"'{figure.outcome}' compares two arms", 'write contrast = ["…", "…"]'
    if (base == "share") != (figure.when is not None):
        return "", "outcome 'share' and `when` go together", 'such as when = "seen_lesions <= 3"'
    if figure.time is not None and not timed:
        return "time", f"'{figure.outcome}' is not read at a time", "leave `time` out"
    return _number_problem(figure)


def _number_problem(figure: Figure) -> tuple[str, str, str] | None:
    """What is wrong with a figure's numbers, if anything."""
    value, lower, upper = figure.value, figure.lower, figure.upper
    if figure.count is not None and value is not None:
        return "count", "give value or count, not both", ""
    if figure.count is not None and figure.n is not None and figure.count > figure.n:
        return "count", f"{figure.count} of {figure.n} is more than all", ""
    if (lower is None) != (upper is None):
        return "", "an interval has a lower and an upper end", "give both, or n"
    least, most = scales.LIMITS[figure.scale]
    for key, number in (("value", value), ("lower", lower), ("upper", upper)):
        if number is not None and not least <= number <= most:
            what = "a share from 0 to 1" if most == 1.0 else "above 0"
            return key, f"'{figure.outcome}' is {what} (got {number:g})", ""
    if lower is not None and upper is not None and lower >= upper:
        return "", f"the interval {lower:g} to {upper:g} has no width", ""
    return None


def _check_twice(source: Source, figures: list[tuple[int, Figure]]) -> None:
    seen: set[tuple[object, ...]] = set()
    for number, figure in figures:
        read = figure.curve + figure.measure if figure.days else figure.outcome
        days = figure.days and round(figure.days)
        key = (figure.names, read, days, figure.when, figure.clock)
        if key in seen:
            source.wrong(("figure", number), "this figure is given twice")
        seen.add(key)


# As a scenario -----------------------------------------------------------------------------------


def _scenario(source: Source, study: Study) -> Scenario | None:
    """The scenario whose policies are the study's arms; its problems are noted in the study's."""
    late = any(study.clock_of(figure) != "diagnosis" for figure in study.figures)
    horizon = min(study.followed_days + (_BEFORE_THE_CLOCK if late else 0.0), LONGEST)
    data: dict[str, Any] = {
        "title": study.title,
        "run": {"horizon": quantities.write_days(float(math.ceil(horizon)))},
        "policy": {},
    }
    places: dict[Path, Place] = {}
    for key in ("population", "parameters"):
        if key in source.data:
            data[key] = source.data[key]
    places |= {p: place for p, place in source.places.items() if p[0] in data}
    visits = _visits(source)
    for number, arm in enumerate(study.arms):
        old: Path = ("arm", number, "policy")
        own = {"base": arm.policy} if isinstance(arm.policy, str) else dict(arm.policy)
        data["policy"][arm.name] = {"base": "standard", **visits, **own}
        new: Path = ("policy", arm.name)
        place = source.place(old)
        places[new] = place
        places[(*new, "base")] = place
        for path, where in source.places.items():
            if path[:3] == old and len(path) > 3:
                rest = path[3:]
                places[(*new, *rest)] = replace(where, key=".".join(map(str, ("policy", *rest))))
    inner = Source(source.file, data, places)
    try:
        return scenario_of(inner, study.id)
    except ScenarioError as error:
        source.problems += error.problems
        return None


def _visits(source: Source) -> dict[str, Any]:
    """The settings that a study's visits stand for."""
    said = source.data.get("visits")
    if said is None:
        return {}
    if isinstance(said, str):
        said = dict.fromkeys(_VISITS, said)
    if not isinstance(said, dict):
        source.wrong(("visits",), f"must be a duration (got {shown(said)})", "such as '8 weeks'")
        return {}
    found: dict[str, Any] = {}
    for key, value in said.items():
        if key not in _VISITS:
            source.wrong(("visits", key), f"unknown visit '{key}'", nearest(key, list(_VISITS)))
            continue
        try:
            quantities.interval(value)
        except Wrong as error:
            source.wrong(("visits", key), str(error), error.suggestion)
            continue
        found[_VISITS[key]] = value
    if "first" not in said and "reevaluation" in found:
        found["first_reevaluation"] = found["reevaluation"]
    return found


def _check_subgroups(
    source: Source, study: Study, scenario: Scenario | None, arms: list[tuple[int, Arm]]
) -> None:
    if scenario is None:
        return
    whole = study.model_copy(update={"scenario": scenario})
    for number, arm in arms:
        try:
            whole.population(arm.name)
        except ValidationError as error:
            text = str(error.errors()[0].get("msg"))
            source.wrong(("arm", number, "eligible"), text)
