"""Study files: ours can be read, and what is wrong with one is said where it stands."""

import math

import pytest

from crlm_sim.calibration import load_studies, load_study
from crlm_sim.evidence.posterior import calibration_folder
from crlm_sim.outcomes.definitions import OUTCOMES
from crlm_sim.scenario import ScenarioError

TARGETS = calibration_folder() / "targets"
STUDY = """\
id = "trial"
title = "Drugs around surgery"
source = "somebody, 2008"
follow_up = "8 years"
visits = { drugs = "8 weeks", follow_up = "3 months" }

[population]
eligible = "resectable and seen_lesions <= 4"

[[arm]]
name = "surgery"
policy = "surgery_alone"
n = 182

[[arm]]
name = "drugs"
policy = { base = "standard", timing = "perioperative" }
n = 182

[[figure]]
arm = "surgery"
outcome = "pfs"
time = "3 years"
value = "28.1 %"
lower = "21.3 %"
upper = "35.5 %"
use = "fit"

[[figure]]
contrast = ["drugs", "surgery"]
outcome = "pfs_hr"
value = 0.79
lower = 0.62
upper = 1.02
"""


@pytest.fixture
def study(tmp_path):
    def write(old="", new="", name="trial"):
        assert old in STUDY
        path = tmp_path / f"{name}.toml"
        path.write_text(STUDY.replace(old, new, 1) if old else STUDY + new, encoding="utf-8")
        return path

    return write


def problems(path):
    with pytest.raises(ScenarioError) as refused:
        load_study(path)
    return str(refused.value)


def test_every_shipped_study_can_be_read():
    studies = load_studies(TARGETS)
    figures = [figure for study in studies for figure in study.figures]
    fitted = {study.id for study in studies for f in study.figures if f.use == "fit"}
    assert len(fitted) >= 25
    assert len(figures) >= 120
    ids = [study.figure_id(figure) for study in studies for figure in study.figures]
    assert len(set(ids)) == len(ids)
    assert all(study.file.endswith(f"{study.id}.toml") for study in studies)


def test_what_a_study_says_is_read(study):
    read = load_study(study())
    assert read.scenario.policy_names == ("surgery", "drugs")
    assert read.scenario.policy("drugs").timing == "perioperative"
    assert read.scenario.policy("surgery").reevaluation == 56.0
    assert read.scenario.policy("surgery").surveillance == pytest.approx(91.3125)
    assert read.followed_days == 8 * 365.25
    first, second = read.figures
    assert (first.value, first.lower, first.level) == (0.281, 0.213, 0.95)
    assert second.measure == "hr"
    assert read.clock_of(first) == "diagnosis"


def test_settings_may_stand_in_the_arm_itself(study):
    inside = study('policy = { base = "standard", timing = "perioperative" }', 'timing = "upfront"')
    assert load_study(inside).scenario.policy("drugs").timing == "upfront"


def test_eligible_may_stand_at_the_top(study):
    top = study(
        '[population]\neligible = "resectable and seen_lesions <= 4"',
        "",
    )
    text = 'eligible = "resectable"\npopulation = "unselected"\n' + top.read_text()
    top.write_text(text)
    assert load_study(top).scenario.population.eligible == "resectable"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('outcome = "pfs"\ntime = "3 years"', 'outcome = "pfs_3y"'),
        ('outcome = "pfs"\ntime = "3 years"', 'outcome = "pfs_36m"'),
    ],
)
def test_a_time_may_stand_in_the_name(study, old, new):
    assert load_study(study(old, new)).figures[0].days == pytest.approx(3 * 365.25)


@pytest.mark.parametrize("name", [o.name for o in OUTCOMES])
def test_every_outcome_of_a_run_is_known(study, name):
    extra = f'[[figure]]\narm = "drugs"\noutcome = "{name}"\nvalue = 0.5\n'
    path = study("", extra)
    path.write_text(path.read_text(encoding="utf-8").replace('"8 years"', '"12 years"'))
    assert load_study(path).figures[-1].outcome == name


def test_two_arms_may_be_named_in_words(study):
    read = load_study(study('["drugs", "surgery"]', '"drugs vs surgery"'))
    assert read.figures[1].names == ("drugs", "surgery")


def test_a_subgroup_meets_both_conditions(study):
    path = study('name = "drugs"', 'name = "drugs"\neligible = "ras_mutant"')
    people = load_study(path).population("drugs")
    assert "ras_mutant" in people.eligible
    assert "resectable" in people.eligible


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "trial"', 'idd = "trial"', ["did you mean 'id'", "id is missing"]),
        ('"pfs_hr"', '"pfs_hrr"', ["unknown outcome 'pfs_hrr'", "did you mean 'pfs_hr'"]),
        ('["drugs", "surgery"]', '["drugs", "surgry"]', ["surgry", "did you mean 'surgery'"]),
        ('["drugs", "surgery"]', '["drugs", "drugs"]', ["names of two arms"]),
        ('time = "3 years"\n', "", ["needs a time"]),
        ('time = "3 years"', "time = 36", ["add the unit"]),
        ('lower = "21.3 %"\n', "", ["give both"]),
        ('lower = "21.3 %"', 'lower = "31.3 %"', ["does not hold 0.281"]),
        ('value = "28.1 %"', "value = 28.1", ["a share from 0 to 1"]),
        ("value = 0.79", "value = -0.79", ["is above 0 (got -0.79)"]),
        ("value = 0.79", "value = 0.79\ncount = 3", ["value or count, not both"]),
        ("value = 0.79", 'value = 0.79\ntime = "1 year"', ["not read at a time"]),
        ('outcome = "pfs"', 'outcome = "pfs"\nwhen = "ras_mutant"', ["go together"]),
        ('outcome = "pfs"', 'outcome = "pfs"\nfrom = "resection"', ["liver_resection"]),
        ('arm = "surgery"', 'arm = "surgery"\ncontrast = ["drugs", "surgery"]', ["one contrast"]),
        ('"resectable and', '"resectible and', ["did you mean 'resectable'"]),
        ('timing = "perioperative"', 'timming = "upfront"', ["did you mean 'timing'"]),
        ('name = "drugs"', 'name = "surgery"', ["a second arm is called 'surgery'"]),
        ('use = "fit"', 'use = "fitted"', ["'fit', 'check'"]),
        ('drugs = "8 weeks"', 'drug = "8 weeks"', ["did you mean 'drugs'"]),
        ("n = 182", "n = 0", ["at least 1"]),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_remedy(study, old, new, said):
    text = problems(study(old, new))
    assert "trial.toml:" in text
    for words in said:
        assert words in text


def test_everything_wrong_is_said_at_once(study):
    path = study('"pfs_hr"', '"pfs_hrr"')
    path.write_text(path.read_text().replace("surgery_alone", "surgery_aloan"))
    text = problems(path)
    assert "pfs_hrr" in text
    assert "surgery_aloan" in text


def test_a_figure_without_interval_needs_patients(study):
    extra = '[[figure]]\narm = "surgery"\noutcome = "resected"\nvalue = 0.8\n'
    assert load_study(study("", extra)).figures[-1].value == 0.8  # the arm says n
    path = study("", extra)
    path.write_text(path.read_text().replace("n = 182\n", ""))
    assert "has no interval" in problems(path)


def test_a_count_stands_for_a_share(study):
    extra = '[[figure]]\narm = "surgery"\noutcome = "resected"\ncount = 91\n'
    read = load_study(study("", extra))
    value, _ = read.published(read.figures[-1])
    assert value == pytest.approx(0.0, abs=1e-12)  # the logit of a half


def test_a_figure_given_twice_is_refused(study):
    again = STUDY[STUDY.index("[[figure]]\narm") : STUDY.index("[[figure]]\ncontrast")]
    assert "given twice" in problems(study("", again))


@pytest.mark.parametrize("outcome", ['outcome = "pfs"\ntime = "36 months"', 'outcome = "pfs_3y"'])
def test_a_figure_given_twice_in_other_words_is_refused(study, outcome):
    again = f'[[figure]]\narm = "surgery"\n{outcome}\nvalue = "29 %"\nn = 182\n'
    assert "given twice" in problems(study("", again))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n = 182", "n = 0", "at least 1"),
        ('drugs = "8 weeks"', 'drugs = "8 weaks"', "weaks"),
    ],
)
def test_one_slip_is_one_message(study, old, new, said):
    (only,) = told(study(old, new))
    assert said in f"{only.text} {only.suggestion}"


def test_two_studies_of_one_id_and_an_empty_folder_are_refused(study, tmp_path):
    study()
    study(name="copy")
    with pytest.raises(ScenarioError, match="that of"):
        load_studies(tmp_path)
    with pytest.raises(ScenarioError, match="holds no study file"):
        load_studies(TARGETS.parent / "targets" / ".." / ".." / "tests" / "verification")
    with pytest.raises(ScenarioError, match="no such folder"):
        load_studies(tmp_path / "nowhere")


def test_a_text_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text('id = "x\n')
    assert "not valid TOML" in problems(path)


# Where and how it is said ------------------------------------------------------------------------


def line_of(path, text):
    """The number of the first line of a file that holds a text."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, 1) if text in line)


def told(path):
    with pytest.raises(ScenarioError) as refused:
        load_study(path)
    return refused.value.problems


@pytest.mark.parametrize(
    ("old", "new", "at", "headline", "remedy"),
    [
        ('id = "trial"', 'idd = "trial"', "idd", "unknown key 'idd' in a study", "'id'"),
        ("n = 182", "nn = 182", "nn =", "unknown key 'nn'", "'n'"),
        ('arm = "surgery"', 'arm = "surgry"', "surgry", "no arm is called 'surgry'", "'surgery'"),
        ('"pfs_hr"', '"pfs_hrr"', "pfs_hrr", "unknown outcome 'pfs_hrr'", "'pfs_hr'"),
        ('title = "D', 'from = "fist_line"\ntitle = "D', "fist", "must be one of", "'first_line'"),
        ('use = "fit"', 'use = "fitt"', "fitt", "must be one of 'fit', 'check'", "'fit'"),
        ('time = "3 years"', 'time = "3 yaers"', "yaers", "unknown unit 'yaers'", "'years'"),
        ('timing = "peri', 'timming = "peri', "timming", "unknown key 'timming'", "'timing'"),
        ('"surgery_alone"', '"surgery_alon"', "alon", "surgery_alon", "'surgery_alone'"),
        ("seen_lesions", "seen_lesoins", "lesoins", "seen_lesoins", "'seen_lesions'"),
        ('follow_up = "3 m', 'folow_up = "3 m', "folow", "unknown visit", "'follow_up'"),
    ],
)
def test_a_slip_is_told_once_with_its_own_line_and_the_nearest_word(
    study, old, new, at, headline, remedy
):
    path = study(old, new)
    found = [one for one in told(path) if headline in one.text]
    assert len(found) == 1
    assert found[0].file == str(path)
    assert found[0].line == line_of(path, at)
    assert found[0].source.strip() in path.read_text(encoding="utf-8")
    assert remedy in found[0].suggestion


def test_the_form_of_a_message(study):
    path = study('"pfs_hr"', '"pfs_hrr"')
    number = line_of(path, "pfs_hrr")
    assert str(told(path)[0]) == (
        f"{path}:{number}: figure 2, outcome: unknown outcome 'pfs_hrr'\n"
        f'{number:>5} | outcome = "pfs_hrr"\n'
        "      |           ^^^^^^^^^ did you mean 'pfs_hr'?"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('value = "28.1 %"\nlower = "21.3 %"\nupper = "35.5 %"', "count = 9\nn = 8", "9 of 8"),
        ('lower = "21.3 %"\nupper = "35.5 %"', "lower = 0.281\nupper = 0.281", "no width"),
        ('lower = "21.3 %"\nupper = "35.5 %"', 'lower = "35.5 %"\nupper = "21.3 %"', "no width"),
        ('upper = "35.5 %"', "upper = 1.4", "a share from 0 to 1"),
        ("lower = 0.62", "lower = 0", "above 0"),
        ("lower = 0.62\nupper = 1.02", 'lower = 0.62\nupper = 1.02\nlevel = "20 %"', "0.5 and 1"),
        ("value = 0.79", "value = inf", "finite"),
        ("value = 0.79", "value = true", "must be a number"),
        ('arm = "surgery"\n', "", "of one arm or of one contrast"),
        ('["drugs", "surgery"]', '["drugs"]', "names of two arms"),
        ('["drugs", "surgery"]', "[1, 2]", "names of two arms"),
        ('arm = "surgery"', "arm = 3", "must be the name of an arm"),
        ('outcome = "pfs_hr"', 'outcome = "resected_hr"', "a hazard ratio is of a curve"),
        ('outcome = "pfs"\ntime = "3 years"', 'outcome = "share"', "go together"),
        ('time = "3 years"', 'time = "41 years"', "at most '40 years'"),
        ('time = "3 years"', 'time = "9 years"', "nobody is followed any more"),
        ('value = "28.1 %"', "count = 9", "does not hold 0.049"),
        ('time = "3 years"', 'time = "30 %"', "not a percentage"),
        ('policy = "surgery_alone"', 'policy = "surgery_alone"\neligible = "ras_mutent"', "ras_"),
        ("n = 182", "n = 1.5", "a whole number"),
        ('follow_up = "8 years"', "follow_up = 8", "add the unit"),
        ('follow_up = "3 m', 'follow_up = "0 m', "at least '1 day'"),
        ('title = "Drugs around surgery"\n', "", "title is missing"),
        ('title = "Drugs around surgery"', 'title = " "', "must be a text"),
        ('id = "trial"', 'id = "The Trial"', "such as 'the_trial'"),
        ('outcome = "pfs"\n', "", "outcome is missing"),
        ('name = "drugs"\n', "", "name is missing"),
        ("[population]", '[population]\nbase = "selected"', "must be 'unselected'"),
        ("[population]", "[parameters]\ngrowth_rate_per_dy = 0.1\n[population]", "rate_per_day'"),
        ("[population]", 'eligible = "resectable"\n[population]', "eligible is in [population]"),
        ("[population]", "arms = 3\n[population]", "did you mean 'arm'"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(study, old, new, said):
    path = study(old, new)
    found = [one for one in told(path) if said in f"{one.text} {one.suggestion}"]
    assert len(found) == 1
    assert found[0].file == str(path)
    assert found[0].line is not None or "missing" in said


def test_ten_slips_are_ten_messages(study):
    path = study()
    text = path.read_text(encoding="utf-8")
    slips = {
        'follow_up = "8 years"': "follow_up = 8",
        "title": "tittle",
        "seen_lesions": "seen_lesoins",
        "surgery_alone": "surgery_aloan",
        "timing": "timming",
        "n = 182": "n = 0",
        '"3 years"': '"3 yaers"',
        'use = "fit"': 'use = "fitt"',
        "pfs_hr": "pfs_hrr",
        "upper = 1.02": "uper = 1.02",
    }
    for old, new in slips.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    lines = {one.line for one in told(path)}
    # What needs another section to be whole is not asked before that section is.
    held_back = ("seen_lesoins", "surgery_aloan", "timming", "pfs_hrr")
    for new in slips.values():
        if not any(word in new for word in held_back):
            assert line_of(path, new) in lines, new


def test_problems_of_several_files_are_told_together(study, tmp_path):
    study('"pfs_hr"', '"pfs_hrr"', name="one")
    study('timing = "perioperative"', 'timming = "upfront"', name="two")
    study(name="three")
    with pytest.raises(ScenarioError) as refused:
        load_studies(tmp_path)
    assert {one.file for one in refused.value.problems} == {
        str(tmp_path / "one.toml"),
        str(tmp_path / "two.toml"),
    }


# What a study may say ----------------------------------------------------------------------------


RULE = 'rule = [{ when = "ras_mutant", do = { timing = "upfront" } }]'


@pytest.mark.parametrize("where", ["inside", "beside", "below"])
def test_rules_of_an_arm_are_rules_of_its_policy(study, where):
    old = 'policy = { base = "standard", timing = "perioperative" }\nn = 182\n'
    new = {
        "inside": f'policy = {{ base = "standard", timing = "perioperative", {RULE} }}\n',
        "beside": f'policy = "standard"\ntiming = "perioperative"\n{RULE}\n',
        "below": 'policy = "standard"\ntiming = "perioperative"\n[[arm.rule]]\n'
        'when = "ras_mutant"\ndo = { timing = "upfront" }\n',
    }[where]
    path = study(old, new)
    found = load_study(path).scenario
    assert [rule.when for rule in found.policy("drugs").rules] == ["ras_mutant"]
    assert found.policy("drugs").timing == "perioperative"
    assert not found.policy("surgery").rules


def test_a_slip_in_a_rule_of_an_arm_has_its_line(study):
    path = study(
        "n = 182\n\n[[figure]]", f"{RULE.replace('ras_mutant', 'ras_mutent')}\n\n[[figure]]"
    )
    found = told(path)
    assert len(found) == 1
    assert found[0].line == line_of(path, "ras_mutent")
    assert "did you mean 'ras_mutant'" in found[0].suggestion


@pytest.mark.parametrize("setting", ['timming = "upfront"', "adjuvant_cycle = 3", "npatients = 3"])
def test_a_setting_misspelt_in_an_arm_is_told(study, setting):
    path = study('policy = "surgery_alone"', f'policy = "surgery_alone"\n{setting}')
    found = [one for one in told(path) if "unknown key" in one.text]
    assert len(found) == 1
    assert found[0].line == line_of(path, setting)
    assert "name, policy, eligible, n" in found[0].suggestion


def test_visits_may_be_one_duration(study):
    path = study('visits = { drugs = "8 weeks", follow_up = "3 months" }', 'visits = "12 weeks"')
    for name in ("surgery", "drugs"):
        found = load_study(path).scenario.policy(name)
        assert (found.first_reevaluation, found.reevaluation, found.surveillance) == (84, 84, 84)


def test_an_arm_may_have_visits_of_its_own(study):
    path = study(
        'timing = "perioperative" }', 'timing = "perioperative", reevaluation = "6 weeks" }'
    )
    read = load_study(path).scenario
    assert read.policy("drugs").reevaluation == 42.0
    assert read.policy("surgery").reevaluation == 56.0


def test_a_figure_may_start_its_own_clock(study):
    path = study('outcome = "pfs"\n', 'outcome = "pfs"\nfrom = "liver_resection"\n')
    read = load_study(path)
    assert [read.clock_of(figure) for figure in read.figures] == ["liver_resection", "diagnosis"]
    whole = load_study(study('id = "trial"', 'id = "trial"\nfrom = "second_line"'))
    assert [whole.clock_of(figure) for figure in whole.figures] == ["second_line"] * 2
    alone = load_study(study('outcome = "pfs"\n', 'outcome = "dfs"\n'))
    assert alone.clock_of(alone.figures[0]) == "clearance"


def test_the_only_arm_need_not_be_named(tmp_path):
    path = tmp_path / "series.toml"
    path.write_text(
        'id = "series"\ntitle = "t"\nsource = "s"\n[[arm]]\nname = "all"\nn = 40\n'
        '[[figure]]\noutcome = "resected"\ncount = 10\n'
    )
    read = load_study(path)
    assert read.names_of(read.figures[0]) == ("all",)
    value, error = read.published(read.figures[0])
    share = 10.5 / 41
    assert value == pytest.approx(math.log(share / (1 - share)))
    assert error == pytest.approx(1 / math.sqrt(41 * share * (1 - share)))


def test_patients_are_followed_as_long_as_the_figures_need(study):
    days = load_study(study('follow_up = "8 years"\n', "")).followed_days
    assert days == pytest.approx(3 * 365.25 + 365.25)  # a year more for the hazard ratio
    assert load_study(study()).scenario.horizon_minutes == 8 * 525_960
    late = load_study(study('outcome = "pfs"\n', 'outcome = "pfs"\nfrom = "liver_resection"\n'))
    assert late.scenario.horizon_minutes == 4_018 * 1_440  # three years to reach the clock


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_an_interval_of_any_level_has_its_error(study, level):
    z = {0.9: 1.6448536, 0.95: 1.9599640, 0.99: 2.5758293}[level]
    read = load_study(study("upper = 1.02", f"upper = 1.02\nlevel = {level}"))
    value, error = read.published(read.figures[1])
    assert value == pytest.approx(math.log(0.79))
    assert error == pytest.approx(math.log(1.02 / 0.62) / (2 * z), rel=1e-6)


# Whatever is written -----------------------------------------------------------------------------


def refusals(path):
    """What is wrong with a file, nothing if it can be read; any other error is a failure."""
    try:
        load_study(path)
    except ScenarioError as error:
        return error.problems
    return []


LINES = STUDY.strip().split("\n")


@pytest.mark.parametrize("number", [n for n, line in enumerate(LINES) if line])
def test_a_line_left_out_is_read_or_refused_in_words(tmp_path, number):
    path = tmp_path / "trial.toml"
    path.write_text("\n".join(LINES[:number] + LINES[number + 1 :]))
    found = refusals(path)
    assert all(one.file == str(path) and one.text for one in found)
    assert found or load_study(path).id == "trial"
