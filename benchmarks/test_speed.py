"""Timings by pytest-benchmark; `ratios.py` holds them against each other and the bars."""

import numpy as np
import pytest
import queues
import trials
import workloads

FEW, MANY = 1_000, 20_000


@pytest.fixture(scope="module")
def spent():
    return workloads.counts()


@pytest.mark.parametrize("threads", [1, 2])
def test_cohort_engine(benchmark, threads):
    workloads.cohort_engine(10, threads)
    benchmark(workloads.cohort_engine, MANY, threads)


def test_same_draws_and_functions(benchmark, spent):
    workloads.floor(10, spent)
    benchmark(workloads.floor, MANY, spent)


def test_agents_engine(benchmark):
    workloads.agents_engine(10)
    benchmark.pedantic(workloads.agents_engine, (FEW,), rounds=3)


def test_bare_simpy(benchmark):
    rows = workloads.timetable(FEW)
    benchmark.pedantic(workloads.bare_simpy, (rows,), rounds=3)


@pytest.fixture(scope="module")
def region():
    return queues.scenario(16.0)


def test_region_engine(benchmark, region):
    engine = queues.engine(region)
    engine()
    benchmark.pedantic(engine, rounds=3)


def test_bare_queues(benchmark, region):
    given = queues.timetable(region)
    benchmark.pedantic(queues.bare_queues, (given,), rounds=3)


@pytest.fixture(scope="module")
def planned():
    return trials.prepare()


def test_trials(benchmark, planned):
    trials.ours(planned, 2)
    benchmark.pedantic(trials.ours, (planned, trials.MANY), rounds=3)


def test_trials_through_lifelines(benchmark, planned):
    few = trials.drawn(planned, np.arange(trials.FEW))
    held = trials.dates(few, trials.looks_of(planned[0]))
    benchmark.pedantic(trials.through_lifelines, (few, held, False), rounds=3)
