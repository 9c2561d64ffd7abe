"""The rule language: what it accepts and refuses, and that machine and plain Python agree."""

import math
import random
import string
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_sim.care import rules as machine
from crlm_sim.care.attributes import ATTRIBUTES, BY_NAME, CHOICE, FLAG, NUMBER, attribute
from crlm_sim.care.imaging import scan
from crlm_sim.care.resectability import BEYOND_SURGERY, ONE_STAGE, TWO_STAGE, UNRESECTABLE
from crlm_sim.care.systemic import LINE
from crlm_sim.compiled import compiled
from crlm_sim.disease.onset import begin
from crlm_sim.disease.patient import (
    LUNG,
    MINUTES_PER_DAY,
    NODE,
    PERITONEUM,
    PORTAL_NODE,
    RECTUM,
    RIGHT_COLON,
    SEGMENTS,
)
from crlm_sim.engines import agents
from crlm_sim.engines import cohort as cohort_engine
from crlm_sim.engines.cohort import blank_patients
from crlm_sim.evidence import pack
from crlm_sim.scenario import ScenarioError, loads
from crlm_sim.scenario.packing import packed_rules
from crlm_sim.scenario.rules import (
    MOST_NESTING,
    And,
    Comparison,
    Constant,
    Flag,
    Member,
    Not,
    Or,
    RuleError,
    can_judge,
    compile_rule,
    evaluate,
    join,
    never_fires,
    parse,
    to_text,
)

PARAMS = pack(0, 0, {})
SIZE = 120
MONTH = 365.25 / 12 * MINUTES_PER_DAY


# Patients with a history -------------------------------------------------------------------------


@compiled
def diagnose(patients, params):
    for i in range(patients.shape[0]):
        begin(patients[i], params[0])
        scan(patients[i], params[0], 0)


@compiled
def fill_table(patients, params, minutes, table):
    for i in range(patients.shape[0]):
        for code in range(table.shape[1]):
            table[i, code] = attribute(patients[i], params[0], code, minutes[i])


@compiled
def fill_holds(patients, params, operations, arguments, first, last, minutes, found):
    for i in range(patients.shape[0]):
        found[i] = machine.holds(
            patients[i], params[0], operations, arguments, first, last, minutes[i]
        )


@pytest.fixture(scope="module")
def cohort():
    """Patients scanned at diagnosis whose courses then differ, each at a minute of their own."""
    patients = blank_patients(0, SIZE, seed=3)
    diagnose(patients, PARAMS)
    rng = np.random.default_rng(5)
    for field, most in (("plan", 5), ("line", 4), ("cycles", 20), ("planned_segments", 256)):
        patients[field] = rng.integers(0, most, SIZE)
    for field in ("progressed", "objective_response", "resected", "unfit", "primary_in_place"):
        patients[field] = rng.integers(0, 2, SIZE)
    patients["recurrence_minute"][::3] = 1000
    patients["planned_segments"][::7] = 0
    patients["removed_segments"][::5] = 1
    return patients, rng.integers(0, 60 * round(MONTH), SIZE)


@pytest.fixture(scope="module")
def values(cohort):
    """What the clinic knows about each of them, choices as their words."""
    patients, minutes = cohort
    table = np.zeros((SIZE, len(ATTRIBUTES)))
    fill_table(patients, PARAMS, minutes, table)
    return [{entry.name: word(entry, row[entry.code]) for entry in ATTRIBUTES} for row in table]


def word(entry, value):
    return entry.choices[int(value)] if entry.kind == CHOICE else float(value)


def run(tree, cohort):
    patients, minutes = cohort
    operations, arguments, starts = join([compile_rule(Flag("unfit")), compile_rule(tree)])
    found = np.zeros(SIZE, bool)
    fill_holds(patients, PARAMS, operations, arguments, starts[1], starts[2], minutes, found)
    return found.tolist()


# Random trees ------------------------------------------------------------------------------------


def constants(entry):
    if entry.kind == CHOICE:
        return st.sampled_from(entry.choices)
    few = st.integers(0, int(min(entry.highest, 12))).map(float)
    return few if entry.whole else few | st.floats(entry.lowest, entry.highest)


def leaves_of(entry):
    if entry.kind == FLAG:
        return st.just(Flag(entry.name))
    relations = ("==", "!=") if entry.kind == CHOICE else ("<", "<=", ">", ">=", "==", "!=")
    return st.builds(
        Comparison, st.just(entry.name), st.sampled_from(relations), constants(entry)
    ) | st.builds(
        Member,
        st.just(entry.name),
        st.lists(constants(entry), min_size=1, max_size=3).map(tuple),
    )


LEAVES = st.builds(Constant, st.booleans()) | st.sampled_from(ATTRIBUTES).flatmap(leaves_of)


def branches(inner):
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.builds(Not, inner) | st.builds(And, several) | st.builds(Or, several)


TREES = st.recursive(LEAVES, branches, max_leaves=12)


@given(TREES)
def test_text_of_a_tree_is_read_back_to_an_equal_tree(tree):
    assert parse(to_text(tree)) == tree


@settings(max_examples=100)
@given(tree=TREES)
def test_machine_and_plain_python_agree(tree, cohort, values):
    assert run(tree, cohort) == [evaluate(tree, known) for known in values]


@settings(max_examples=60)
@given(st.lists(TREES, min_size=1, max_size=4))
def test_no_rule_that_fires_is_blamed(values, rules):
    blamed = {place for place, _ in never_fires(rules)}
    for known in values:
        winner = next((n for n, rule in enumerate(rules) if evaluate(rule, known)), None)
        assert winner not in blamed


# Attributes --------------------------------------------------------------------------------------


def test_table_is_in_the_order_of_the_codes():
    assert [entry.code for entry in ATTRIBUTES] == list(range(len(ATTRIBUTES)))
    assert len(BY_NAME) == len(ATTRIBUTES)
    for entry in ATTRIBUTES:
        assert entry.kind in (NUMBER, FLAG, CHOICE)
        assert entry.description.endswith(".")
        assert entry.lowest < entry.highest


def test_values_are_within_their_scales(values):
    for known in values:
        for name, value in known.items():
            entry = BY_NAME[name]
            if entry.kind == CHOICE:
                assert value in entry.choices
            else:
                assert entry.lowest <= value
                if entry.whole or entry.kind == FLAG:
                    assert value <= entry.highest
                    assert value == int(value)


def test_attributes_are_what_was_seen(cohort, values):
    patients, minutes = cohort
    for patient, minute, known in zip(patients, minutes, values, strict=True):
        seen = patient["diameter_mm"] > 0
        site = patient["site"]
        liver = seen & (site < SEGMENTS)
        assert known["seen_lesions"] == liver.sum()
        assert known["largest_mm"] == patient["diameter_mm"][liver].max(initial=0.0)
        assert known["bilobar"] == ((liver & (site < 4)).any() and (liver & (site >= 4)).any())
        assert known["seen_extrahepatic"] == (seen & (site >= SEGMENTS)).any()
        assert known["liver_only"] == 1 - known["seen_extrahepatic"]
        places = {
            "lung": LUNG,
            "peritoneum": PERITONEUM,
            "nodes": NODE,
            "portal_nodes": PORTAL_NODE,
        }
        for name, place in places.items():
            assert known[f"seen_{name}"] == (seen & (site == place)).any()
        assert known["months_since_diagnosis"] == pytest.approx(minute / MONTH)
        assert known["age"] == pytest.approx(patient["age_years"] + minute / MONTH / 12)


def test_attributes_are_those_of_the_record(cohort, values):
    patients, _ = cohort
    same = ("performance_status", "cycles", "progressed", "unfit", "msi_high")
    for patient, known in zip(patients, values, strict=True):
        for name in (*same, "fong_score", "node_positive", "symptomatic_primary"):
            assert known[name] == patient[name]
        assert known["resected"] == patient["liver_cleared"]
        going_on = patient["course"] == LINE and not patient["progressed"]
        assert known["line"] == patient["line"] + (not going_on)
        assert known["primary_in_place"] == patient["primary_in_place"]
        assert known["cea"] == patient["cea_ng_ml"]
        assert known["responded"] == patient["objective_response"]
        assert known["recurrent"] == (patient["recurrence_minute"] == 1000)
        assert known["sex"] == ("male", "female")[patient["sex"]]
        assert known["primary"] == ("right", "left", "rectum")[patient["primary_site"]]
        assert known["right_sided"] == (patient["primary_site"] == RIGHT_COLON)
        assert known["left_sided"] == (patient["primary_site"] != RIGHT_COLON)
        assert known["rectal"] == (patient["primary_site"] == RECTUM)
        assert known["mutation"] == ("wild_type", "ras", "braf")[patient["mutation"]]
        flags = (known["wild_type"], known["ras_mutant"], known["braf_mutant"])
        assert flags == tuple(patient["mutation"] == m for m in range(3))
        assert known["injured"] == (patient["cycles"] >= PARAMS["injured_after_cycles"][0])
        names = ("resectable", "two_stage", "unresectable", "beyond_surgery")
        plans = (ONE_STAGE, TWO_STAGE, UNRESECTABLE, BEYOND_SURGERY)
        for name, plan in zip(names, plans, strict=True):
            assert known[name] == (patient["plan"] == plan)


def test_remnant_is_a_share_of_the_liver_at_diagnosis(cohort, values):
    patients, _ = cohort
    for patient, known in zip(patients, values, strict=True):
        planned, gone = int(patient["planned_segments"]), int(patient["removed_segments"])
        stays = [(planned | gone) >> s & 1 == 0 for s in range(SEGMENTS)]
        left = patient["segment_ml"][stays].sum() / patient["liver_ml"]
        assert known["flr"] == pytest.approx(left if planned else 1.0)


# What is accepted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("msi_high and line == 1", And((Flag("msi_high"), Comparison("line", "==", 1)))),
        ("fong_score >= 3", Comparison("fong_score", ">=", 3)),
        ("3 <= fong_score", Comparison("fong_score", ">=", 3)),
        ("flr < 0.3 and not injured", And((Comparison("flr", "<", 0.3), Not(Flag("injured"))))),
        ("flr < 30 %", Comparison("flr", "<", 0.3)),
        ("age >= 75 years", Comparison("age", ">=", 75)),
        ("age>=75", Comparison("age", ">=", 75)),
        ("age >= 900 months", Comparison("age", ">=", 75)),
        ("months_since_diagnosis < 1 year", Comparison("months_since_diagnosis", "<", 12)),
        ("largest_mm > 3.5cm", Comparison("largest_mm", ">", 35)),
        ("cea > 2e2 ng/mL", Comparison("cea", ">", 200)),
        ("cea > 200 µg/L", Comparison("cea", ">", 200)),
        ('primary == "rectum"', Comparison("primary", "==", "rectum")),
        ("'rectum' != primary", Comparison("primary", "!=", "rectum")),
        ("mutation in ('ras', 'braf')", Member("mutation", ("ras", "braf"))),
        ("mutation not in ('ras',)", Not(Member("mutation", ("ras",)))),
        ("performance_status in (0, 1)", Member("performance_status", (0, 1))),
        ("default", Constant(True)),
        (" true\n", Constant(True)),
        ("((false))", Constant(False)),
        (
            "20 mm <= largest_mm <= 50 mm",
            And((Comparison("largest_mm", ">=", 20), Comparison("largest_mm", "<=", 50))),
        ),
        ("not not unfit", Not(Not(Flag("unfit")))),
        ("not line == 1", Not(Comparison("line", "==", 1))),
        (
            "unfit or resected and rectal",
            Or((Flag("unfit"), And((Flag("resected"), Flag("rectal"))))),
        ),
        (
            "(unfit or resected) and rectal",
            And((Or((Flag("unfit"), Flag("resected"))), Flag("rectal"))),
        ),
        ("not unfit and rectal", And((Not(Flag("unfit")), Flag("rectal")))),
        ("not (unfit and rectal)", Not(And((Flag("unfit"), Flag("rectal"))))),
    ],
)
def test_parse(text, tree):
    assert parse(text) == tree
    assert parse(to_text(tree)) == tree


def test_canonical_text():
    text = (
        "30 mm>largest_mm and(unfit or age>1 year)and not(flr<30%or mutation not in('ras','braf'))"
    )
    assert to_text(parse(text)) == (
        "largest_mm < 30 mm and (unfit or age > 1 year) "
        "and not (flr < 30 % or mutation not in ('ras', 'braf'))"
    )


@pytest.mark.parametrize("unfit", [False, True])
@pytest.mark.parametrize("rectal", [False, True])
@pytest.mark.parametrize("resected", [False, True])
def test_not_binds_before_and_before_or(unfit, rectal, resected):
    known = {"unfit": unfit, "rectal": rectal, "resected": resected}
    assert evaluate(parse("unfit or rectal and resected"), known) == (
        unfit or (rectal and resected)
    )
    assert evaluate(parse("rectal and resected or unfit"), known) == (
        (rectal and resected) or unfit
    )
    assert evaluate(parse("not unfit and rectal"), known) == ((not unfit) and rectal)
    assert evaluate(parse("not unfit or rectal"), known) == ((not unfit) or rectal)


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "message", "suggestion"),
    [
        ("msi_hihg and unfit", 0, "unknown attribute 'msi_hihg'", "did you mean 'msi_high'?"),
        ("unfit or Age > 3", 9, "unknown attribute 'Age'", "did you mean 'age'?"),
        ("age > seen_lessions", 6, "unknown attribute", "did you mean 'seen_lesions'?"),
        ("lin in (1, 2)", 0, "unknown attribute 'lin'", "did you mean 'line'?"),
        ("line in (one, 2)", 9, "unknown attribute 'one'", ""),
        ("primary == 3", 11, "primary is a word, not a number", "'right', 'left', 'rectum'"),
        ("primary == 'rectom'", 11, "primary is never 'rectom'", "did you mean 'rectum'?"),
        ("mutation in ('ras', 'braff')", 20, "mutation is never 'braff'", "mean 'braf'?"),
        ("mutation in (age)", 13, "mutation is compared with a word in quotes", "'wild_type'"),
        ("primary == rectum", 11, "needs quotes", "write 'rectum' with its quotes"),
        ("mutation == wild_type", 12, "needs quotes", "write 'wild_type' with its quotes"),
        ("primary < 'right'", 8, "primary has no order", "use == or !="),
        ("age > 'old'", 6, "age is a number, not 'old'", "such as age >= 60 years"),
        ("age in (line)", 8, "age is a number, not 'line'", "such as age >= 60 years"),
        ("age > 30 mm", 9, "'mm' does not fit age", "use one of years, months"),
        ("age > 75 yeers", 9, "'yeers' does not fit age", "did you mean 'years'?"),
        ("age > 75 %", 9, "'%' does not fit age", "use one of years"),
        ("seen_lesions > 5 mm", 17, "seen_lesions has no unit: 'mm' does not fit", ""),
        ("line == 1 nad unfit", 10, "'nad' does not fit", "did you mean 'and'?"),
        ("fong_score > 7", 13, "fong_score lies between 0 and 5", ""),
        ("age > -1", 6, "age lies between 0 and 120 years", ""),
        ("age > 1e999", 6, "age lies between 0 and 120 years", ""),
        ("flr < 30", 6, "flr lies between 0 and 100 %", "did you mean '30 %'?"),
        ("flr < 130 %", 6, "flr lies between 0 and 100 %", ""),
        ("msi_high == 1", 12, "msi_high is yes or no", "write msi_high or not msi_high"),
        ("msi_high == true", 12, "msi_high is yes or no", "write msi_high or not msi_high"),
        ("age > line", 6, "not with another attribute", ""),
        ("1 < 2", 0, "one side of a comparison must be an attribute", "such as age >= 60 years"),
        ("age", 0, "age alone is no condition: it is a number", "such as age >= 60 years"),
        ("primary", 0, "it is a choice", "such as primary == 'right'"),
        ("fong_score", 0, "it is a number", "such as fong_score >= 2"),
        ("3", 0, "'3' alone is no condition", "compare an attribute with it"),
        ("'ras'", 0, "'ras' alone is no condition", "compare an attribute with it"),
        ("", 0, "the rule is empty", "write 'default'"),
        ("  ", 0, "the rule is empty", "write 'default'"),
        ("age >=", 6, "a value is missing at the end", ""),
        ("age >= and unfit", 7, "a value is missing before 'and'", ""),
        ("age >= < 3", 7, "a value is missing before '<'", ""),
        ("and unfit", 0, "a condition is missing before 'and'", ""),
        ("unfit and", 9, "a condition is missing at the end", ""),
        ("unfit or or rectal", 9, "a condition is missing before 'or'", ""),
        ("not", 3, "a condition is missing at the end", ""),
        ("()", 1, "a condition is missing before ')'", ""),
        ("(unfit", 0, "the bracket opened here is never closed", "add ')'"),
        ("mutation in ('ras'", 12, "the bracket opened here is never closed", "add ')'"),
        ("unfit)", 5, "this bracket closes nothing", "remove it"),
        ("mutation in 'ras'", 12, "'in' needs a list in brackets", "('ras', 'braf')"),
        ("mutation in ('ras' 'braf')", 19, "the list needs ',' or ')'", "('ras', 'braf')"),
        ("mutation in ()", 13, "a value is missing before ')'", ""),
        ("3 in (3, 4)", 0, "'in' needs an attribute before it", "such as mutation in"),
        ("unfit rectal", 6, "'and' or 'or' is missing before 'rectal'", ""),
        ("unfit AND rectal", 6, "'and' or 'or' is missing before 'AND'", "did you mean 'and'?"),
        ("(unfit rectal)", 7, "'and' or 'or' is missing before 'rectal'", ""),
        ("age = 3", 4, "'=' has no meaning in a rule", "did you mean '=='?"),
        ("unfit & rectal", 6, "'&' has no meaning in a rule", "did you mean 'and'?"),
        ("age ≥ 75", 4, "'≥' has no meaning in a rule", "did you mean '>='?"),
        ("unfit; rectal", 5, "';' has no meaning in a rule", ""),
        ("primary == 'rectum", 11, "the quote opened here is never closed", "add ' at its end"),
        ("(" * 99 + "unfit" + ")" * 99, MOST_NESTING, "more than 50 deep", "more simply"),
        ("not " * 99 + "unfit", 4 * MOST_NESTING, "more than 50 deep", "more simply"),
    ],
)
def test_refused(text, column, message, suggestion):
    with pytest.raises(RuleError) as caught:
        parse(text)
    error = caught.value
    assert message in error.message
    assert error.message == str(error)
    assert error.column == column
    assert suggestion in error.suggestion
    assert bool(suggestion) or not error.suggestion or "unknown attribute" in message


def tried(text):
    try:
        return parse(text), None
    except RuleError as error:
        return None, error


PIECES = [*BY_NAME, "and", "or", "not", "in", "true", "default", "(", ")", ",", "<", "<=", "=="]
PIECES += ["30 mm", "0.5", "75 years", "'ras'", "%", "'", '"', "1e999", "-", "µg/L", "\x00", "é"]
PIECES += ["__import__('os').system('true')", "eval('1')", "open('x')", "lambda: 1", "f(age)", "="]
SIGNS = string.printable + "µ≤“é٣\u2028\ud800"
RELATIONS = ("<", "<=", ">", ">=", "==", "!=")


def written(rng, depth):
    """A condition as somebody might write it, of every kind of attribute."""
    if depth and rng.random() < 0.6:
        several = [written(rng, depth - 1) for _ in range(rng.randrange(1, 4))]
        text = f" {rng.choice(('and', 'or'))} ".join(several)
        return f"{rng.choice(('not ', ''))}({text})"
    entry = rng.choice(ATTRIBUTES)
    if entry.kind == FLAG:
        return rng.choice(("", "not ")) + entry.name
    if entry.kind == CHOICE:
        words = [f"'{word}'" for word in rng.choices(entry.choices, k=rng.randrange(1, 3))]
        return (
            f"{entry.name} in ({', '.join(words)})"
            if rng.random() < 0.5
            else (f"{entry.name} {rng.choice(('==', '!='))} {words[0]}")
        )
    most = min(entry.highest, rng.choice((5.0, 100.0)))
    number = rng.randrange(int(most) + 1) if entry.whole else round(rng.uniform(0.0, most), 2)
    return f"{entry.name} {rng.choice(RELATIONS)} {number}"


def random_text(rng, n):
    """Signs, words in any order, a whole condition, or one with a slip of the pen, in turn."""
    if n % 4 == 0:
        return "".join(rng.choices(SIGNS, k=rng.randrange(30)))
    if n % 4 == 1:
        return " ".join(rng.choices(PIECES, k=rng.randrange(8)))
    text = written(rng, 2)
    if n % 4 == 2:
        return text
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(("", rng.choice(SIGNS))) + text[place + 1 :]


FORBIDDEN = ("exec", "compile", "import", "open", "os.", "subprocess.", "ctypes.", "socket.")
watch = {"on": False, "seen": []}


def audit(event, _):
    if watch["on"] and event.startswith(FORBIDDEN):
        watch["seen"].append(event)


@pytest.fixture
def nothing_is_executed():
    """Python tells of whatever is compiled, run, imported or opened meanwhile."""
    if "hook" not in watch:
        sys.addaudithook(audit)
        watch["hook"] = True
    watch["seen"].clear()
    yield watch
    watch["on"] = False


def test_the_watch_sees_what_is_executed(nothing_is_executed):
    watch["on"] = True
    eval("1")
    watch["on"] = False
    assert set(watch["seen"]) == {"compile", "exec"}


def test_any_text_compiles_or_is_refused_and_nothing_is_executed(nothing_is_executed):
    rng = random.Random(7)
    texts = [random_text(rng, n) for n in range(10_000)]
    watch["on"] = True
    found = [tried(text) for text in texts]
    watch["on"] = False
    assert watch["seen"] == []
    for text, (tree, error) in zip(texts, found, strict=True):
        if error is None:
            assert parse(to_text(tree)) == tree
        else:
            assert 0 <= error.column <= len(text)
            assert error.message
            assert error.message.isprintable()
    accepted = sum(error is None for _, error in found)
    assert 2500 < accepted < 7500


CHANGES = (
    {"timing": "upfront"},
    {"sequence": "liver-first", "conversion_regimen": "none"},
    {"mri": True, "small_lesions": "ablate"},
    {"lines": 1, "local_therapy": "sbrt"},
    {"arterial_therapy": "pump", "two_stage": "alpps"},
)


STANDARD = loads('title = "t"\n[[policy]]\nname = "standard"\n').packed_policy("standard")


def lived_by(engine, first, rules):
    patients = cohort_engine.blank_patients(first, 20, 1)
    engine.simulate(patients, PARAMS, STANDARD, 2 * 525_960, rules=rules)
    return patients


def test_both_engines_agree_on_every_text_that_compiles():
    """Five texts at a time decide settings of their own, so that none hides another."""
    rng = random.Random(7)
    texts = [random_text(rng, n) for n in range(10_000)]
    texts = [text for text in texts if tried(text)[1] is None]
    assert len(texts) > 2500
    moved = 0
    batches = range(0, len(texts), len(CHANGES))
    for first in batches:
        some = texts[first : first + len(CHANGES)]
        rules = packed_rules(list(zip(some, CHANGES, strict=False)))
        one, other = (lived_by(engine, first, rules) for engine in (cohort_engine, agents))
        assert one.tobytes() == other.tobytes(), some
        moved += one.tobytes() != lived_by(cohort_engine, first, None).tobytes()
    assert moved > 0.9 * len(batches)


# The machine -------------------------------------------------------------------------------------


def nested(depth):
    tree = Flag("unfit")
    for _ in range(depth):
        tree = And((Constant(True), tree))
    return tree


def test_deepest_stack_works_and_a_deeper_one_is_refused(cohort, values):
    expected = [bool(known["unfit"]) for known in values]
    assert run(nested(machine.MOST_DEPTH - 1), cohort) == expected
    with pytest.raises(RuleError, match="nested more than 60 deep"):
        compile_rule(nested(machine.MOST_DEPTH))


def test_long_flat_rules_need_no_depth(cohort):
    assert all(run(parse(" or ".join(["unfit"] * 500 + ["true"])), cohort))


def test_every_rule_the_parser_takes_can_run():
    text = "(false or " * MOST_NESTING + "mutation in ('ras', 'braf')" + ")" * MOST_NESTING
    compile_rule(parse(text))


def test_join_says_where_programs_begin():
    operations, arguments, starts = join(
        [compile_rule(parse("unfit and rectal")), compile_rule(parse("age > 3"))]
    )
    assert (operations.dtype, arguments.dtype) == (np.int64, np.float64)
    assert starts.tolist() == [0, 3, 4]
    assert arguments.tolist() == [0.0, 0.0, 0.0, 3.0]
    assert [len(part) for part in join([])] == [0, 0, 1]


# Rules that cannot fire --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "places"),
    [
        (["msi_high", "line == 1"], []),
        (["msi_high and not msi_high"], [0]),
        (["false"], [0]),
        (["age > 80 and age < 70"], [0]),
        (["age > 70 and age < 70.5"], []),
        (["line > 1 and line < 2"], [0]),
        (["line == 1.5"], [0]),
        (["seen_lesions < 0"], [0]),
        (["flr > 100 %"], [0]),
        (["largest_mm > 300 mm"], []),
        (["primary == 'rectum' and primary == 'left'"], [0]),
        (["default", "msi_high"], [1]),
        (["fong_score >= 3", "fong_score >= 4"], [1]),
        (["fong_score >= 4", "fong_score >= 3"], []),
        (["fong_score >= 3", "fong_score < 3", "default"], [2]),
        (["fong_score > 3", "fong_score < 3", "default"], []),
        (["mutation in ('ras', 'braf')", "mutation == 'braf'", "wild_type"], [1]),
        (["rectal and right_sided"], [0]),
        (["left_sided", "primary == 'rectum'"], [1]),
        (["resectable and unresectable"], [0]),
        (["resectable", "two_stage", "unresectable", "beyond_surgery", "default"], []),
        (["seen_lung and liver_only"], [0]),
        (["not seen_lung and not seen_extrahepatic", "liver_only"], [1]),
        (["age > 5", "msi_high and not msi_high", "age > 6 or false"], [1, 2]),
    ],
)
def test_never_fires(rules, places):
    trees = [parse(text) for text in rules]
    assert [place for place, _ in never_fires(trees)] == places
    assert can_judge(trees)


def test_reasons():
    rules = ["fong_score >= 3", "false", "fong_score < 3", "unfit", "fong_score == 3"]
    assert never_fires([parse(text) for text in rules]) == [
        (1, "no patient can meet its condition"),
        (3, "whenever it holds, one of the rules 1 or 3 holds too and comes first"),
        (4, "whenever it holds, rule 1 holds too and comes first"),
    ]


def test_too_many_combinations_are_not_judged():
    flags = [entry.name for entry in ATTRIBUTES if entry.kind == FLAG]
    wide = parse(" and ".join([*flags, "age > 3", "cea > 3", "cycles > 3"]))
    assert not can_judge([wide])
    assert never_fires([wide]) == []
    assert never_fires([parse("unfit and not unfit"), wide]) == [
        (0, "no patient can meet its condition")
    ]


def test_unknown_code_is_no_number(cohort):
    patients, minutes = cohort
    table = np.zeros((SIZE, len(ATTRIBUTES) + 1))
    fill_table(patients, PARAMS, minutes, table)
    assert all(math.isnan(value) for value in table[:, -1])


def test_both_engines_agree_on_whatever_compiles():
    """Random conditions that compile, each deciding a setting, lived by both engines."""
    rng = random.Random(7)
    names = [f"not {a.name}" for a in ATTRIBUTES if a.kind == "flag"]
    names += [a.name for a in ATTRIBUTES if a.kind == "flag"]
    numbers = [a.name for a in ATTRIBUTES if a.kind == "number" and not a.unit]
    changes = ('timing = "upfront"', "mri = true", 'small_lesions = "ablate"', "lines = 1")
    here, rules, kept = None, "", 0
    for n in range(24):
        parts = [*rng.sample(names, 2), f"{rng.choice(numbers)} >= {rng.randrange(1, 4)}"]
        when = f" {rng.choice(['and', 'or'])} ".join(parts)
        more = f'[[policy.rule]]\nwhen = "{when}"\ndo = {{ {changes[n % 4]} }}\n'
        try:
            here = loads(f'title = "t"\n[[policy]]\nname = "a"\nbase = "standard"\n{rules}{more}')
        except ScenarioError:  # it contradicts itself, or earlier rules leave nobody to it
            continue
        rules, kept = rules + more, kept + 1
    assert kept >= 8
    lived = []
    for engine in (cohort_engine, agents):
        patients = cohort_engine.blank_patients(0, 300, 1)
        engine.simulate(
            patients, pack(), here.packed_policy("a"), 10 * 525_960, rules=here.packed_rules("a")
        )
        lived.append(patients)
    assert lived[0].tobytes() == lived[1].tobytes()
