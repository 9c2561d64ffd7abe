"""What no single value shows: parts of a scenario that do not go together."""

from __future__ import annotations

from crlm_sim.evidence import parameters
from crlm_sim.scenario.messages import nearest
from crlm_sim.scenario.source import Source

Values = dict[str, tuple[float, ...]]

_ORDERED = (
    ("age_youngest_years", "age_oldest_years"),
    ("diffuse_lesions_least", "diffuse_lesions_most"),
    ("smallest_overt_mm", "largest_lesion_most_mm"),
    ("occult_log_smallest_ml", "occult_log_largest_ml"),
)
"""Pairs of parameters of which the first must not be above the second."""
_AT_LEAST_ONE = ("lesions_most", "diffuse_lesions_least")
"""Everybody in the model has a liver metastasis."""
_SHARES_OF_ONE = (
    ("rectum_share", "right_colon_share"),
    ("ras_share_left", "braf_share_left"),
    ("ras_share_right", "braf_share_right"),
    ("occult_liver_share", "occult_elsewhere_share"),
)
"""Shares of one whole, which cannot exceed it together."""


def check_population(source: Source, changes: Values, paths: dict[str, tuple[str, str]]) -> None:
    """Report a population that cannot hold anyone or whose shares exceed the whole.

    `paths` says where the scenario sets each parameter of `changes`.
    """

    def value(name: str) -> tuple[float, ...]:
        return changes.get(name, parameters()[name].value)

    def set_here(*names: str) -> tuple[str, str] | None:
        return next((paths[name] for name in reversed(names) if name in paths), None)

    for low, high in _ORDERED:
        path = set_here(low, high)
        if path and value(low)[0] > value(high)[0]:
            text = f"{low} ({value(low)[0]:g}) is above {high} ({value(high)[0]:g})"
            source.wrong(path, f"the population is empty: {text}")
    for name in _AT_LEAST_ONE:
        path = set_here(name)
        if path and value(name)[0] < 1.0:
            source.wrong(
                path, f"the population is empty: nobody has a lesion (got {value(name)[0]:g})"
            )
    for names in _SHARES_OF_ONE:
        path = set_here(*names)
        total = sum(sum(value(name)) for name in names)
        if path and total > 1.0 + 1e-9:
            source.wrong(path, f"{' and '.join(names)} together exceed 100 % ({100 * total:g} %)")


def check_policies(source: Source, named: str | None) -> None:
    """Report a scenario without policies, and a reference (`named`) that is none of them."""
    if source.is_missing("policy"):
        text = "no policy: a scenario compares at least one"
        source.report((), text, 'add [[policy]], and below it name = "colorectal_first"')
    known = list(source.data.get("policy", {}))
    if known and named is not None and named not in known and not source.incomplete:
        path = ("outcomes", "reference")
        source.wrong(path, f"unknown policy '{named}'", nearest(named, known))
