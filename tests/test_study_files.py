"""Study files: ours can be read, and what is wrong with one is said where it stands."""

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
    extra = f'[[figure]]\narm = "surgery"\noutcome = "{name}"\nvalue = 0.5\n'
    assert load_study(study("", extra)).figures[-1].outcome == name


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
