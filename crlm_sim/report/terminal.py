"""What commands print: results as text tables for a terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crlm_sim.outcomes import OUTCOMES, Outcome
from crlm_sim.outcomes.definitions import POUNDS, QALYS
from crlm_sim.report import enough_words
from crlm_sim.report.money import best_in_words, placeholders_sentence
from crlm_sim.report.topics import is_priced

_SHOWN = (
    "os_median_months",
    "os_1y",
    "os_3y",
    "os_5y",
    "rmst_5y_months",
    "pfs_median_months",
    "dfs_3y",
    "resectable_at_diagnosis",
    "resected",
    "converted",
    "sequence_completed",
    "objective_response",
    "major_complication",
    "mortality_90d",
    "cured",
    "cycles",
    "theatre_minutes",
    "bed_days",
    "cost",
    "qaly",
    "nmb",
)
_TOLD = ("months", POUNDS)
"""Units that the label does not say."""
_NARROWEST, _WIDEST = 80, 160
_REVIEW_COLUMNS = ("the review says", "modelled", "published", "simulated", "verdict")
_REVIEW_RATIOS = (27, 19, 20, 22, 12)
_LISTED = 6


def render(parts: Iterable[Any]) -> str:
    """Texts and tables one below the other, as wide as the terminal."""
    width = min(max(shutil.get_terminal_size((120, 24)).columns, _NARROWEST), _WIDEST)
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text.rstrip("\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of texts, the first column to the left."""
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(Text(column), overflow="fold", justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _number(value: float, unit: str) -> str:
    if unit == "proportion":
        return f"{100 * value:z.1f}"
    if unit == QALYS:
        return f"{value:z.2f}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:z.1f}"


def with_interval(entry: dict[str, Any], unit: str, signed: bool = False) -> str:
    """An entry's estimate with its interval in brackets, a dash if there is none."""
    estimate = entry["estimate"]
    if estimate is None:
        return "—"
    sign = "+" if signed and estimate > 0 else ""
    text = sign + _number(estimate, unit)
    if entry["lower"] is not None and entry["upper"] is not None:
        text += f" ({_number(entry['lower'], unit)} to {_number(entry['upper'], unit)})"
    return text


def label(outcome: Outcome, difference: bool = False) -> str:
    """An outcome's name for people, with its unit."""
    if unit_of(outcome) != "proportion":
        return f"{outcome.label}, {outcome.unit}" if outcome.unit in _TOLD else outcome.label
    return f"{outcome.label}, {'points' if difference else '%'}"


def run_text(summary: dict[str, Any]) -> str:
    """The table of a run: outcomes by policy, and paired differences from the reference."""
    policies = list(summary["policies"])
    labels = [summary["labels"][name] for name in policies]
    chosen = [outcome for outcome in OUTCOMES if outcome.name in _SHOWN]
    levels = [
        [label(o), *(with_interval(summary["policies"][p][o.name], unit_of(o)) for p in policies)]
        for o in chosen
    ]
    title = f"{summary['title']}: {summary['patients']:,} patients a policy, seed {summary['seed']}"
    parts: list[Any] = [table(title, ["outcome", *labels], levels)]
    others = [name for name in policies if name in summary["differences"]]
    if others:
        rows = [
            [
                label(o, difference=True),
                *(
                    with_interval(summary["differences"][p][o.name], unit_of(o), signed=True)
                    for p in others
                ),
            ]
            for o in chosen
        ]
        reference = summary["labels"][summary["reference"]]
        columns = ["difference", *(summary["labels"][name] for name in others)]
        parts += ["", table(f"Paired difference from {reference}", columns, rows)]
    parts += ["", *_how_uncertain(summary)]
    parts += [*best_in_words(summary), placeholders_sentence(summary["economics"])]
    return render(parts)


def best_text(found: dict[str, Any]) -> str:
    """The race between policies: the mean of each and how many patients it took."""
    unit = "proportion" if found["unit"] == "proportion" else found["unit"]
    scale = ", %" if unit == "proportion" else f", {unit}" if unit in _TOLD else ""
    rows = [
        [found["labels"][name], _number(one["mean"], unit), f"{one['patients']:,}"]
        for name, one in found["policies"].items()
    ]
    title = f"{found['title']}: {found['label']}"
    means = table(title, ["policy", f"mean{scale}", "patients"], rows)
    within = _number(found["indifference"], unit)
    kind = "points" if unit == "proportion" else unit
    draws = "" if found["draws"] == "mean" else " on average over what is not known"
    said = (
        f"{found['labels'][found['best']]} is best{draws}, or within {within} {kind} of the best, "
        f"with a probability of at least {found['probability']:.3g}."
    )
    parts = [means, "", said]
    return render([*parts, placeholders_sentence(found["economics"])] if is_priced(unit) else parts)


def region_text(summary: dict[str, Any]) -> str:
    """The tables of a run with queues: outcomes by arm, and paired differences from the first.

    What nobody asked for, such as a scanner that no policy uses, is left out.
    """
    arms = list(summary["policies"])
    labels = [summary["labels"][name] for name in arms]
    about = {
        name: one
        for name, one in summary["outcomes"].items()
        if any(summary["policies"][arm][name]["estimate"] for arm in arms)
    }
    rows = [
        [f"{one['label']}, {one['unit']}", *(_planned(summary["policies"][a][name]) for a in arms)]
        for name, one in about.items()
    ]
    title = f"{summary['title']}: {summary['replications']} replications, seed {summary['seed']}"
    parts: list[Any] = [table(title, ["outcome", *labels], rows)]
    if summary["differences"]:
        others = list(summary["differences"])
        rows = [
            [
                f"{one['label']}, {one['unit']}",
                *(_planned(summary["differences"][a][name], signed=True) for a in others),
            ]
            for name, one in about.items()
        ]
        columns = ["difference", *(summary["labels"][name] for name in others)]
        reference = summary["labels"][summary["reference"]]
        parts += ["", table(f"Paired difference from {reference}", columns, rows)]
    parts += [
        "",
        "In brackets: 95 % intervals over replications, which is simulation error; parameters are "
        "held at their best estimates.",
        *enough_words.precision(summary),
        placeholders_sentence(summary["economics"]),
    ]
    return render(parts)


def _planned(entry: dict[str, float | None], signed: bool = False) -> str:
    """A mean over replications with its interval."""
    value, lower, upper = entry["estimate"], entry["lower"], entry["upper"]
    if value is None:
        return "–"
    sign = "+" if signed else ""
    if lower is None or upper is None:
        return _three_figures(value, sign)
    ends = f"{_three_figures(lower, sign)} to {_three_figures(upper, sign)}"
    return f"{_three_figures(value, sign)} ({ends})"


def _three_figures(value: float, sign: str) -> str:
    """Three figures without powers of ten: whole numbers from 1,000 on, thousandths at least."""
    if round(value, 3) == 0.0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.3g}" if abs(value) >= 0.1 else f"{value:{sign}.3f}"


def unit_of(outcome: Outcome) -> str:
    """The unit in which an outcome is shown."""
    return "proportion" if outcome.kind in ("proportion", "survival") else outcome.unit


_PARAMETERS = {
    "posterior": "Parameters are the posterior learned from published studies; `crlm validate` "
    "shows how well it meets them.",
    "ranges": "Parameters come from their published or assumed ranges: no posterior is there.",
}


def _how_often(summary: dict[str, Any]) -> list[str]:
    """Whether replications were added until differences were as precise as asked."""
    if summary.get("precise") is None:
        return []
    patients = summary["replications"] * summary["patients"]
    words = "as precise as asked" if summary["precise"] else "not yet as precise as asked"
    return [f"{summary['replications']} replications, {patients:,} patients a policy: {words}."]


def _how_uncertain(summary: dict[str, Any]) -> list[str]:
    if summary["draws"] == "mean":
        kind = "In brackets: 95 % intervals of simulation error only; parameters are held at their "
        kind += "best estimates. Leave out --draws mean to see parameter uncertainty."
    else:
        kind = f"In brackets: 95 % intervals of parameter uncertainty over {summary['draws']} "
        kind += "draws; the JSON and the report give simulation error apart."
    return [
        kind,
        *_how_often(summary),
        _PARAMETERS[str(summary.get("parameters"))],
        f"{summary['seconds']:.1f} s with the {summary['engine']} engine."
        + (f" Run kept in {summary['run']}" if summary["run"] else ""),
    ]


def trace_text(result: dict[str, Any]) -> str:
    """One patient's courses, a column a policy."""
    person = result["person"]
    policies = list(result["policies"])
    head = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in person.items())
    columns = [_course(result["policies"][name]) for name in policies]
    longest = max(len(column) for column in columns)
    rows = [[column[n] if n < len(column) else "" for column in columns] for n in range(longest)]
    table = Table(show_lines=False)
    for name in policies:
        table.add_column(Text(name), overflow="fold", ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return render([head, "", table])


def _course(course: dict[str, Any]) -> list[str]:
    lines = []
    for step in course["steps"]:
        line = f"day {step['day']:.0f} {step['what']}"
        if step["lesions"]:
            line += ": " + _lesions(step["lesions"])
        elif step["what"] in ("ct scan", "surveillance visit"):
            line += ": nothing seen"
        if step["note"]:
            line += f" [{step['note']}]"
        lines.append(line)
    end = "alive" if course["end"] == "alive" else f"dead, {course['end']}"
    cured = ", no viable clone left" if course["cured"] else ""
    return [*_fold_cycles(lines), f"day {course['end_day']:.0f} {end}{cured}"]


def _lesions(lesions: Sequence[str]) -> str:
    """A few lesions one by one; many as their number and the largest of the list."""
    if len(lesions) <= _LISTED:
        return ", ".join(lesions)
    largest = sorted(lesions, key=lambda lesion: -int(lesion.split()[-2]))[:3]
    return f"{len(lesions)} lesions, largest {', '.join(largest)}"


def _fold_cycles(lines: list[str]) -> list[str]:
    """Runs of chemotherapy cycles as one line."""
    folded: list[str] = []
    count = 0
    for line in lines:
        if line.endswith("chemotherapy cycle"):
            count += 1
            if count > 1:
                first = folded[-1].split(" chemotherapy")[0]
                folded[-1] = f"{first} chemotherapy, {count} cycles to {line.split(' chem')[0]}"
                continue
        else:
            count = 0
        folded.append(line)
    return folded


def explain_text(result: dict[str, Any]) -> str:
    """Activities, decisions, policies and parameters of a scenario."""
    activities = [
        [
            row["activity"].replace("_", " "),
            row["service"].replace("_", " "),
            f"{row['lead_days']:g}",
            f"{row['wait_days']:g}",
            f"{row['minutes']:g}",
        ]
        for row in result["activities"]
    ]
    policies = result["policies"]
    settings = [
        [key.replace("_", " "), *(_setting(policies[name][key]) for name in policies)]
        for key in next(iter(policies.values()))
    ]
    decisions = [[row["when"], row["then"]] for row in result["decisions"]]
    head = ["activity", "service", "lead (days)", "mean wait (days)", "minutes"]
    parts: list[Any] = [
        result["title"],
        result["description"],
        "",
        table("Activities", head, activities),
        *_stations(result["stations"]),
        "",
        table("What the meeting decides", ["when", "then"], decisions),
        "",
        table("Policies", ["setting", *policies], settings),
        *_rules(result),
        "",
        _parameter_table(result["parameters"]),
        "",
        f"{len(result['parameters'])} parameters, {result['assumptions']} of them assumptions.",
    ]
    return render(parts)


def _stations(stations: list[dict[str, Any]]) -> list[Any]:
    """Where patients queue; nothing if no scenario says so."""
    if not stations:
        return []
    rows = [
        [
            one["service"].replace("_", " "),
            one["hospital"],
            ", ".join(one["patients_of"]),
            ", ".join(one["sessions"]) or f"with {' and '.join(one['teams'])}",
            str(one["places"]),
            _others(one.get("others")),
        ]
        for one in stations
    ]
    head = ["service", "hospital", "patients of", "sessions", "places", "other patients"]
    return [
        "",
        table("Where patients queue: these waits are what the queues make them", head, rows),
    ]


def _others(others: dict[str, Any] | None) -> str:
    if others is None:
        return ""
    many = f"{others['per_week']:g} a week" if "per_week" in others else f"{others['share']:.0%}"
    by_month = ", by month" if "by_month" in others else ""
    return f"{many}{by_month}, {others['minutes']} each"


def _rules(result: dict[str, Any]) -> list[Any]:
    rows = [
        [name, rule["when"], ", ".join(f"{key} = {value}" for key, value in rule["do"].items())]
        for name, rules in result["rules"].items()
        for rule in rules
    ]
    parts: list[Any] = []
    if rows:
        head = "Rules: at every meeting, for each setting the first that holds"
        parts += ["", table(head, ["policy", "when", "then"], rows)]
    if result["eligible"]:
        parts += ["", f"Studied are those with: {result['eligible']}"]
    return parts


def _setting(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def evidence_text(result: dict[str, Any]) -> str:
    """Parameters with value, interval, unit and source."""
    return render([_parameter_table(result["parameters"])])


def review_text(result: dict[str, Any]) -> str:
    """The review's items in sections: said, modelled, published, simulated, verdict."""
    parts: list[Any] = []
    for section in dict.fromkeys(item["section"] for item in result["items"]):
        items = [item for item in result["items"] if item["section"] == section]
        parts += [_review_table(section, items), ""]
    number = len(result["items"])
    counted = "1 item" if number == 1 else f"{number} items"
    parts.append(
        f"{counted}; of {result['measured']} effects measured {result['agreeing']} are inside the "
        "published interval or in the right direction."
    )
    parts.append(
        "In brackets: 95 % intervals of simulation error only. Some parameters were chosen with "
        "some of these figures in view: inside is not validation."
    )
    return render(parts)


def _review_table(section: str, items: Sequence[dict[str, Any]]) -> Table:
    title = Text(section)
    table = Table(
        title=title, title_justify="left", title_style="bold", show_lines=True, expand=True
    )
    for column, ratio in zip(_REVIEW_COLUMNS, _REVIEW_RATIOS, strict=True):
        table.add_column(Text(column), overflow="fold", ratio=ratio)
    for item in items:
        cells = (
            f"{item['id']}\n{item['says']}",
            item["modelled"],
            f"{item['published']} [{', '.join(item['source'])}]",
            "\n".join(simulated_lines(item)),
            "\n".join(verdict_lines(item)),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def simulated_lines(item: dict[str, Any]) -> list[str]:
    """A line a measure of an item of the review: what, simulated, with its interval."""
    return _numbered([f"{measure['label']}: {_simulated(measure)}" for measure in item["measures"]])


def verdict_lines(item: dict[str, Any]) -> list[str]:
    """A line a measure of an item of the review: what it is worth."""
    found = [measure["simulated"] for measure in item["measures"]]
    return _numbered(["not measured yet" if one is None else one["verdict"] for one in found])


def _simulated(measure: dict[str, Any]) -> str:
    found = measure["simulated"]
    if found is None or found["value"] is None:
        return "—"
    compared = measure["against"] is not None
    unit = found["unit"]
    word = unit if unit != "proportion" else "points" if compared else "%"
    return f"{with_interval(found | {'estimate': found['value']}, unit, compared)} {word}"


def _numbered(lines: list[str]) -> list[str]:
    """Several lines with their numbers, one line without."""
    return [f"{n}. {line}" for n, line in enumerate(lines, 1)] if len(lines) > 1 else lines


def _parameter_table(parameters: Sequence[dict[str, Any]]) -> Table:
    rows = [
        [
            parameter["name"],
            _values(parameter["value"]),
            _range(parameter),
            parameter["unit"],
            parameter["source"] + (f" ({parameter['note']})" if parameter["note"] else ""),
        ]
        for parameter in parameters
    ]
    return table("Parameters", ["name", "value", "95 %", "unit", "source"], rows)


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _range(parameter: dict[str, Any]) -> str:
    if not parameter["lower"]:
        return "fixed"
    pairs = zip(parameter["lower"], parameter["upper"], strict=True)
    return ", ".join(f"{low:g} to {high:g}" for low, high in pairs)


def calibration_text(record: dict[str, Any]) -> str:
    """What a calibration has learned, and how far to trust it."""
    found = record["diagnostics"]
    rows = [
        [
            one["name"],
            f"{one['prior']:.4g}",
            f"{one['posterior']:.4g} ({one['lower']:.4g} to {one['upper']:.4g})",
            f"{one['sd_posterior_to_prior']:.2f}",
            f"{one['r_hat']:.2f}",
            ", ".join(one["informed_by"][:2]),
        ]
        for one in found["parameters"]
    ]
    columns = ["parameter", "prior", "posterior (95 %)", "SD to prior", "R-hat", "informed by"]
    lines = [
        f"{found['figures']} figures of {found['studies']} studies, {found['evaluations']:,} "
        "evaluations of all.",
        f"Pareto k {found['pareto_k']:.2f} (below 0.7 is good), effective sample "
        f"{found['effective_sample']:.0f}, R-hat at most {found['r_hat_most']:.3f}, emulator error "
        f"{found['emulator_error_median']:.2f} of a published error (median; worst "
        f"{found['emulator_error_worst']:.2f}).",
        f"Discrepancy between studies τ = {found['tau']:.2f} on the logit.",
    ]
    return render([table("What was learned", columns, rows), "", *lines])


def recovery_text(found: dict[str, Any]) -> str:
    """Whether known truths were found again."""
    rows = [
        [
            one["name"],
            f"{one['correlation']:.2f}",
            f"{one['p_uniform']:.3f}",
            " ".join(map(str, one["ranks"])),
        ]
        for one in found["parameters"]
    ]
    columns = ["parameter", "correlation with truth", "p of uniform ranks", "ranks in ten bins"]
    title = f"{found['truths']} simulated truths, fitted"
    return render([table(title, columns, rows)])


def _spanned(value: float | None, lower: float | None, upper: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g} ({lower:.3g} to {upper:.3g})"


def validation_text(found: dict[str, Any]) -> str:
    """Published against simulated, a line a figure, misses marked."""
    rows = [
        [
            one["study"],
            one["arm"],
            one["outcome"] + (f" {one['time']:.0f} m" if one["time"] else ""),
            _spanned(one["published"], one["published_lower"], one["published_upper"]),
            _spanned(one["simulated"], one["lower"], one["upper"]),
            "inside" if one["inside"] else "OUTSIDE",
            one["use"],
        ]
        for one in found["figures"]
    ]
    columns = ["study", "arm", "outcome", "published (95 %)", "predicted (95 %)", "", "use"]
    said = [
        f"{words}: {found['inside'][use]['inside']} of {found['inside'][use]['of']} inside their "
        "95 % predictive interval."
        for use, words in (("fit", "Fitted figures"), ("check", "Figures never fitted"))
        if found["inside"][use]["of"]
    ]
    if found["studies_missed_one_way"]:
        missed = ", ".join(found["studies_missed_one_way"])
        said.append(f"Studies whose fitted figures all miss on one side: {missed}.")
    return render([table("Published and predicted", columns, rows), "", *said])


_CHECK_COLUMNS = (("check", 30), ("found", 28), ("expected", 24))


def verification_text(result: dict[str, Any]) -> str:
    """A line a check: what was checked, found and expected, and whether it passed."""
    title = f"{result['title']}: checks with {result['patients']:,} patients a policy"
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", show_lines=True, expand=True
    )
    for column, ratio in _CHECK_COLUMNS:
        table.add_column(Text(column), overflow="fold", ratio=ratio)
    table.add_column(Text(""), no_wrap=True, width=len("pass"))
    for check in result["checks"]:
        found = [f"{what}: {_found(number)}" for what, number in check["found"].items()]
        table.add_row(
            Text(f"{check['name']}\n{check['checked']}"),
            Text("\n".join([*found, *check["where"]])),
            Text(check["expected"]),
            Text("pass" if check["passed"] else "FAIL"),
        )
    number = len(result["checks"])
    failed = [check["name"] for check in result["checks"] if not check["passed"]]
    said = f"{result['passed']} of {number} checks passed" + (
        f"; failed: {', '.join(failed)}." if failed else "."
    )
    policies = ", ".join(result["policies"])
    return render(
        [
            table,
            "",
            f"Policies {policies}; seed {result['seed']}; {result['seconds']:.1f} s. "
            "Parameters at their best estimates.",
            said,
        ]
    )


def _found(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.3g}"
