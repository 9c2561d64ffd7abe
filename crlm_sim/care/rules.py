"""Rules at work: programs of a tiny stack machine, run on one patient at one moment.

An operation is one whole number: `attribute code × CODE_STEP + opcode`. A comparison pushes whether
the attribute compares so with its argument; `ALWAYS` and `NEVER_SO` push a constant; `NOT`, `AND`
and `OR` act on what was pushed last. The stack is the bits of one integer, so nothing is allocated.
"""

from __future__ import annotations

import numpy as np

from crlm_sim.care.attributes import attribute
from crlm_sim.care.resectability import plan_operation
from crlm_sim.compiled import compiled
from crlm_sim.disease.patient import PATIENT

LESS, AT_MOST, MORE, AT_LEAST, EQUAL, UNEQUAL = range(6)
NOT, AND, OR, ALWAYS, NEVER_SO = range(6, 11)
CODE_STEP = 16
MOST_DEPTH = 60
"""Bits of the stack that may be in use; what packs a program sees to it."""


@compiled
def _compares(value, opcode, argument):
    if opcode == LESS:
        return value < argument
    if opcode == AT_MOST:
        return value <= argument
    if opcode == MORE:
        return value > argument
    if opcode == AT_LEAST:
        return value >= argument
    if opcode == EQUAL:
        return value == argument
    return value != argument


@compiled
def holds(patient, params, operations, arguments, first, last, minute):
    """Whether the program in places `first` … `last − 1` is true now; an empty one never is."""
    stack = 0
    for place in range(first, last):
        opcode = operations[place] % CODE_STEP
        if opcode <= UNEQUAL:
            value = attribute(patient, params, operations[place] // CODE_STEP, minute)
            stack = (stack << 1) | int(_compares(value, opcode, arguments[place]))
        elif opcode == NOT:
            stack ^= 1
        elif opcode == AND:
            stack = (stack >> 1) & (stack | ~1)
        elif opcode == OR:
            stack = (stack >> 1) | (stack & 1)
        else:
            stack = (stack << 1) | int(opcode == ALWAYS)
    return (stack & 1) != 0


@compiled
def settle(patient, params, settings, values, policy, rules, minute):
    """The patient's settings at a meeting: the policy's own, changed by the rules that hold now.

    `settings` is the patient's record (dtype POLICY) and `values` the same memory as numbers,
    `policy` the policy's numbers. For each setting the first rule that holds wins, so they are
    applied from the last to the first. What rules look at is planned on a copy: asking changes
    nothing about the patient.
    """
    if rules.count == 0:
        return
    values[:] = policy
    copies = np.empty(1, PATIENT)
    copies[0] = patient
    asked = copies[0]
    plan_operation(asked, params, settings, minute)
    for back in range(rules.count):
        r = rules.count - 1 - back
        if holds(
            asked,
            params,
            rules.operations,
            rules.arguments,
            rules.starts[r],
            rules.starts[r + 1],
            minute,
        ):
            for place in range(rules.changes[r], rules.changes[r + 1]):
                values[rules.setting[place]] = rules.value[place]
