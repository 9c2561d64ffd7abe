"""Durations and shares: what is read, what is refused, and that writing loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_sim.scenario import quantities
from crlm_sim.scenario.messages import Wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 weeks", 56.0),
        ("1 week", 7.0),
        ("28 days", 28.0),
        ("2days", 2.0),
        ("6 months", 182.625),
        ("2 years", 730.5),
        ("72 hours", 3.0),
        (" 0.5 Days ", 0.5),
        ("0 days", 0.0),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert quantities.days(text) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (365, "add the unit: '365 days', '52 weeks', '12 months' or '1 year' (got 365)"),
        (8, "add the unit: '8 days', '8 weeks' or '8 months' (got 8)"),
        (1, "add the unit: '1 day', '1 week' or '1 month' (got 1)"),
        ("8", "add the unit: '8 days', '8 weeks' or '8 months' (got '8')"),
        ("8 %", "must be a duration such as '8 weeks', not a percentage (got '8 %')"),
        ("8 wekks", "unknown unit 'wekks' of time (got '8 wekks')"),
        ("-8 weeks", "must not be negative (got '-8 weeks')"),
        ("41 years", "must be at most '40 years' (got '41 years')"),
        ("1e999 days", "must be a finite number (got inf)"),
        ("eight weeks", "must be a duration such as '8 weeks' (got 'eight weeks')"),
        (True, "must be a duration such as '8 weeks' (got true)"),
        (float("nan"), "must be a finite number (got nan)"),
    ],
)
def test_refused_durations(value: object, said: str) -> None:
    with pytest.raises(Wrong) as caught:
        quantities.days(value)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("value", "expected"), [("30 %", 0.3), ("0.5%", 0.005), (0.3, 0.3), (0, 0.0), (1, 1.0)]
)
def test_shares(value: object, expected: float) -> None:
    assert quantities.share(value) == expected


@pytest.mark.parametrize("value", [1.01, -0.1, "101 %", "-1 %", "8 weeks", "0.3", [], True])
def test_refused_shares(value: object) -> None:
    with pytest.raises(Wrong, match=r"must|share"):
        quantities.share(value)


def test_a_share_above_one_was_meant_in_percent() -> None:
    with pytest.raises(Wrong) as caught:
        quantities.share(30)
    assert caught.value.suggestion == "did you mean '30 %'?"


@given(st.floats(0.0, quantities.LONGEST_DAYS))
def test_a_written_duration_reads_back_exactly(days: float) -> None:
    assert quantities.days(quantities.write_days(days)) == days


@given(st.integers(1, 40), st.sampled_from(["year", "month", "week"]))
def test_round_durations_are_written_as_people_would(number: int, unit: str) -> None:
    written = quantities.write_days(quantities.days(f"{number} {unit}s"))
    assert written.split()[0].isdecimal()
