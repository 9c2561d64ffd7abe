"""A scenario as the rest of the program sees it: checked, complete and immutable."""

from __future__ import annotations

from collections.abc import Container, Mapping
from copy import copy
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    create_model,
    model_validator,
)

from crlm_sim.care.policy import CHOICES, THERAPIES
from crlm_sim.scenario import quantities
from crlm_sim.scenario.kinds import (
    ENGINES,
    MEAN,
    MOST_CYCLES,
    MOST_LINES,
    MOST_PATIENTS,
    NONE,
    POPULATIONS,
    POSTERIOR,
    POSTERIOR_DRAWS,
    SEEDS,
    AnyWords,
    Cycles,
    Days,
    Drug,
    Interval,
    Name,
    NotNegative,
    PositiveShare,
    Precisions,
    Proportion,
    SomeDays,
    SomeNotNegative,
    Words,
    YesOrNo,
    choice,
    chosen,
    policy_name,
    read_condition,
    read_draws,
    read_patients,
    within,
)
from crlm_sim.scenario.messages import Wrong, shown
from crlm_sim.scenario.packing import SETTINGS, packed_policy, packed_rules
from crlm_sim.scenario.region import Region


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Part):
    """How much is simulated, and how."""

    patients: Annotated[
        int,
        BeforeValidator(read_patients),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_PATIENTS}),
    ] = Field(2_000, description="Patients simulated under every policy, in each draw.")
    seed: Annotated[int, *within(0, SEEDS - 1)] = Field(
        1, description="Same seed, same patients: a run can be repeated exactly."
    )
    horizon: Interval = Field(
        quantities.days("15 years"), description="How long patients are followed, at most 40 years."
    )
    engine: Annotated[Literal["cohort", "agents"], BeforeValidator(choice(ENGINES))] = Field(
        "cohort", description="'cohort' is fast; 'agents' lets patients compete for services."
    )
    draws: Annotated[
        int | Literal["mean", "posterior"],
        BeforeValidator(read_draws),
        WithJsonSchema({"anyOf": [{"enum": [POSTERIOR, MEAN]}, {"type": "integer", "minimum": 1}]}),
    ] = Field(
        POSTERIOR,
        description=(
            "'posterior': everything is run under 50 draws of what the calibration learned. "
            "'mean': its best estimates alone. A number: that many draws."
        ),
    )

    @property
    def draw_numbers(self) -> list[int]:
        """The parameter draws to simulate: 0 for the best estimates, else 1 … n."""
        if self.draws == MEAN:
            return [0]
        return list(range(1, 1 + (POSTERIOR_DRAWS if self.draws == POSTERIOR else self.draws)))

    replications: Annotated[int, *within(1, MOST_PATIENTS)] = Field(
        1,
        description=(
            "How many times the whole run is repeated with new patients; the least, with precision."
        ),
    )
    precision: Precisions = Field(
        {},
        description=(
            "Replications are added until half of the 95 % interval is within this, such as "
            "'5 %' of the main outcomes; or a section with a precision for each outcome named, "
            "such as '2 days' or '0.5 points'. Without hospitals it is that of the paired "
            "differences between policies."
        ),
    )
    most_replications: Annotated[int, *within(1, MOST_PATIENTS)] = Field(
        200, description="How many it takes at most to be precise."
    )
    arrivals_per_year: NotNegative = Field(
        0.0, description="Patients diagnosed a year; 0 lets all enter at time zero."
    )


class Population(_Part):
    """Who is diagnosed: a named population and the parameters changed in it."""

    base: Annotated[Literal["unselected"], BeforeValidator(choice(POPULATIONS))] = "unselected"
    eligible: Annotated[
        str | None, BeforeValidator(read_condition), WithJsonSchema({"type": "string"})
    ] = Field(None, description="Who is studied: a condition, such as 'age < 80 years'.")
    parameters: dict[str, tuple[float, ...]] = {}

    @model_validator(mode="after")
    def _condition_fits(self) -> Population:
        self.packed_eligible()
        return self

    def packed_eligible(self) -> np.ndarray:
        """The condition as the compiled code reads it: shape (1,), dtype `care.policy.RULES`."""
        return packed_rules([] if self.eligible is None else [(self.eligible, {})])


class Service(_Part):
    """How long one waits for a service beyond the shortest lead time."""

    wait: SomeDays = Field(None, description="Mean wait beyond the shortest lead time.")
    wait_cv: SomeNotNegative = Field(
        None, description="Spread of the wait: standard deviation divided by mean."
    )


class Economics(_Part):
    """What money and years count; prices and utilities are parameters."""

    discount_costs: Proportion = Field(0.035, description="What later costs count less, a year.")
    discount_effects: Proportion = Field(0.035, description="What later years count less, a year.")
    threshold: NotNegative = Field(
        30_000.0, description="What a QALY may cost, in pounds of 2023/24."
    )
    patients_a_year: SomeNotNegative = Field(
        None, description="New patients a year for whom the policy is chosen."
    )
    decision_years: SomeDays = Field(
        None, description="How long the choice will stand, such as '10 years'."
    )


class Outcomes(_Part):
    """What is compared with what."""

    reference: Annotated[
        str | None, BeforeValidator(policy_name), WithJsonSchema({"type": "string"})
    ] = Field(None, description="The policy the others are compared with; the first if not given.")


_CHANGE_EXAMPLE = 'such as do = { timing = "upfront" }'


def _read_changes(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"must be settings in braces (got {shown(value)})", _CHANGE_EXAMPLE)
    if not value:
        raise Wrong("the rule changes nothing", _CHANGE_EXAMPLE)
    return changes_model().model_validate(value).model_dump(exclude_unset=True)


def _write_changes(values: Mapping[str, Any]) -> dict[str, Any]:
    written = changes_model().model_construct(**values)
    return written.model_dump(mode="json", exclude_unset=True)


class Rule(_Part):
    """Settings that differ for patients who meet a condition at a meeting."""

    when: Annotated[str, BeforeValidator(read_condition), WithJsonSchema({"type": "string"})] = (
        Field(description="A condition such as 'fong_score <= 2'; 'default' always holds.")
    )
    do: Annotated[
        dict[str, Any],
        BeforeValidator(_read_changes),
        PlainSerializer(_write_changes, when_used="json"),
    ] = Field(description="Settings of the policy, and what they become.")


def _read_rules(value: object) -> object:
    if isinstance(value, list | tuple) and all(isinstance(rule, dict | Rule) for rule in value):
        return tuple(value)
    raise Wrong(
        "each rule is a section of its own with double brackets",
        '[[policy.rule]], and below it when = "…" and do = { … }',
    )


class Policy(_Part):
    """One way of ordering and choosing treatment, with everything it says or inherits."""

    name: Name = Field(description="Short name, such as 'liver_first'.")
    label: Words = Field(description="Name for people, in tables and figures.")
    sequence: Annotated[str, *chosen(CHOICES["sequence"])] = Field(
        description="Which operation comes first."
    )
    timing: Annotated[str, *chosen(CHOICES["timing"])] = Field(
        description="Whether resectable disease gets surgery or drugs first."
    )
    preoperative_cycles: Cycles = Field(description="Cycles before liver surgery (perioperative).")
    postoperative_cycles: Cycles = Field(
        description="Cycles after surgery that followed preoperative drugs or conversion."
    )
    adjuvant_cycles: Cycles = Field(description="Cycles after upfront surgery.")
    perioperative_regimen: Drug = Field(description="Drugs before and after surgery.")
    conversion_regimen: Drug = Field(
        description="First drugs for liver-only disease that cannot be resected."
    )
    first_line_regimen: Drug = Field(description="First drugs for disease beyond the liver.")
    second_line_regimen: Drug = Field(description="Drugs after a first progression.")
    third_line_regimen: Drug = Field(description="Drugs after a second progression.")
    maintenance_regimen: Drug = Field(
        description="Drugs after the cycles of the first line, until progression."
    )
    reintroduction: YesOrNo = Field(
        description="Whether the first drugs come again when the disease progresses off them."
    )
    perioperative_total: Days = Field(
        description="Drugs before and after surgery together last at most this long."
    )
    line_cycles: Annotated[int, *within(1, MOST_CYCLES)] = Field(
        description="Most cycles in one line of treatment."
    )
    lines: Annotated[int, *within(0, MOST_LINES)] = Field(
        description="Lines of drugs given at most."
    )
    first_reevaluation: Interval = Field(description="First scan after drugs begin.")
    reevaluation: Interval = Field(description="Time between later scans under drugs.")
    operation_gap: Days = Field(description="Shortest time from the last cycle to an operation.")
    staged_when_both_major: YesOrNo = Field(
        description="Two operations when bowel and liver surgery are both major."
    )
    rectal_radiotherapy: Annotated[str, *chosen(CHOICES["rectal_radiotherapy"])] = Field(
        description="Radiotherapy before a rectal primary is resected."
    )
    primary_when_unresectable: Annotated[str, *chosen(CHOICES["primary_when_unresectable"])] = (
        Field(description="What is done with a primary without symptoms under incurable disease.")
    )
    resection: Annotated[str, *chosen(CHOICES["resection"])] = Field(
        description="Whether superficial lesions get a wedge (sparing) or their segment."
    )
    margin_mm: Annotated[
        float,
        BeforeValidator(quantities.at_least_zero),
        WithJsonSchema({"type": "number", "minimum": 0}),
    ] = Field(description="Margin of healthy liver planned around a lesion, in mm.")
    approach: Annotated[str, *chosen(CHOICES["approach"])] = Field(
        description="Open or laparoscopic operations, where an operation can be either."
    )
    disappearing: Annotated[str, *chosen(CHOICES["disappearing"])] = Field(
        description="Whether places of lesions that vanished are resected or watched."
    )
    two_stage: Annotated[str, *chosen(CHOICES["two_stage"])] = Field(
        description="How the liver is made to grow between two stages, if it may be."
    )
    ablation: Annotated[str, *chosen((NONE, *THERAPIES["ablation"]))] = Field(
        description="How lesions are ablated in theatre or instead of a resection."
    )
    small_lesions: Annotated[str, *chosen(CHOICES["small_lesions"])] = Field(
        description="Whether small lesions that a wedge would remove are resected or ablated."
    )
    portal_node_resection: YesOrNo = Field(
        description="Whether few portal node metastases are resected with the liver."
    )
    distant_node_resection: YesOrNo = Field(
        description="Whether few distant node metastases are resected with the liver."
    )
    peritoneal_resection: YesOrNo = Field(
        description="Whether few peritoneal metastases are resected with the liver."
    )
    lung_resection: YesOrNo = Field(
        description="Whether few lung metastases are resected after liver and primary."
    )
    repeat_resection: YesOrNo = Field(description="Whether a recurrence may be resected again.")
    local_therapy: Annotated[str, *chosen((NONE, *THERAPIES["local_therapy"]))] = Field(
        description="What destroys few small lesions that are not operated on."
    )
    arterial_therapy: Annotated[str, *chosen((NONE, *THERAPIES["arterial_therapy"]))] = Field(
        description="Treatment through the hepatic artery when surgery is not possible."
    )
    arterial_line: Annotated[int, *within(1, MOST_LINES + 1)] = Field(
        description="Line of drugs with which it is given, or instead of which."
    )
    arterial_liver_only: YesOrNo = Field(
        description="Whether disease seen outside the liver rules it out."
    )
    mri: YesOrNo = Field(description="Whether a liver MRI follows the staging CT.")
    pet_ct: YesOrNo = Field(description="Whether a PET-CT follows the staging CT.")
    pet_mr: YesOrNo = Field(description="Whether a PET-MR follows the staging CT.")
    refer_to_liver_unit: YesOrNo = Field(
        description="Whether the liver unit is asked; else drugs alone, as if not resectable."
    )
    most_lesions: Annotated[int, *within(0, SEEDS - 1)] = Field(
        description="More lesions than this are not operated on."
    )
    flr_least: PositiveShare = Field(description="Smallest share of the liver that must be left.")
    flr_least_injured: PositiveShare = Field(description="The same after long chemotherapy.")
    remnant_to_body_weight_least: PositiveShare = Field(
        description="Smallest liver left as a share of body weight; the easier rule counts."
    )
    surveillance: Interval = Field(description="Time between early surveillance visits.")
    late_surveillance: Interval = Field(description="Time between late surveillance visits.")
    early_surveillance: Days = Field(description="How long visits come at the early pace.")
    surveillance_period: Days = Field(description="When surveillance ends.")
    rules: Annotated[tuple[Rule, ...], BeforeValidator(_read_rules)] = Field(
        (),
        alias="rule",
        description="Settings that differ between patients; the first rule that holds wins.",
    )

    @model_validator(mode="after")
    def _drugs_fit_cycles(self) -> Policy:
        """A policy without perioperative drugs must not ask for cycles of them."""
        if self.perioperative_regimen != NONE:
            return self
        upfront = self.timing == "upfront"
        used = ("adjuvant_cycles" if upfront else "preoperative_cycles", "postoperative_cycles")
        asked = [name for name in used if getattr(self, name) > 0]
        if asked:
            raise Wrong(
                f"perioperative_regimen is '{NONE}', yet {' and '.join(asked)} ask for cycles",
                "set them to 0 or name a regimen",
            )
        return self

    @model_validator(mode="after")
    def _rules_fit(self) -> Policy:
        self.packed_rules()
        return self

    def packed(self) -> np.ndarray:
        """The policy's own settings as the compiled code reads them: shape (1,), dtype `POLICY`."""
        return packed_policy({name: getattr(self, name) for name in SETTINGS})

    def packed_rules(self) -> np.ndarray:
        """The rules as the compiled code reads them: shape (1,), dtype `RULES`."""
        return packed_rules([(rule.when, rule.do) for rule in self.rules])


@cache
def changes_model() -> type[BaseModel]:
    """What a rule may set: every setting of a policy, checked in the same way, none required."""
    fields: dict[str, Any] = {}
    for name in SETTINGS:
        field = copy(Policy.model_fields[name])
        field.default = None
        fields[name] = (field.annotation, field)
    return create_model("Changes", __base__=_Part, **fields)


class Scenario(_Part):
    """Everything a run needs to know, from one file and what it builds on."""

    name: str
    title: Words = Field(description="What the scenario asks, in a few words.")
    description: AnyWords = Field("", description="What it is for, in a few sentences.")
    run: Run
    population: Population
    parameters: dict[str, tuple[float, ...]]
    policies: tuple[Policy, ...]
    services: dict[str, Service]
    region: Region = Region()
    economics: Economics = Economics()
    outcomes: Outcomes

    @property
    def policy_names(self) -> tuple[str, ...]:
        """Names of the policies, in the file's order."""
        return tuple(policy.name for policy in self.policies)

    @property
    def reference(self) -> str:
        """The policy that the others are compared with."""
        return self.outcomes.reference or self.policies[0].name

    @property
    def horizon_minutes(self) -> int:
        """How long patients are followed, on the engines' clock."""
        return round(self.run.horizon * quantities.MINUTES_PER_DAY)

    @property
    def changes(self) -> dict[str, tuple[float, ...]]:
        """The parameters this scenario sets, for `evidence.pack`."""
        found = {**self.population.parameters, **self.parameters}
        for name, service in self.services.items():
            if service.wait is not None:
                found[f"{name}.wait_days"] = (service.wait,)
            if service.wait_cv is not None:
                found[f"{name}.wait_cv"] = (service.wait_cv,)
        for name in self.region.stations:
            found[f"{name}.wait_days"] = found[f"{name}.wait_cv"] = (0.0,)
        return found

    def policy(self, name: str) -> Policy:
        """The policy of that name; KeyError if there is none."""
        for policy in self.policies:
            if policy.name == name:
                return policy
        raise KeyError(f"no policy '{name}'; this scenario has {', '.join(self.policy_names)}")

    def only(self, names: Container[str]) -> Scenario:
        """The scenario with these of its policies alone; the first is the reference if need be."""
        kept = tuple(policy for policy in self.policies if policy.name in names)
        outcomes = self.outcomes
        if self.reference not in names:
            outcomes = outcomes.model_copy(update={"reference": kept[0].name})
        return self.model_copy(update={"policies": kept, "outcomes": outcomes})

    def packed_policy(self, name: str) -> np.ndarray:
        """The policy of that name as the compiled code reads it."""
        return self.policy(name).packed()

    def packed_rules(self, name: str) -> np.ndarray:
        """The rules of the policy of that name as the compiled code reads them."""
        return self.policy(name).packed_rules()

    def packed_eligible(self) -> np.ndarray:
        """Who is studied, as the compiled code reads it; no rule if everybody is."""
        return self.population.packed_eligible()
