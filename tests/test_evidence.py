"""The evidence tables: complete, consistent, all used, and drawn as they say.

Also that clinical numbers live there and nowhere else: the syntax trees of `disease/` and `care/`
hold no literal but counts, halves and changes of unit. Where the folder of published figures is at
hand, sources that cite one of its entries must cite one that exists.
"""

import ast
import csv
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import crlm_sim
from crlm_sim.care.policy import POLICY
from crlm_sim.evidence import ACTIVITIES, PARAMETERS, SERVICES, Parameter, pack, parameters
from crlm_sim.evidence.parameters import LAWS, check_parameter, drawn

PACKAGE = Path(crlm_sim.__file__).parent
PUBLISHED = Path(__file__).parents[2] / "shared" / "evidence" / "published_figures.csv"
ALL = list(parameters().values())
UNCERTAIN = [p for p in ALL if p.law != "fixed"]
COMPILED_ROOMS = ("disease", "care", "engines", "outcomes")
CLINICAL_ROOMS = ("disease", "care")


def trees(rooms):
    for room in rooms:
        for path in sorted((PACKAGE / room).glob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


# What stands in the tables -----------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ALL, ids=lambda p: p.name)
def test_a_parameter_says_what_it_is(parameter):
    assert parameter.law in LAWS
    assert parameter.unit.strip()
    assert len(parameter.source.strip()) > 4
    assert parameter.value
    assert all(math.isfinite(number) for number in parameter.value)
    check_parameter(parameter)
    if parameter.law == "fixed":
        assert parameter.lower is None
        assert parameter.upper is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"law": "triangular"},
        {"lower": None},
        {"lower": (2.5,), "upper": (3.0,)},
        {"lower": (0.0,)},
        {"law": "logitnormal", "value": (0.5,), "lower": (0.2,), "upper": (1.0,)},
    ],
)
def test_a_parameter_that_does_not_hold_together_is_refused(wrong):
    whole = {"law": "lognormal", "value": (2.0,), "lower": (1.0,), "upper": (3.0,)}
    parameter = Parameter(name="n", group="g", unit="mm", source="here", **{**whole, **wrong})
    with pytest.raises(ValueError, match="n:"):
        check_parameter(parameter)


def test_probabilities_are_probabilities_and_measures_not_negative():
    for parameter in ALL:
        if parameter.unit == "probability":
            assert all(0.0 <= number <= 1.0 for number in parameter.value), parameter.name
        if parameter.unit in {"days", "mm", "mL", "minutes", "kg", "cm", "years", "1/day"}:
            is_fit = parameter.name.endswith("_intercept")
            assert is_fit or min(parameter.value) >= 0.0, parameter.name


def test_odds_of_worse_fitness_fall():
    logits = parameters()["performance_status_logit"].value
    assert list(logits) == sorted(logits, reverse=True)


def test_sources_cite_published_figures_that_exist():
    if not PUBLISHED.exists():
        pytest.skip("the folder of published figures is not at hand")
    with PUBLISHED.open(encoding="utf-8") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    shape = re.compile(r"\b(?:[SE]\d{4}|[A-Z][A-Z0-9]{2,}_[A-Za-z0-9_]+)(?![\w*])")
    cited = {
        (parameter.name, found)
        for parameter in ALL
        for found in shape.findall(f"{parameter.source} {parameter.note}")
    }
    assert len(cited) > 50
    assert {(name, found) for name, found in cited if found not in known} == set()


# What the code does with it ----------------------------------------------------------------------


def attributes_read(names):
    """Attributes taken of variables of these names in the compiled rooms."""
    return {
        node.attr
        for _, tree in trees(COMPILED_ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
    }


def test_every_packed_parameter_is_used_and_every_used_one_exists():
    used = attributes_read({"params", "m"})
    packed = set(PARAMETERS.names)
    assert used - packed == set()
    assert packed - used == set()


def test_every_field_of_a_policy_is_used_and_every_used_one_exists():
    used = attributes_read({"policy"})
    assert used - set(POLICY.names) == set()
    assert set(POLICY.names) - used == set()


ALLOWED = {0, 1, 2, 3, 0.5, 10, 1000, 3600}
"""Counts, halves, powers, per ten years, mL and litres, and Mosteller's body surface."""
CONSTANTS = {
    "MINUTES_PER_DAY", "_MINUTES_PER_MONTH", "_MINUTES_PER_YEAR", "DAYS_PER_YEAR", "LOG_ML_OF_MM3",
    "RESOLUTION_MINUTES", "NEVER", "CLONES", "SEGMENTS", "SITES", "TARGETS", "ACTIVITY_KINDS",
    "LEFT_SEGMENTS", "MAJOR_SEGMENTS", "EXTENDED_SEGMENTS", "_KINDS_PER_COUNT", "CODE_STEP",
    "MOST_DEPTH", "_TINY", "_MOST_SESSIONS",
}  # fmt: skip
"""Constants by name: changes of unit, sizes of records, definitions of anatomy and of RECIST."""
GEOMETRY = {6.0}
"""The volume of a sphere, π / 6 d³."""
COUNTERS = {("onset.py", "_draw_extrahepatic", 4), ("onset.py", "_draw_extrahepatic", 8)}
"""Places of draws in a stream, and the four places outside the liver."""


def is_numbering(node):
    """Whether an assignment numbers names (A, B = 8, 9 or = range(4)), which measures nothing."""
    return isinstance(node.targets[0], ast.Tuple)


def bare_numbers(path, tree):
    for top in tree.body:
        if isinstance(top, ast.Assign):
            target = top.targets[0]
            named = isinstance(target, ast.Name) and target.id in CONSTANTS
            table = isinstance(target, ast.Name) and isinstance(top.value, (ast.List, ast.Tuple))
            if named or is_numbering(top) or table:
                continue
        where = getattr(top, "name", "module")
        for node in ast.walk(top):
            if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
                continue
            if node.value in ALLOWED or (path.name, where, node.value) in COUNTERS:
                continue
            if node.value in GEOMETRY and "math.pi / 6.0" in ast.unparse(top):
                continue
            yield f"{path.name}:{node.lineno} {where}: {node.value}"


def test_no_clinical_number_stands_in_the_code():
    found = [one for path, tree in trees(CLINICAL_ROOMS) for one in bare_numbers(path, tree)]
    assert [one for one in found if "SITE_NAMES" not in one] == []


def test_the_search_for_bare_numbers_finds_one():
    tree = ast.parse("def f(x):\n    return 0.37 * x\n")
    assert len(list(bare_numbers(Path("f.py"), tree))) == 1


# Drawing -----------------------------------------------------------------------------------------

DRAWS = 4000


def _scaled(law, number):
    return {
        "normal": lambda x: x,
        "lognormal": math.log,
        "logitnormal": lambda x: math.log(x / (1.0 - x)),
    }[law](number)


def _spread(p):
    return _scaled(p.law, p.upper[0]) - _scaled(p.law, p.lower[0])


def many_draws(parameter, seed=3):
    return np.array([drawn(parameter, seed, draw) for draw in range(1, DRAWS + 1)])


@pytest.mark.parametrize(
    ("law", "value", "low", "high"),
    [
        ("normal", -1.0, -3.0, 1.0),
        ("lognormal", 2.0, 1.0, 4.0),
        ("logitnormal", 0.5, 0.2, 0.8),
        ("logitnormal", 0.1, 1 / 37, 4 / 13),
    ],
)
def test_a_symmetrical_interval_is_where_the_draws_fall(law, value, low, high):
    """The share of draws below each stated quantile is binomial; limits of 4.5 SD (7 in 10⁶)."""
    parameter = Parameter("made_up", "g", (value,), law, "mm", "here", (low,), (high,))
    draws = many_draws(parameter)[:, 0]
    for quantile, share in ((low, 0.025), (value, 0.5), (high, 0.975)):
        slack = 4.5 * math.sqrt(share * (1.0 - share) / DRAWS)
        assert np.mean(draws < quantile) == pytest.approx(share, abs=slack)


def test_draws_of_every_parameter_have_its_value_as_median_and_mostly_its_interval():
    """Intervals need not be symmetrical: 90 to 97.5 % of draws lie inside the stated one."""
    slack = 4.5 * 0.5 / math.sqrt(DRAWS)
    for parameter in UNCERTAIN:
        draws = many_draws(parameter)
        for place, value in enumerate(parameter.value):
            low, high = parameter.lower[place], parameter.upper[place]
            column = draws[:, place]
            if low == high:
                assert (column == value).all(), parameter.name
                continue
            assert np.mean(column < value) == pytest.approx(0.5, abs=slack), parameter.name
            inside = np.mean((column >= low) & (column <= high))
            assert 0.90 < inside < 0.975, parameter.name


def test_draws_stay_where_their_law_allows():
    for parameter in UNCERTAIN:
        draws = many_draws(parameter, seed=4)[:500]
        if parameter.law == "lognormal":
            assert (draws > 0.0).all()
        if parameter.law == "logitnormal":
            assert ((draws >= 0.0) & (draws <= 1.0)).all()


def test_numbers_of_one_draw_are_independent_of_each_other():
    """No two parameters share their luck: ranks of neighbours in the table do not correlate."""
    columns = [many_draws(p)[:, 0] for p in UNCERTAIN if p.lower[0] < p.upper[0]]
    for a, b in pairwise(columns):
        assert abs(stats.spearmanr(a, b).statistic) < 5.0 / math.sqrt(DRAWS)


def test_no_two_parameters_draw_the_same_normal():
    first = [drawn(p, 1, 1)[0] for p in UNCERTAIN]
    normals = [
        round((_scaled(p.law, number) - _scaled(p.law, p.value[0])) / _spread(p), 9)
        for p, number in zip(UNCERTAIN, first, strict=True)
        if p.lower[0] < p.upper[0]
    ]
    assert len(set(normals)) == len(normals)


def test_draw_0_is_the_values_themselves():
    record = pack(9, 0)[0]
    for parameter in ALL:
        if "." not in parameter.name:
            assert np.array_equal(np.atleast_1d(record[parameter.name]), parameter.value)
    assert pack(9, 0).tobytes() == pack(10, 0).tobytes()


def test_draws_differ_and_repeat():
    assert pack(1, 1).tobytes() == pack(1, 1).tobytes()
    assert pack(1, 1).tobytes() != pack(1, 2).tobytes()
    assert pack(1, 1).tobytes() != pack(2, 1).tobytes()


def test_adding_or_fixing_a_parameter_changes_no_draw_of_another():
    before = pack(1, 5)[0]
    after = pack(1, 5, {"female_share": (0.9,), "liver_theatre.wait_days": (90.0,)})[0]
    assert after["female_share"] == 0.9
    assert after["service_wait_days"][SERVICES.index("liver_theatre")] == 90.0
    for field in set(PARAMETERS.names) - {"female_share", "service_wait_days"}:
        assert np.array_equal(before[field], after[field]), field
    others = [n for n in range(len(SERVICES)) if SERVICES[n] != "liver_theatre"]
    assert np.array_equal(before["service_wait_days"][others], after["service_wait_days"][others])
    one = parameters()["deep_share"]
    assert drawn(one, 1, 5) == (before["deep_share"],)


def test_a_change_to_an_unknown_parameter_is_an_error():
    with pytest.raises(KeyError):
        pack(changes={"no_such_parameter": (1.0,)})


def test_the_life_table_is_that_of_its_file():
    with (PACKAGE / "evidence" / "life_table_uk_2017_19.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    hazard = pack()[0]["life_table_hazard"]
    assert hazard.shape == (2, len(rows))
    for sex, column in enumerate(("qx_male", "qx_female")):
        q = [float(row[column]) for row in rows]
        assert 1.0 - np.exp(-hazard[sex]) == pytest.approx(q, abs=1e-8)
    if (PUBLISHED.parent / "life_table_uk_2017_19.csv").exists():
        with (PUBLISHED.parent / "life_table_uk_2017_19.csv").open(encoding="utf-8") as file:
            assert list(csv.DictReader(file)) == rows


def test_every_activity_names_its_service():
    record = pack()[0]
    services = [SERVICES[n] for n in record["activity_service"]]
    expected = {
        "ct_scan": "ct",
        "major_liver_resection": "liver_theatre",
        "simultaneous_resection": "joint_theatre",
        "chemotherapy_cycle": "chemotherapy_chair",
        "ward_stay": "ward",
    }
    for activity, service in expected.items():
        assert services[ACTIVITIES.index(activity)] == service
