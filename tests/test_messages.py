"""Every bad input is told once, in words its author can act on, with its line and a fix."""

import os
import pickle
from pathlib import Path

import pytest

from crlm_sim.scenario import Problem, ScenarioError, check, load, loads
from crlm_sim.scenario.messages import nearest
from crlm_sim.scenario.reading import MOST_BYTES

GOOD = """\
title = "t"
[run]
patients = 100
[population]
base = "unselected"
[parameters]
[services.liver_theatre]
wait = "28 days"
[[policy]]
name = "liver_first"
[[policy]]
name = "other"
base = "liver_first"
[outcomes]
reference = "other"
"""


def problems_of(text: str, settings: tuple[str, ...] = ()) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "typo", settings)
    return caught.value.problems


def only_problem(text: str, settings: tuple[str, ...] = ()) -> Problem:
    problems = problems_of(text, settings)
    assert len(problems) == 1, str(problems)
    return problems[0]


def in_section(section: str, line: str) -> str:
    """The good scenario with a line added to a section."""
    heading = f"{section}\n"
    assert GOOD.count(heading) >= 1
    return GOOD.replace(heading, f"{heading}{line}\n", 1)


def test_the_form_of_a_message() -> None:
    text = 'title = "t"\n\n[services.liver_theatre]\nwiat     = "3 days"\n[[policy]]\nname = "a"\n'
    assert str(only_problem(text)) == (
        "typo.toml:4: unknown key 'wiat' in [services.liver_theatre]\n"
        '    4 | wiat     = "3 days"\n'
        "      | ^^^^ did you mean 'wait'?"
    )


def test_a_value_is_marked_where_it_stands() -> None:
    problem = only_problem(in_section("[run]", "  horizon = 365  # days?"))
    assert str(problem) == (
        "typo.toml:3: run.horizon: add the unit: '365 days', '52 weeks', '12 months' or '1 year' "
        "(got 365)\n"
        "    3 |   horizon = 365  # days?\n"
        "      |             ^^^"
    )


BAD_VALUES = [
    ("[run]", "patientz = 5", "unknown key 'patientz' in [run]", "did you mean 'patients'?"),
    ("[run]", "seed = -1", "run.seed: must not be negative (got -1)", ""),
    ("[run]", "seed = 4294967296", "run.seed: must be at most 4294967295 (got 4294967296)", ""),
    ("[run]", "seed = true", "run.seed: must be a whole number (got true)", ""),
    ("[run]", 'seed = "5"', "run.seed: must be a whole number (got '5')", "write 5 without quotes"),
    ("[run]", "replications = 0", "run.replications: must be at least 1 (got 0)", ""),
    ("[run]", "precision = 5", "run.precision: must be a precision such as '5 %' (got 5)", ""),
    ("[run]", 'precision = "5"', "add the unit: '5 %' of the mean, or that of the outcome", ""),
    ("[run]", 'precision = { resected = "0 %" }', "must be above 0 (got '0 %')", ""),
    ("[run]", 'precision = "5 %"', "a precision is of simulation error, for which p", "draws"),
    ("[run]", 'engine = "agent"', "run.engine: must be one of 'cohort', 'agents'", "'agents'"),
    ("[run]", 'draws = "posteriour"', "must be 'posterior', 'mean' or a whole number", "posterior"),
    ("[run]", 'horizon = "50 years"', "run.horizon: must be at most '40 years'", ""),
    ("[run]", 'horizon = "8 %"', "not a percentage (got '8 %')", ""),
    ("[run]", "arrivals_per_year = nan", "run.arrivals_per_year: must be a finite number", ""),
    ("[run]", "arrivals_per_year = -3", "must not be negative (got -3)", ""),
    ("[population]", "msi_share = 1.2", "must lie between 0 and 1", ""),
    ("[population]", "msi_share = 12", "must lie between 0 and 1", "did you mean '12 %'?"),
    ("[population]", "msi_shore = 0.1", "unknown parameter 'msi_shore'", "'msi_share'?"),
    ("[population]", "adjuvant_lost = 0.1", "does not describe the pop", "move it to [parameters]"),
    (
        "[population]",
        "height_cm = 170",
        "must be a list of 2 numbers (got 170)",
        "such as [175, 162]",
    ),
    ("[population]", "msi_share = [0.1, 0.2]", "must be one number", "such as 0.03"),
    ("[population]", "cea_sd = inf", "must be a finite number (got inf)", ""),
    (
        "[population]",
        "primary_complication_rate_per_day = -0.1",
        "a rate must not be negative (got -0.1)",
        "",
    ),
    ("[population]", "lesions_most = 49", "must be at most 48 lesions (got 49)", ""),
    ("[population]", "largest_lesion_mm = 0", "must be above zero (got 0)", ""),
    ("[population]", "lesion_stop_probability = 0", "must be above zero (got 0)", "1e-9"),
    ("[population]", "cea_log_median = 51", "must be at most 50 (got 51)", ""),
    ("[parameters]", "segment_share_sd = -1", "must not be negative (got -1)", ""),
    ("[population]", "age_youngest_years = 96", "the population is empty", ""),
    ("[population]", "lesions_most = 0", "the population is empty: nobody has a lesion", ""),
    ("[population]", "rectum_share = 0.9", "together exceed 100 % (116 %)", ""),
    (
        "[parameters]",
        "folfox.kill = 1",
        "unknown parameter 'folfox.kill'",
        "'folfox.kill_per_day'?",
    ),
    ("[parameters]", "folfox.kill_per_day = -1", "a rate must not be negative", ""),
    ("[parameters]", "ct_scan.minutes = -1", "must not be negative", ""),
    (
        "[parameters]",
        "liver_theatre.wait_days = 3",
        "[services.liver_theatre] sets this too",
        "one",
    ),
    ("[services.liver_theatre]", "wait_cv = -1", "wait_cv: must not be negative (got -1)", ""),
    ("[outcomes]", "time = 3", "unknown key 'time' in [outcomes]", "use reference"),
    ("[outcomes]", 'horizon = "3 years"', "unknown key 'horizon'", "move it to [run]"),
    ('name = "other"', 'timing = "upfrontt"', "policy.other.timing: must be one of", "'upfront'?"),
    ('name = "other"', 'conversion_regimen = "folfuri"', "unknown regimen 'folfuri'", "'folfiri'?"),
    ('name = "other"', "preoperative_cycles = 25", "must be at most 24 (got 25)", ""),
    ('name = "other"', "lines = 4", "policy.other.lines: must be at most 3 (got 4)", ""),
    ('name = "other"', "mri = 1", "must be true or false, without quotes (got 1)", ""),
    ('name = "other"', 'flr_least = "130 %"', "policy.other.flr_least: must lie between", ""),
    ('name = "other"', "flr_least = 0", "policy.other.flr_least: must be above '0 %'", "small"),
    ('name = "other"', 'surveillance = "0 days"', "must be at least '1 day'", ""),
    (
        'name = "other"',
        'perioperative_regimen = "none"',
        "yet preoperative_cycles and postoperative_cycles ask for cycles",
        "set them to 0",
    ),
]


@pytest.mark.parametrize(("section", "line", "said", "hint"), BAD_VALUES, ids=lambda v: v[:40])
def test_one_bad_value_gives_one_message(section: str, line: str, said: str, hint: str) -> None:
    text = in_section(section, line)
    problem = only_problem(text)
    assert said in problem.text
    assert hint in problem.suggestion
    whole_policy = "perioperative_regimen" in line
    assert problem.source == text.split("\n")[problem.line - 1]
    assert problem.source == (line if not whole_policy else "[[policy]]")


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ("patients = 100", "patients = 0", "the population is empty", ""),
        ("[services.liver_theatre]", "[services.liver_theater]", "unknown key", "'liver_theatre'?"),
        ('wait = "28 days"', "wait = 28", "add the unit: '28 days', '28 weeks' or '28 months'", ""),
        ('base = "unselected"', 'base = "selected"', "must be 'unselected'", "'unselected'?"),
        ('base = "liver_first"', 'base = "liverfirst"', "unknown policy", "'liver_first'?"),
        ('base = "liver_first"', "base = []", "policy.other.base: unknown policy []", ""),
        ('name = "other"', 'name = "Other one"', "lower-case words", "such as 'other_one'"),
        ('reference = "other"', 'reference = "othr"', "unknown policy 'othr'", "'other'?"),
        ("[run]\npatients = 100", "run = 3", "run: must be a section (got 3)", "write [run]"),
        ("[run]", "[[run]]", "run: must be a section", "write [run]"),
        ('title = "t"', "title = 3", "title: must be a text in quotes (got 3)", ""),
        ('title = "t"', "", "title: missing", "add title"),
        ('title = "t"', 'tilte = "t"', "unknown key 'tilte'", "did you mean 'title'?"),
    ],
)
def test_one_bad_line_gives_one_message(old: str, new: str, said: str, hint: str) -> None:
    problems = problems_of(GOOD.replace(old, new, 1))
    assert said in problems[0].text
    assert hint in problems[0].suggestion
    renamed = new.startswith("name")  # whoever refers to the old name is told too
    assert len(problems) == (2 if renamed else 1)


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("100", '"many"').replace("28 days", "28 dys").replace('"t"', "7")
    assert [problem.line for problem in problems_of(text)] == [1, 3, 8]


def test_a_mistake_that_others_inherit_is_told_once() -> None:
    text = in_section('name = "liver_first"', "lines = 9")
    assert only_problem(text).text == "policy.liver_first.lines: must be at most 3 (got 9)"


@pytest.mark.parametrize("policies", ["", "policy = []\n"])
def test_no_policy(policies: str) -> None:
    problem = only_problem(f'title = "t"\n{policies}')
    assert "no policy" in problem.text
    assert "[[policy]]" in problem.suggestion


def test_a_misspelt_policy_heading_is_not_a_missing_policy() -> None:
    problem = only_problem('title = "t"\n[[policies]]\nname = "a"\n')
    assert problem.suggestion == "did you mean 'policy'?"


def test_single_brackets_around_policy() -> None:
    problem = only_problem('title = "t"\n[policy]\nname = "a"\n')
    assert "double brackets" in problem.text


def test_two_policies_of_one_name_and_one_without() -> None:
    problems = problems_of(GOOD.replace('name = "other"', 'name = "liver_first"') + "[[policy]]\n")
    assert "a second policy is called 'liver_first'" in [problem.text for problem in problems]
    assert "this policy has no name" in [problem.text for problem in problems]


def test_policies_that_build_on_each_other_in_a_circle() -> None:
    names = {"a": "b", "b": "c", "c": "a", "outside": "a"}
    text = "".join(f'[[policy]]\nname = "{n}"\nbase = "{base}"\n' for n, base in names.items())
    problem = only_problem(f'title = "t"\n{text}')
    assert "circle: a → b → c → a" in problem.text
    assert problem.line == 4


def test_a_policy_that_builds_on_itself() -> None:
    problem = only_problem('title = "t"\n[[policy]]\nname = "a"\nbase = "a"\n')
    assert "circle: a → a" in problem.text


def test_a_parameter_set_twice() -> None:
    text = in_section("[parameters]", '"folfox.kill_per_day" = 1\nfolfox.kill_per_day = 2')
    problem = only_problem(text)
    assert problem.text == "'folfox.kill_per_day' is given twice"
    assert problem.source == "folfox.kill_per_day = 2"
    both = in_section("[parameters]", "msi_share = 0.1").replace(
        'base = "unselected"', "msi_share = 0.2"
    )
    assert "is set in [population] too" in only_problem(both).text


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("run.patients=abc", "must be a whole number (got 'abc')"),
        ("run.pateints=5", "unknown key 'pateints' in [run]; did you mean 'patients'?"),
        ("run.patients", "a setting is written KEY=VALUE; such as run.patients=2000"),
        ("run.patients.x=1", "run.patients is not a section"),
        ("=3", "'' is not a key; write one such as run.patients"),
        ("policy.liver.lines=1", "unknown policy 'liver' in this scenario; did you mean"),
        ("policy.other.lines=7", "must be at most 3 (got 7)"),
        ("policy.other.name=x", "the name of a policy cannot be set"),
        ("policy.other=x", "say which policy and what of it; such as"),
        ("base=other.toml", "the file a scenario builds on cannot be set"),
        ("services.liver_theatre.wait=28", "add the unit: '28 days'"),
        ("outcomes.reference=nix", "unknown policy 'nix'; use one of liver_first, other"),
    ],
)
def test_settings(setting: str, said: str) -> None:
    assert str(only_problem(GOOD, (setting,))).startswith(f"--set {setting}: {said}")


# Files that cannot be used ----------------------------------------------------------------------


def only_line(path: Path | str) -> str:
    problems = check(path)
    assert len(problems) == 1
    return str(problems[0])


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "sequencing.toml").write_text("")
    assert "no such file; did you mean 'sequencing.toml'?" in only_line(tmp_path / "sequencin.toml")
    assert only_line(tmp_path / "none" / "x.toml").endswith("no such file")
    assert "\0" not in only_line("a\0b")


def test_a_folder_and_a_device(tmp_path: Path) -> None:
    assert only_line(tmp_path).endswith("this is a folder, not a scenario file")
    if os.path.exists("/dev/zero"):
        assert only_line("/dev/zero").endswith("this is not an ordinary file")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.toml"
    path.write_text(GOOD)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert only_line(path).endswith("cannot read this file: Permission denied")


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('title = "Überleben"'.encode("latin-1"))
    assert "not UTF-8 text" in only_line(path)


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 2**20)
    monkeypatch.delattr(Path, "read_bytes")
    assert "this file has 6.0 MB" in only_line(path)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ('title = "t"\n[run]\nhorizon = 15 years\n', 3, 'write horizon = "15 years"'),
        ('title = "t"\n[run]\nhorizon = "15 years\n', 3, "a text needs quotes at both ends"),
        ("[run", 1, ""),
        ("a = 1\na = 2", 2, ""),
        ("x = [1,\n\n", 1, ""),
    ],
)
def test_not_toml(text: str, line: int, hint: str) -> None:
    problem = only_problem(text)
    assert problem.text.startswith("not valid TOML: ")
    assert problem.line == line
    assert problem.suggestion == hint


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 5000, ".".join(["a"] * 9999) + " = 1", "x = " + "[" * 60 + "]" * 60],
    ids=["brackets", "dots", "closed brackets"],
)
def test_nested_too_deeply(text: str) -> None:
    assert "nested too deeply" in only_problem(text).text


def test_a_number_without_bounds() -> None:
    huge = "0x" + "F" * 6000
    assert "beyond all bounds" in only_problem(in_section("[population]", f"cea_sd = {huge}")).text


def test_base_files_in_a_circle(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}.toml"\n')
    assert "in a circle: a.toml → b.toml → c.toml → a.toml" in only_line(tmp_path / "a.toml")


def test_a_base_file_that_is_not_there(tmp_path: Path) -> None:
    """What it might have said is not called missing."""
    path = tmp_path / "a.toml"
    path.write_text('base = "b.toml"\n[[policy]]\nname = "x"\nbase = "in_b"\n')
    problems = check(path)
    assert [problem.text for problem in problems] == ["base: no such file"]
    assert problems[0].line == 1


def test_a_problem_in_the_base_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(GOOD.replace("100", "-1"))
    (tmp_path / "a.toml").write_text('base = "b.toml"\n')
    assert only_line(tmp_path / "a.toml").startswith(f"{tmp_path / 'b.toml'}:3: run.patients: ")


# Small things -----------------------------------------------------------------------------------


def test_a_long_line_is_cut_around_the_mark() -> None:
    text = in_section("[run]", f"seed = 'x'{' ' * 200}# far").replace("seed", " " * 150 + "seed")
    lines = str(only_problem(text)).split("\n")
    assert len(lines[1]) < 120
    assert lines[1][lines[2].index("^") :].startswith("'x'")


def test_control_signs_do_not_reach_the_terminal() -> None:
    message = str(problems_of('title = "\x1b[31m"')[0])
    assert "\x1b" not in message


def test_the_error_travels_between_processes() -> None:
    with pytest.raises(ScenarioError) as caught:
        loads("")
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_nearest() -> None:
    assert nearest("Liver-First", ["liver_first", "standard"]) == "did you mean 'liver_first'?"
    assert nearest("zzz", ["a", "b"]) == "use one of a, b"
    assert nearest("zzz", ["only"]) == "use only"
    assert nearest("zzz", [str(n) for n in range(20)]).endswith("and 8 more")


def test_the_whole_error_is_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[run]\nseed = -1\n")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value) == "\n".join(str(problem) for problem in check(path))
