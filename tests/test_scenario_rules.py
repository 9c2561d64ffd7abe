"""Rules of policies and the condition on the population: read, inherited, packed, refused."""

import json
import pickle
import tomllib
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_sim.care import rules as machine
from crlm_sim.care.attributes import AGE, FONG_SCORE, MSI_HIGH
from crlm_sim.care.policy import (
    MOST_CHANGES,
    MOST_RULES,
    NO_REGIMEN,
    NO_STAGES,
    POLICY,
    RULES,
    UPFRONT,
)
from crlm_sim.evidence import REGIMENS
from crlm_sim.scenario import Problem, ScenarioError, json_schema, load, loads, to_toml
from crlm_sim.scenario.model import Scenario, changes_model
from crlm_sim.scenario.packing import SETTINGS
from crlm_sim.scenario.policies import library

FOLDER = Path(__file__).parent.parent / "scenarios"
TOP = 'title = "t"\n'
POLICY_A = f'{TOP}[[policy]]\nname = "a"\n'


def rule(when: str, do: str) -> str:
    return f"[[policy.rule]]\nwhen = {json.dumps(when)}\ndo = {{ {do} }}\n"


BY_RISK = POLICY_A + "".join(
    [
        rule("fong_score<=2", 'timing = "upfront", adjuvant_cycles = 12'),
        rule("(msi_high)", 'conversion_regimen = "none", reevaluation = "6 weeks"'),
        rule("default", 'flr_least = "25 %", two_stage = "none", surveillance_period = "5 years"'),
    ]
)


def problems_of(text: str, given_settings: tuple[str, ...] = ()) -> list[Problem]:
    try:
        loads(text, "typo", given_settings)
    except ScenarioError as error:
        return error.problems
    return []


def only_problem(text: str, given_settings: tuple[str, ...] = ()) -> Problem:
    problems = problems_of(text, given_settings)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def changes_of(scenario: Scenario, name: str) -> list[tuple[str, dict]]:
    return [(entry.when, entry.do) for entry in scenario.policy(name).rules]


# What is read ------------------------------------------------------------------------------------


def test_rules_as_the_program_sees_them() -> None:
    assert changes_of(loads(BY_RISK), "a") == [
        ("fong_score <= 2", {"timing": "upfront", "adjuvant_cycles": 12}),
        ("msi_high", {"conversion_regimen": "none", "reevaluation": 42.0}),
        ("true", {"flr_least": 0.25, "two_stage": "none", "surveillance_period": 1826.25}),
    ]


def test_a_rule_is_immutable_and_travels() -> None:
    scenario = loads(BY_RISK)
    with pytest.raises(ValueError, match="frozen"):
        scenario.policy("a").rules[0].when = "true"
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_a_scenario_with_rules_is_written_and_read_back() -> None:
    scenario = loads(BY_RISK + '[population]\neligible = "age<80 and liver_only"\n')
    text = to_toml(scenario)
    assert 'eligible = "age < 80 years and liver_only"' in text
    assert 'do = { conversion_regimen = "none", reevaluation = "6 weeks" }' in text
    assert loads(text) == scenario
    assert to_toml(loads(text)) == text
    jsonschema.validate(tomllib.loads(text), json_schema())


def test_the_shipped_policy_by_risk() -> None:
    scenario = load(FOLDER / "by_risk.toml")
    assert scenario.policy_names == ("liver_first", "by_risk")
    assert scenario.policy("liver_first").rules == ()
    changed = {name for entry in scenario.policy("by_risk").rules for name in entry.do}
    assert changed >= {"timing", "conversion_regimen", "first_line_regimen"}
    assert np.array_equal(scenario.packed_policy("by_risk"), scenario.packed_policy("liver_first"))


def test_what_a_rule_may_set_is_what_a_policy_says() -> None:
    own = {"name", "label", "base"}
    assert set(SETTINGS) == set(library()["standard"]) - own
    assert set(changes_model().model_fields) == set(SETTINGS)
    shown = json_schema()["properties"]["policy"]["items"]["properties"]
    assert set(shown["rule"]["items"]["properties"]["do"]["properties"]) == set(SETTINGS)


@pytest.mark.parametrize(
    "text",
    [
        "[[policy.rule]]\ndo.timing = \"upfront\"\nwhen = 'rectal'\n",
        '[[policy.rule]]\nwhen = """\n  rectal"""\n[policy.rule.do]\ntiming = "upfront"\n',
        'rule = [{ when = "rectal", do = { timing = "upfront" } }]\n',
    ],
)
def test_other_ways_of_writing_a_rule(text: str) -> None:
    assert changes_of(loads(POLICY_A + text), "a") == [("rectal", {"timing": "upfront"})]


VALUES = {
    "timing": st.sampled_from(["upfront", "perioperative"]),
    "line_cycles": st.integers(1, 24),
    "conversion_regimen": st.sampled_from(["none", *REGIMENS]),
    "reevaluation": st.builds(
        "{} {}".format, st.integers(1, 90), st.sampled_from(["days", "weeks"])
    ),
    "ablation": st.sampled_from(["none", "rfa", "mwa"]),
    "flr_least": st.floats(0.0, 1.0, exclude_min=True),
}
CONDITIONS = st.sampled_from(
    ["age > 70", "fong_score == 3", "msi_high", "mutation in ('ras', 'braf')", "flr < 33 %"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CONDITIONS, unique=True, max_size=4), st.data())
def test_whatever_rules_are_written_load_to_equal_ones(
    whens: list[str], data: st.DataObject
) -> None:
    text = POLICY_A
    expected = []
    for when in whens:
        name, value = data.draw(st.sampled_from(sorted(VALUES)).flatmap(pairs))
        text += rule(when, f"{name} = {json.dumps(value)}")
        expected.append(name)
    scenario = loads(text)
    assert [list(entry.do) for entry in scenario.policy("a").rules] == [[name] for name in expected]
    assert loads(to_toml(scenario)) == scenario
    assert np.array_equal(loads(to_toml(scenario)).packed_rules("a"), scenario.packed_rules("a"))


def pairs(name: str) -> st.SearchStrategy:
    return VALUES[name].map(lambda value: (name, value))


# Inheritance -------------------------------------------------------------------------------------


def test_own_rules_come_before_those_of_the_bases() -> None:
    text = (
        f'{TOP}[[policy]]\nname = "c"\nbase = "b"\n'
        + rule("rectal", "lines = 1")
        + '[[policy]]\nname = "b"\nbase = "a"\n'
        + rule("not bilobar", "lines = 2")
        + rule("msi_high", "line_cycles = 3")
        + '[[policy]]\nname = "a"\nbase = "liver_first"\n'
        + rule("bilobar", "lines = 3")
        + '[[policy]]\nname = "d"\nbase = "a"\n'
    )
    scenario = loads(text)
    own = {name: [when for when, _ in changes_of(scenario, name)] for name in "abcd"}
    assert own == {
        "a": ["bilobar"],
        "b": ["not bilobar", "msi_high", "bilobar"],
        "c": ["rectal", "not bilobar", "msi_high", "bilobar"],
        "d": ["bilobar"],
    }


def test_rules_of_a_file_come_before_those_of_the_file_it_builds_on(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text(POLICY_A + rule("rectal", "lines = 9"))
    (tmp_path / "second.toml").write_text(
        'base = "first.toml"\n[[policy]]\nname = "a"\n' + rule("bilobar", "lines = 1")
    )
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "second.toml")
    (problem,) = caught.value.problems
    assert problem.headline.startswith(f"{tmp_path / 'first.toml'}:6: policy.a.rule 1.do.lines: ")
    (tmp_path / "first.toml").write_text(POLICY_A + rule("rectal", "lines = 2"))
    scenario = load(tmp_path / "second.toml")
    assert changes_of(scenario, "a") == [("bilobar", {"lines": 1}), ("rectal", {"lines": 2})]


def test_rules_of_the_library_are_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = [{"when": "msi_high", "do": {"reevaluation": "12 weeks"}}]
    monkeypatch.setitem(library(), "liver_first", {**library()["liver_first"], "rule": shipped})
    text = f'{TOP}[[policy]]\nname = "liver_first"\n[[policy]]\nname = "a"\nbase = "liver_first"\n'
    scenario = loads(text + rule("default", "lines = 1"))
    assert changes_of(scenario, "liver_first") == [("msi_high", {"reevaluation": 84.0})]
    assert [when for when, _ in changes_of(scenario, "a")] == ["true", "msi_high"]


def test_a_mistake_in_a_rule_that_others_inherit_is_told_once() -> None:
    text = POLICY_A + rule("agee > 3", "lines = 1") + '[[policy]]\nname = "b"\nbase = "a"\n'
    assert only_problem(text + rule("rectal", "lines = 2")).line == 5


# Packing -----------------------------------------------------------------------------------------


def operation(code: int, opcode: int) -> int:
    return code * machine.CODE_STEP + opcode


def test_packed_rules() -> None:
    record = loads(BY_RISK).packed_rules("a")
    assert (record.shape, record.dtype) == ((1,), RULES)
    first = record[0]
    assert first["count"] == 3
    assert first["starts"][:5].tolist() == [0, 1, 2, 3, 0]
    assert first["operations"][:4].tolist() == [
        operation(FONG_SCORE, machine.AT_MOST),
        operation(MSI_HIGH, machine.UNEQUAL),
        machine.ALWAYS,
        0,
    ]
    assert first["arguments"][:3].tolist() == [2.0, 0.0, 0.0]
    assert first["changes"][:5].tolist() == [0, 2, 4, 7, 0]
    names = [POLICY.names[place] for place in first["setting"][:7]]
    assert dict(zip(names, first["value"][:7].tolist(), strict=True)) == {
        "timing": UPFRONT,
        "adjuvant_cycles": 12.0,
        "conversion_regimen": NO_REGIMEN,
        "reevaluation_days": 42.0,
        "flr_least": 0.25,
        "two_stage": NO_STAGES,
        "surveillance_years": 5.0,
    }


def test_a_rule_sets_what_the_setting_itself_would() -> None:
    """Every setting of the library's policies, once as their own and once by a rule."""
    said = {**library()["standard"], "sequence": "liver-first", "second_line_regimen": "none"}
    pairs_of = [f"{name} = {json.dumps(said[name])}" for name in SETTINGS]
    scenario = loads(POLICY_A + "\n".join(pairs_of) + "\n" + rule("rectal", ", ".join(pairs_of)))
    own, rules = scenario.packed_policy("a")[0], scenario.packed_rules("a")[0]
    assert rules["changes"][1] == len(SETTINGS)
    for place, value in zip(rules["setting"], rules["value"][: len(SETTINGS)], strict=False):
        assert own[POLICY.names[place]] == value


def test_no_rules_and_no_condition() -> None:
    scenario = loads(POLICY_A)
    assert scenario.population.eligible is None
    assert scenario.packed_rules("a")["count"][0] == 0
    assert np.array_equal(scenario.packed_eligible(), np.zeros(1, RULES))


def test_packed_eligible() -> None:
    scenario = loads(POLICY_A, settings=["population.eligible=age >= 960 months"])
    assert scenario.population.eligible == "age >= 80 years"
    record = scenario.packed_eligible()[0]
    assert (record["count"], record["starts"][1], record["changes"][1]) == (1, 1, 0)
    assert record["operations"][0] == operation(AGE, machine.AT_LEAST)
    assert record["arguments"][0] == 80.0


# Messages ----------------------------------------------------------------------------------------


def test_the_form_of_a_message_about_a_condition() -> None:
    text = POLICY_A + '[[policy.rule]]\nwhen = "rectal and fong_scor <= 2"  # low\ndo.lines = 1\n'
    assert str(only_problem(text)) == (
        "typo.toml:5: policy.a.rule 1.when: unknown attribute 'fong_scor'\n"
        '    5 | when = "rectal and fong_scor <= 2"  # low\n'
        "      |                    ^ did you mean 'fong_score'?"
    )


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("'rectal and ! bilobar'", 0),
        ('"rectal and ! bilobar"', 0),
        (r'"primary == \"left\" and ! bilobar"', 0),
        (r'"\u0072ectal\tand\n ! bilobar"', 0),
        ('"""rectal and ! bilobar"""', 0),
        ('"""\nrectal\n  and ! bilobar"""', 2),
        ("'''\n\nrectal and ! bilobar'''", 2),
        ('"""rectal \\\n   and ! \\\nbilobar"""', 1),
    ],
)
def test_the_mark_stands_under_the_sign(written: str, line: int) -> None:
    text = f"{POLICY_A}[[policy.rule]]\nwhen = {written}\ndo.lines = 1\n"
    problem = only_problem(text)
    assert problem.text == "policy.a.rule 1.when: '!' has no meaning in a rule"
    assert problem.line == 5 + line
    assert problem.source.strip() in text
    assert problem.source[problem.start : problem.end] == "!"


def test_the_mark_stands_at_the_end_of_an_unfinished_condition() -> None:
    problem = only_problem(POLICY_A + rule("rectal and", "lines = 1"))
    assert problem.source[problem.start :] == '"'


WRONG_RULES = [
    ("when = true\ndo.lines = 1", 5, "when: a condition must be a text (got true)", '"true" in q'),
    ("when = 3\ndo.lines = 1", 5, "when: a condition must be a text (got 3)", "in quotes, such as"),
    ('when = ""\ndo.lines = 1', 5, "when: the rule is empty", "write 'default'"),
    ('when = "age"\ndo.lines = 1', 5, "age alone is no condition", "compare it: such as"),
    ('when = "age > 3 kg"\ndo.lines = 1', 5, "does not fit age", "use one of years, months"),
    ("do.lines = 1", 4, "policy.a.rule 1: when is missing", 'add when = "default"'),
    ('when = "rectal"', 4, "policy.a.rule 1: do is missing", "add do = {"),
    ('when = "rectal"\ndo = {}', 6, "do: the rule changes nothing", "such as do = {"),
    ('when = "rectal"\ndo = "upfront"', 6, "do: must be settings in braces", "such as do = {"),
    (
        'when = "rectal"\ndo = { timming = "upfront" }',
        6,
        "unknown key 'timming' in do of [[policy]] 'a'",
        "did you mean 'timing'?",
    ),
    ('when = "rectal"\ndo = { label = "x" }', 6, "unknown key 'label' in do of", ""),
    ('when = "rectal"\ndo = { base = "x" }', 6, "unknown key 'base' in do of", ""),
    (
        'when = "rectal"\ndo = { timing = "upfrnt" }',
        6,
        "policy.a.rule 1.do.timing: must be one of",
        "did you mean 'upfront'?",
    ),
    ('when = "rectal"\ndo.reevaluation = 56', 6, "do.reevaluation: add the unit: '56 days'", ""),
    ('when = "rectal"\ndo.lines = 4', 6, "do.lines: must be at most 3 (got 4)", ""),
    ('when = "rectal"\ndo.flr_least = "130 %"', 6, "do.flr_least: must lie between", ""),
    (
        'when = "rectal"\ndo.conversion_regimen = "folfuri"',
        6,
        "unknown regimen 'folfuri'",
        "did you mean 'folfiri'?",
    ),
    (
        'when = "rectal"\ndo.lines = 1\nwhenn = 1',
        7,
        "unknown key 'whenn' in a rule of [[policy]] 'a'",
        "did you mean 'when'?",
    ),
    (
        'when = "rectal"\ndo.lines = 1\ntiming = "upfront"',
        7,
        "unknown key 'timing' in a rule of [[policy]] 'a'",
        "put it into do",
    ),
    ('when = "false"\ndo.lines = 1', 5, "this rule can never fire: no patient can meet", ""),
    ('when = "age > 80 and age < 70"\ndo.lines = 1', 5, "no patient can meet its condition", ""),
]


@pytest.mark.parametrize(("text", "line", "said", "hint"), WRONG_RULES, ids=lambda v: str(v)[:30])
def test_a_wrong_rule(text: str, line: int, said: str, hint: str) -> None:
    problem = only_problem(f"{POLICY_A}[[policy.rule]]\n{text}\n")
    assert problem.line == line
    assert said in problem.text
    assert hint in problem.suggestion


@pytest.mark.parametrize(
    "text", ["rule = 3\n", "rule = [3]\n", '[policy.rule]\nwhen = "rectal"\n', 'rule = "rectal"\n']
)
def test_rules_that_are_no_sections(text: str) -> None:
    text = f'{POLICY_A}{text}[[policy]]\nname = "b"\nbase = "a"\n' + rule("rectal", "lines = 1")
    problem = only_problem(text)
    assert "policy.a.rule: each rule is a section of its own" in problem.text
    assert problem.suggestion.startswith("[[policy.rule]], and below it")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rules = []", "did you mean 'rule'?"),
        ('when = "rectal"', "put it below a [[policy.rule]]"),
        ('[[rule]]\nwhen = "rectal"\ndo.lines = 1', "write [[policy.rule]] below a [[policy]]"),
    ],
)
def test_rules_in_a_wrong_place(text: str, hint: str) -> None:
    assert only_problem(f"{POLICY_A}{text}\n").suggestion == hint


def test_an_empty_list_of_rules() -> None:
    assert loads(f"{POLICY_A}rule = []\n") == loads(POLICY_A)


def test_all_problems_of_a_rule_at_once() -> None:
    text = POLICY_A + rule("agee > 3", 'lines = 7, timing = "x", foo = 1')
    assert [problem.line for problem in problems_of(text)] == [5, 6, 6, 6]


@pytest.mark.parametrize("key", ["rule", "rules", "rule.when"])
def test_rules_cannot_be_set(key: str) -> None:
    said = f"--set policy.a.{key}=[]: the rules of a policy cannot be set; write them in the sc"
    assert str(only_problem(BY_RISK, (f"policy.a.{key}=[]",))).startswith(said)


def test_too_many_rules() -> None:
    conditions = [f"age > {100 - n}" for n in range(MOST_RULES + 1)]
    text = POLICY_A + "".join(rule(when, "lines = 1") for when in conditions)
    assert f"too many rules: {MOST_RULES + 1}, at most {MOST_RULES}" in only_problem(text).text
    assert problems_of(POLICY_A + "".join(rule(when, "lines = 1") for when in conditions[1:])) == []


def test_too_long_rules_and_too_many_changes() -> None:
    long = " or ".join(["bilobar"] * 257)
    assert "513, at most 512" in only_problem(POLICY_A + rule(long, "lines = 1")).text
    many = [f"{n} = {json.dumps(library()['standard'][n])}" for n in SETTINGS[:26]]
    text = POLICY_A + "".join(rule(f"fong_score == {n}", ", ".join(many)) for n in range(5))
    said = f"too many settings set by rules: 130, at most {MOST_CHANGES}"
    assert said in only_problem(text).text


def test_a_condition_too_long_for_the_population() -> None:
    long = " or ".join(["bilobar"] * 257)
    problem = only_problem(f'{POLICY_A}[population]\neligible = "{long}"\n')
    assert "513, at most 512" in problem.text


# Rules that never count --------------------------------------------------------------------------


def test_a_rule_behind_one_that_always_wins() -> None:
    text = POLICY_A + rule("fong_score >= 3", "lines = 1") + rule("fong_score >= 4", "lines = 2")
    problem = only_problem(text)
    assert problem.line == 8
    assert problem.text == (
        "policy.a.rule 2.when: this rule can never fire: "
        "whenever it holds, rule 1 holds too and comes first"
    )


def test_a_rule_with_one_living_setting_lives() -> None:
    first = rule("fong_score >= 3", "lines = 1")
    both = rule("fong_score >= 4", "lines = 2, ablation = 'none'")
    assert problems_of(POLICY_A + first + both) == []
    assert problems_of(POLICY_A + first + rule("fong_score >= 4", "ablation = 'none'")) == []


def test_each_setting_may_be_won_by_another_rule() -> None:
    text = (
        POLICY_A
        + rule("fong_score >= 3", "lines = 1")
        + rule("bilobar", "two_stage = 'none'")
        + rule("fong_score >= 4 and bilobar", "lines = 2, two_stage = 'pve'")
    )
    assert only_problem(text).text.endswith(
        "never fire: lines: whenever it holds, rule 1 holds too and comes first; "
        "two_stage: whenever it holds, rule 2 holds too and comes first"
    )


def test_rules_of_a_base_that_are_overridden_in_every_case_are_left_out() -> None:
    text = POLICY_A + rule("rectal", "lines = 1") + rule("bilobar", "lines = 1, ablation = 'none'")
    text += '[[policy]]\nname = "b"\nbase = "a"\n' + rule("default", "lines = 2")
    scenario = loads(text)
    assert changes_of(scenario, "b") == [
        ("true", {"lines": 2}),
        ("bilobar", {"lines": 1, "ablation": "none"}),
    ]
    assert loads(to_toml(scenario)) == scenario


# What does not go together -----------------------------------------------------------------------

NO_DRUGS = 'perioperative_regimen = "none"'
NO_CYCLES = "preoperative_cycles = 0, postoperative_cycles = 0"


@pytest.mark.parametrize(
    ("rules", "line", "cycles"),
    [
        ([("rectal", NO_DRUGS)], 6, "preoperative_cycles"),
        ([("rectal", f"{NO_DRUGS}, preoperative_cycles = 0")], 6, "postoperative_cycles"),
        (
            [("rectal", f"{NO_DRUGS}, {NO_CYCLES}"), ("bilobar", 'timing = "upfront"')],
            6,
            "adjuvant_cycles",
        ),
        (
            [("bilobar", "preoperative_cycles = 2"), ("rectal", f"{NO_DRUGS}, {NO_CYCLES}")],
            9,
            "preoperative_cycles",
        ),
    ],
)
def test_cycles_of_no_drugs(rules: list[tuple[str, str]], line: int, cycles: str) -> None:
    problem = only_problem(POLICY_A + "".join(rule(when, do) for when, do in rules))
    assert f"perioperative_regimen can be 'none' while {cycles} asks for cycles" in problem.text
    assert problem.line == line
    assert f"set {cycles} to 0 here" in problem.suggestion


@pytest.mark.parametrize(
    "rules",
    [
        [("rectal", f"{NO_DRUGS}, {NO_CYCLES}")],
        [("rectal", NO_DRUGS), ("rectal or bilobar", NO_CYCLES)],
        [("rectal", NO_DRUGS), ("default", NO_CYCLES)],
        [("rectal", f"{NO_DRUGS}, {NO_CYCLES}"), ("right_sided", "preoperative_cycles = 2")],
        [("bilobar", 'perioperative_regimen = "folfiri"')],
    ],
)
def test_no_cycles_of_no_drugs(rules: list[tuple[str, str]]) -> None:
    assert problems_of(POLICY_A + "".join(rule(when, do) for when, do in rules)) == []


def test_an_heir_whose_base_has_rules_for_other_drugs() -> None:
    text = POLICY_A + rule("rectal", "preoperative_cycles = 2")
    text += f'[[policy]]\nname = "b"\nbase = "a"\n{NO_DRUGS}\n'
    text += NO_CYCLES.replace(", ", "\n") + "\n"
    problem = only_problem(text)
    assert problem.line == 7
    assert problem.text.startswith("policy.b: perioperative_regimen can be 'none'")


# Who is studied ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("eligible = true", "population.eligible: a condition must be a text", '"true" in quotes'),
        ('eligible = "fong < 3"', "population.eligible: unknown attribute 'fong'", "'fong_score'?"),
        ('eligible = "age < 30 and age > 40"', "the population is empty: no patient", ""),
        ('eligble = "rectal"', "unknown parameter 'eligble' in [population]", "'eligible'?"),
    ],
)
def test_a_wrong_condition_on_the_population(line: str, said: str, hint: str) -> None:
    problem = only_problem(f"{POLICY_A}[population]\n{line}\n")
    assert said in problem.text
    assert hint in problem.suggestion
    assert problem.line == 5


def test_a_wrong_condition_given_beside_the_file() -> None:
    problem = only_problem(POLICY_A, ("population.eligible=rectal and",))
    assert str(problem).startswith("--set population.eligible=rectal and: a condition is missing")
    assert "(at sign 11 of the text)" in problem.text


def test_the_schema_knows_rules() -> None:
    check = jsonschema.Draft7Validator(json_schema()).is_valid
    assert check(tomllib.loads(BY_RISK))
    for bad in ('when = "x"', 'when = "x"\ndo = {}', "when = 1\ndo.lines = 1", "do.lines = 1"):
        assert not check(tomllib.loads(f"{POLICY_A}[[policy.rule]]\n{bad}\n"))
    assert not check(tomllib.loads(POLICY_A + rule("x", "linez = 1")))
