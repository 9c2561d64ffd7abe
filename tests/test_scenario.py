"""Loading scenarios: what they say, inherit, change and write."""

import json
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlm_sim.care.policy import (
    CHOICES,
    EMBOLISE,
    LIVER_FIRST,
    NO_REGIMEN,
    NO_THERAPY,
    PERIOPERATIVE,
    POLICY,
    THERAPIES,
    UPFRONT,
)
from crlm_sim.evidence import LOCAL_THERAPIES, REGIMENS, SERVICES, pack, parameters
from crlm_sim.scenario import (
    Problem,
    ScenarioError,
    check,
    json_schema,
    load,
    loads,
    template,
    to_toml,
)
from crlm_sim.scenario.kinds import DRUGS
from crlm_sim.scenario.loading import WAITED_FOR
from crlm_sim.scenario.model import Policy
from crlm_sim.scenario.parameters import all_names, population_names, takes_percent
from crlm_sim.scenario.policies import library
from crlm_sim.scenario.schema import schema_text

FOLDER = Path(__file__).parent.parent / "scenarios"
SHIPPED = sorted(FOLDER.glob("*.toml"))
SMALLEST = 'title = "t"\n[[policy]]\nname = "standard"\n'


def is_probability(name: str) -> bool:
    return parameters()[name].is_scalar and takes_percent(parameters()[name])


def problems_of(text: str, settings: Sequence[str] = ()) -> list[Problem]:
    try:
        loads(text, settings=settings)
    except ScenarioError as error:
        return error.problems
    return []


def with_policies(*policies: str) -> str:
    return 'title = "t"\n' + "\n".join(f"[[policy]]\n{policy}" for policy in policies)


# The shipped files ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("#:schema schema.json\n")
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), json_schema())
    assert loads(to_toml(scenario), scenario.name) == scenario
    pack(scenario.run.seed, 0, scenario.changes)


def test_the_main_scenario() -> None:
    scenario = load(FOLDER / "sequencing.toml")
    assert scenario.policy_names == ("colorectal_first", "simultaneous", "liver_first")
    assert scenario.reference == "colorectal_first"
    assert (scenario.run.patients, scenario.run.draws) == (2_000, "posterior")
    assert scenario.horizon_minutes == 15 * 365.25 * 24 * 60
    assert scenario.changes == {}
    assert scenario.packed_policy("liver_first")["sequence"][0] == LIVER_FIRST


def test_the_longer_wait_changes_the_wait_only() -> None:
    base = load(FOLDER / "sequencing.toml")
    longer = load(FOLDER / "waiting_for_liver_theatre.toml")
    assert longer.policies == base.policies
    assert longer.run == base.run
    published = parameters()["liver_theatre.wait_days"].value[0]
    assert longer.changes == {"liver_theatre.wait_days": (2 * published,)}


def test_the_committed_schema_is_the_models() -> None:
    assert (FOLDER / "schema.json").read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft7Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("title", ["My hospital", 'with "quotes" and \\', "TITLE"])
def test_the_template_loads_as_it_is(title: str) -> None:
    text = template(title)
    assert loads(text).title == title
    jsonschema.validate(tomllib.loads(text), json_schema())


def test_what_the_template_suggests_loads_too() -> None:
    """Every commented-out setting is a valid one."""
    lines = template("t").splitlines()
    keys = [line[2:] if line.startswith("# ") and " = " in line else line for line in lines]
    text = "\n".join(line for line in keys if not line.startswith("base = "))
    assert loads(text).policy("liver_first_short").two_stage == "none"


def test_loading_needs_no_heavy_library() -> None:
    code = (
        "import sys, crlm_sim.scenario as s; s.load(sys.argv[1]);"
        "print([m for m in ('pandas', 'xarray', 'zarr', 'plotly') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(SHIPPED[0])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


# Policies ---------------------------------------------------------------------------------------


def test_every_packed_field_of_the_standard_policy() -> None:
    record = loads(SMALLEST).packed_policy("standard")
    assert record.shape == (1,)
    assert record.dtype == POLICY
    expected = {
        "sequence": 0,
        "timing": PERIOPERATIVE,
        "preoperative_cycles": 6,
        "postoperative_cycles": 6,
        "adjuvant_cycles": 12,
        "perioperative_regimen": REGIMENS.index("folfox"),
        "conversion_regimen": REGIMENS.index("folfox_bevacizumab"),
        "first_line_regimen": REGIMENS.index("folfox_bevacizumab"),
        "second_line_regimen": REGIMENS.index("folfiri_bevacizumab"),
        "third_line_regimen": REGIMENS.index("trifluridine_tipiracil"),
        "line_cycles": 12,
        "lines": 3,
        "first_reevaluation_days": 56.0,
        "reevaluation_days": 56.0,
        "operation_gap_days": 28.0,
        "staged_when_both_major": 1,
        "rectal_radiotherapy": 0,
        "primary_when_unresectable": 0,
        "resection": 0,
        "margin_mm": 10.0,
        "approach": 0,
        "disappearing": 0,
        "two_stage": EMBOLISE,
        "ablation": LOCAL_THERAPIES.index("rfa"),
        "small_lesions": 0,
        "portal_node_resection": 0,
        "distant_node_resection": 0,
        "peritoneal_resection": 0,
        "lung_resection": 0,
        "local_therapy": NO_THERAPY,
        "arterial_therapy": NO_THERAPY,
        "arterial_line": 1,
        "arterial_liver_only": 1,
        "maintenance_regimen": NO_REGIMEN,
        "reintroduction": 0,
        "perioperative_total_days": 168.0,
        "repeat_resection": 1,
        "mri": 0,
        "pet_ct": 0,
        "pet_mr": 0,
        "refer_to_liver_unit": 1,
        "most_lesions": 8,
        "flr_least": 0.3,
        "flr_least_injured": 0.3,
        "remnant_to_body_weight_least": 0.005,
        "surveillance_days": 182.625,
        "late_surveillance_days": 365.25,
        "early_surveillance_years": 3.0,
        "surveillance_years": 10.0,
    }
    assert {name: record[name][0] for name in POLICY.names} == expected


def test_every_policy_of_the_library_loads_by_its_name() -> None:
    scenario = loads(with_policies(*(f'name = "{name}"' for name in library())))
    assert scenario.policy_names == tuple(library())
    assert scenario.packed_policy("surgery_alone")["timing"] == UPFRONT
    assert scenario.packed_policy("surgery_alone")["adjuvant_cycles"] == 0
    assert scenario.packed_policy("upfront_adjuvant")["adjuvant_cycles"] == 12
    assert scenario.policy("simultaneous").sequence == "simultaneous"
    assert scenario.policy("triplet_conversion").label == library()["triplet_conversion"]["label"]


def test_a_chain_of_bases_in_any_order() -> None:
    scenario = loads(
        with_policies(
            'name = "c"\nbase = "b"\nlines = 1',
            'name = "b"\nbase = "a"\npreoperative_cycles = 3\nlines = 2',
            'name = "a"\nbase = "liver_first"\nlabel = "The first"\nreevaluation = "6 weeks"',
        )
    )
    last = scenario.policy("c")
    assert (last.sequence, last.reevaluation, last.preoperative_cycles) == ("liver-first", 42.0, 3)
    assert [scenario.policy(name).lines for name in "abc"] == [3, 2, 1]
    assert last.label == "C"


def test_a_policy_may_refine_the_library_policy_of_its_name() -> None:
    scenario = loads(with_policies('name = "liver_first"\nbase = "liver_first"\nlines = 1'))
    assert scenario.policy("liver_first").sequence == "liver-first"


def test_no_drugs() -> None:
    text = with_policies('name = "a"\nsecond_line_regimen = "none"\nlines = 1')
    assert loads(text).packed_policy("a")["second_line_regimen"] == NO_REGIMEN


def test_an_unknown_policy_name() -> None:
    with pytest.raises(KeyError, match="this scenario has standard"):
        loads(SMALLEST).packed_policy("nix")


# Changes, settings, base files ------------------------------------------------------------------

CHANGES = """\
title = "t"
[population]
ras_share_left = "30 %"
height_cm = [180, 165.5]
[parameters]
folfox.kill_per_day = 0.01
"folfiri.kill_per_day" = 0.02
ct_logit = -6
[parameters.folfoxiri]
kill_per_day = 0.03
[services.liver_theatre]
wait = "28 days"
wait_cv = 0.5
[[policy]]
name = "standard"
"""


def test_changes_reach_the_packed_parameters() -> None:
    scenario = loads(CHANGES)
    assert scenario.changes == {
        "ras_share_left": (0.3,),
        "height_cm": (180.0, 165.5),
        "folfox.kill_per_day": (0.01,),
        "folfiri.kill_per_day": (0.02,),
        "ct_logit": (-6.0,),
        "folfoxiri.kill_per_day": (0.03,),
        "liver_theatre.wait_days": (28.0,),
        "liver_theatre.wait_cv": (0.5,),
    }
    record = pack(1, 0, scenario.changes)[0]
    assert record["ras_share_left"] == 0.3
    assert record["regimen_kill_per_day"][REGIMENS.index("folfoxiri")] == 0.03
    assert record["service_wait_days"][SERVICES.index("liver_theatre")] == 28.0
    assert loads(to_toml(scenario)) == scenario


def test_a_section_that_says_nothing_changes_nothing() -> None:
    empty = "[run]\n[population]\n[parameters]\n[services.mdt]\n[outcomes]\n"
    assert loads(SMALLEST + empty) == loads(SMALLEST)


def test_the_services_one_can_wait_for() -> None:
    assert set(WAITED_FOR) == set(SERVICES) - {"none"}


def test_every_default_can_be_said_in_a_scenario() -> None:
    """The ranges refuse no value of the tables themselves."""
    lines = [f'"{name}" = {list(parameters()[name].value)}' for name in all_names()]
    lines = [line.replace("[", "").replace("]", "") if "," not in line else line for line in lines]
    text = "\n".join(['title = "t"', "[parameters]", *lines, '[[policy]]\nname = "standard"'])
    changes = loads(text).changes
    assert np.array_equal(pack(0, 0, changes), pack())
    jsonschema.validate(tomllib.loads(text), json_schema())


def test_settings_are_put_over_the_file() -> None:
    scenario = load(
        FOLDER / "sequencing.toml",
        [
            "run.patients=2000",
            "run.draws = 5",
            "run.horizon=10 years",
            'services.liver_theatre.wait="28 days"',
            "population.ras_share_left=30 %",
            "parameters.folfox.kill_per_day=0.01",
            'parameters."folfiri.kill_per_day"=0.02',
            "policy.liver_first.preoperative_cycles=4",
            "policy.liver_first.conversion_regimen=folfoxiri",
            "outcomes.reference=liver_first",
            "title=a = b",
        ],
    )
    assert (scenario.run.patients, scenario.run.draws) == (2000, 5)
    assert scenario.run.horizon == 3652.5
    assert scenario.changes["liver_theatre.wait_days"] == (28.0,)
    assert scenario.changes["ras_share_left"] == (0.3,)
    assert scenario.changes["folfox.kill_per_day"] == (0.01,)
    assert scenario.changes["folfiri.kill_per_day"] == (0.02,)
    assert scenario.policy("liver_first").preoperative_cycles == 4
    assert scenario.policy("liver_first").conversion_regimen == "folfoxiri"
    assert scenario.policy("simultaneous").preoperative_cycles == 6
    assert scenario.reference == "liver_first"
    assert scenario.title == "a = b"


def test_a_setting_mends_the_file() -> None:
    text = 'title = "t"\n[run]\npatients = -5\n[[policy]]\nname = "standard"'
    assert loads(text, settings=["run.patients=7"]).run.patients == 7


def test_a_setting_reaches_the_policies_that_build_on_it() -> None:
    text = with_policies('name = "a"', 'name = "b"\nbase = "a"')
    assert loads(text, settings=["policy.a.lines=1"]).policy("b").lines == 1


def test_base_files_chain_and_merge(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "first.toml").write_text(CHANGES, encoding="utf-8")
    (tmp_path / "inner" / "second.toml").write_text(
        'base = "../first.toml"\n[run]\nseed = 5\n[[policy]]\nname = "standard"\nlines = 2\n'
        '[[policy]]\nname = "extra"\nbase = "standard"\n',
        encoding="utf-8",
    )
    (tmp_path / "third.toml").write_text(
        'base = "inner/second.toml"\ntitle = "third"\n[parameters]\nfolfox.kill_per_day = 0.5\n',
        encoding="utf-8",
    )
    scenario = load(tmp_path / "third.toml")
    assert (scenario.title, scenario.name, scenario.run.seed) == ("third", "third", 5)
    assert scenario.policy_names == ("standard", "extra")
    assert [policy.lines for policy in scenario.policies] == [2, 2]
    assert scenario.changes["folfox.kill_per_day"] == (0.5,)
    assert scenario.changes["ras_share_left"] == (0.3,)
    assert loads(to_toml(scenario), "third") == scenario


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CHANGES.replace("\n", "\r\n").encode())
    assert load(path).changes == loads(CHANGES).changes


def test_a_scenario_is_immutable_and_travels() -> None:
    scenario = loads(CHANGES)
    with pytest.raises(ValueError, match="frozen"):
        scenario.run.seed = 3
    assert pickle.loads(pickle.dumps(scenario)) == scenario


# Whatever is written ----------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
CYCLES = st.integers(0, 24)
DURATIONS = st.builds("{} {}".format, st.integers(1, 20), st.sampled_from(["days", "months"]))
SHARES = st.floats(0.0, 1.0, exclude_min=True)
OPTIONS = {
    "sequence": st.sampled_from(["colorectal-first", "simultaneous", "liver-first"]),
    "timing": st.sampled_from(["upfront", "perioperative"]),
    "preoperative_cycles": CYCLES,
    "postoperative_cycles": CYCLES,
    "adjuvant_cycles": CYCLES,
    "perioperative_regimen": st.sampled_from(REGIMENS),
    "conversion_regimen": st.sampled_from(DRUGS),
    "first_line_regimen": st.sampled_from(DRUGS),
    "second_line_regimen": st.sampled_from(DRUGS),
    "third_line_regimen": st.sampled_from(DRUGS),
    "line_cycles": st.integers(1, 24),
    "lines": st.integers(0, 3),
    "first_reevaluation": DURATIONS,
    "reevaluation": DURATIONS,
    "operation_gap": DURATIONS,
    "staged_when_both_major": st.booleans(),
    "rectal_radiotherapy": st.sampled_from(CHOICES["rectal_radiotherapy"]),
    "primary_when_unresectable": st.sampled_from(CHOICES["primary_when_unresectable"]),
    "resection": st.sampled_from(CHOICES["resection"]),
    "margin_mm": st.floats(0.0, 30.0),
    "approach": st.sampled_from(CHOICES["approach"]),
    "disappearing": st.sampled_from(CHOICES["disappearing"]),
    "two_stage": st.sampled_from(CHOICES["two_stage"]),
    "ablation": st.sampled_from(("none", *THERAPIES["ablation"])),
    "small_lesions": st.sampled_from(CHOICES["small_lesions"]),
    "portal_node_resection": st.booleans(),
    "distant_node_resection": st.booleans(),
    "peritoneal_resection": st.booleans(),
    "lung_resection": st.booleans(),
    "local_therapy": st.sampled_from(("none", *THERAPIES["local_therapy"])),
    "arterial_therapy": st.sampled_from(("none", *THERAPIES["arterial_therapy"])),
    "arterial_line": st.integers(1, 4),
    "arterial_liver_only": st.booleans(),
    "maintenance_regimen": st.sampled_from(DRUGS),
    "reintroduction": st.booleans(),
    "perioperative_total": DURATIONS,
    "repeat_resection": st.booleans(),
    "mri": st.booleans(),
    "pet_ct": st.booleans(),
    "pet_mr": st.booleans(),
    "refer_to_liver_unit": st.booleans(),
    "most_lesions": st.integers(0, 50),
    "flr_least": SHARES,
    "flr_least_injured": SHARES,
    "remnant_to_body_weight_least": SHARES,
    "surveillance": DURATIONS,
    "late_surveillance": DURATIONS,
    "early_surveillance": DURATIONS,
    "surveillance_period": DURATIONS,
    "label": WORDS.filter(str.strip),
}
POLICIES = st.fixed_dictionaries({}, optional=OPTIONS)
PROBABILITIES = [name for name in population_names() if is_probability(name)]
SMALL_SHARES = st.floats(0.0, 0.3, exclude_min=True)
"""Small enough for any two of one whole."""
KILLS = [f"{name}.kill_per_day" for name in REGIMENS]


def test_options_of_this_test_are_all_there_are() -> None:
    assert set(OPTIONS) | {"name", "rules"} == set(Policy.model_fields)


def written(key: str, value: object) -> str:
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{json.dumps(key)} = {text}"


@settings(max_examples=60, deadline=None)
@given(
    title=WORDS.filter(str.strip),
    run=st.fixed_dictionaries(
        {},
        optional={
            "patients": st.integers(1, 2**31),
            "seed": st.integers(0, 2**32 - 1),
            "horizon": DURATIONS,
            "engine": st.sampled_from(["cohort", "agents"]),
            "draws": st.one_of(st.sampled_from(["mean", "posterior"]), st.integers(1, 99)),
            "arrivals_per_year": st.floats(0, 1e6),
        },
    ),
    population=st.dictionaries(st.sampled_from(PROBABILITIES), SMALL_SHARES),
    kills=st.dictionaries(st.sampled_from(KILLS), st.floats(0.0, 1e300)),
    policies=st.lists(POLICIES, min_size=1, max_size=3),
    waits=st.dictionaries(st.sampled_from(WAITED_FOR), DURATIONS, max_size=3),
)
def test_a_written_scenario_loads_to_an_equal_one(
    title: str, run: dict, population: dict, kills: dict, policies: list[dict], waits: dict
) -> None:
    lines = [written("title", title), "[run]"]
    lines += [written(key, value) for key, value in run.items()]
    lines += ["[population]", *(written(key, value) for key, value in population.items())]
    lines += ["[parameters]", *(written(key, value) for key, value in kills.items())]
    for number, policy in enumerate(policies):
        lines += ["[[policy]]", f'name = "p{number}"']
        lines += [written(key, value) for key, value in policy.items()]
    for name, wait in waits.items():
        lines += [f"[services.{name}]", written("wait", wait)]
    scenario = loads("\n".join(lines))
    text = to_toml(scenario)
    assert loads(text) == scenario
    assert to_toml(loads(text)) == text
    jsonschema.Draft7Validator(json_schema()).validate(tomllib.loads(text))
    for name in scenario.policy_names:
        assert np.array_equal(loads(text).packed_policy(name), scenario.packed_policy(name))


JUNK = st.sampled_from(
    ["3", "-1", '""', "[]", "{}", "true", "nan", "[{}]", '"8 weeks"', "0xFFFFFF"]
)
PLACES = st.sampled_from(
    [
        "title",
        "base",
        "run",
        "run.patients",
        "population",
        "population.base",
        "population.height_cm",
        "parameters",
        "parameters.folfox",
        "services",
        "services.mdt",
        "services.mdt.wait",
        "policy",
        "outcomes",
        "outcomes.reference",
        "policy.base",
        "[[policy]]\nbase",
        "[[policy]]\nname",
        "[[policy]]\nrule",
        "[[policy.rule]]\nwhen",
        "[[policy.rule]]\ndo",
        "[policy.rule]\nwhen",
        "population.eligible",
        "[[run]]\nseed",
        '""',
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PLACES, JUNK), max_size=4))
def test_nothing_written_ends_in_a_traceback(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{place} = {value}" for place, value in pairs)
    for problem in problems_of(text):
        assert str(problem)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["run.patients", "policy.standard.lines", "run", "policy", "x y", '"']).flatmap(
        lambda key: WORDS.map(lambda value: f"{key}={value}")
    )
)
def test_no_setting_ends_in_a_traceback(setting: str) -> None:
    for problem in problems_of(SMALLEST, [setting]):
        assert str(problem).startswith("--set ")


def test_checking_a_good_file_finds_nothing() -> None:
    assert check(SHIPPED[0]) == []
