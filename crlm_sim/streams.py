"""Random numbers: every draw in the program comes from here, and nowhere else.

Philox4x32-10 (Salmon et al., SC11, 2011) is a keyed hash, not a generator with a state. The key
is (seed, draw) and the counter (patient, replicate, purpose, occurrence), so a number belongs to
a patient and a purpose. Under two policies the same patient has the same tumour and the same luck
in the same operation, whatever happened before, on whichever thread, in whatever order.

`stream` below is any record with the integer fields `seed`, `draw`, `replicate` and `patient`,
each in [0, 2**32).
"""

from __future__ import annotations

import math

import numpy as np

from crlm_sim.compiled import compiled

_M0 = np.uint64(0xD2511F53)
_M1 = np.uint64(0xCD9E8D57)
_W0 = np.uint64(0x9E3779B9)
_W1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_S12 = np.uint64(12)
_S20 = np.uint64(20)
_S32 = np.uint64(32)
_STEP = 2.0**-52
_HALF_STEP = 2.0**-53

WORD = 2**32
"""Seeds, draws, replicates and patients are below this."""

PURPOSES = (
    "parameter",
    "age",
    "primary",
    "symptoms",
    "fitness",
    "mutation",
    "msi",
    "body",
    "liver_shape",
    "burden",
    "lesion_size",
    "lesion_place",
    "lesion_depth",
    "extrahepatic",
    "cea",
    "occult_count",
    "occult_size",
    "occult_place",
    "biology",
    "resistance",
    "susceptibility",
    "hypertrophy",
    "lethal_burden",
    "other_cause_death",
    "primary_complication",
    "conspicuity",
    "scan",
    "wait",
    "duration",
    "stay",
    "complication",
    "postoperative_death",
    "margin",
    "ablation",
    "intraoperative",
    "toxicity",
    "next_line",
    "adjuvant",
    "next_operation",
    "arrival",
    "immunity",
    "approach",
    "pelvic",
    "after_ablation",
    "arterial",
    "elsewhere",
    "other_patients",
    "high_dependency",
    "allocation",
    "trial_patient",
)
"""Every random decision has a name. New names go to the end: the place is the counter word."""

PARAMETER, AGE, PRIMARY, SYMPTOMS, FITNESS, MUTATION, MSI, BODY, LIVER_SHAPE = range(9)
BURDEN, LESION_SIZE, LESION_PLACE, LESION_DEPTH, EXTRAHEPATIC, CEA = range(9, 15)
OCCULT_COUNT, OCCULT_SIZE, OCCULT_PLACE, BIOLOGY, RESISTANCE = range(15, 20)
SUSCEPTIBILITY, HYPERTROPHY, LETHAL_BURDEN, OTHER_CAUSE_DEATH = range(20, 24)
PRIMARY_COMPLICATION, CONSPICUITY, SCAN, WAIT, DURATION, STAY = range(24, 30)
COMPLICATION, POSTOPERATIVE_DEATH, MARGIN, ABLATION, INTRAOPERATIVE = range(30, 35)
TOXICITY, NEXT_LINE, ADJUVANT, NEXT_OPERATION, ARRIVAL = range(35, 40)
IMMUNITY, APPROACH, PELVIC, AFTER_ABLATION, ARTERIAL, ELSEWHERE = range(40, 46)
OTHER_PATIENTS, HIGH_DEPENDENCY = range(46, 48)
ALLOCATION, TRIAL_PATIENT = range(48, 50)


@compiled
def philox(k0, k1, c0, c1, c2, c3):
    """Ten rounds of Philox4x32: key (k0, k1) and counter (c0 … c3), 32 bits each, as uint64."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0 = (p1 >> _S32) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _S32) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@compiled
def uniform_pair_at(seed, draw, patient, replicate, purpose, occurrence):
    """Two independent uniforms in the open interval (0, 1): midpoints of 2**52 equal steps."""
    w0, w1, w2, w3 = philox(
        np.uint64(seed),
        np.uint64(draw),
        np.uint64(patient),
        np.uint64(replicate),
        np.uint64(purpose),
        np.uint64(occurrence),
    )
    u = np.float64((w0 << _S20) | (w1 >> _S12)) * _STEP + _HALF_STEP
    v = np.float64((w2 << _S20) | (w3 >> _S12)) * _STEP + _HALF_STEP
    return u, v


@compiled
def uniform_pair(stream, purpose, occurrence):
    """Two uniforms of this patient for the `occurrence`-th decision of this `purpose`."""
    return uniform_pair_at(
        stream.seed, stream.draw, stream.patient, stream.replicate, purpose, occurrence
    )


@compiled
def uniform(stream, purpose, occurrence):
    """One uniform in (0, 1)."""
    return uniform_pair(stream, purpose, occurrence)[0]


@compiled
def normal_quantile(p):
    """Standard normal quantile of p in (0, 1): Wichura's AS 241 (PPND16), error below 1e-15.

    One uniform gives one normal, monotonically: common random numbers stay common.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r
            + 6.7265770927008700853e4) * r + 4.5921953931549871457e4) * r
            + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
            + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)  # fmt: skip
        den = (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r
            + 3.9307895800092710610e4) * r + 2.1213794301586595867e4) * r
            + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
            + 4.2313330701600911252e1) * r + 1.0)  # fmt: skip
        return q * num / den
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        num = (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r
            + 2.41780725177450611770e-1) * r + 1.27045825245236838258e0) * r
            + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
            + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)  # fmt: skip
        den = (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r
            + 1.51986665636164571966e-2) * r + 1.48103976427480074590e-1) * r
            + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
            + 2.05319162663775882187e0) * r + 1.0)  # fmt: skip
    else:
        r -= 5.0
        num = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
            + 1.24266094738807843860e-3) * r + 2.65321895265761230930e-2) * r
            + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
            + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)  # fmt: skip
        den = (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r
            + 1.84631831751005468180e-5) * r + 7.86869131145613259100e-4) * r
            + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
            + 5.99832206555887937690e-1) * r + 1.0)  # fmt: skip
    return -num / den if q < 0.0 else num / den


@compiled
def normal_pair(stream, purpose, occurrence):
    """Two independent standard normals."""
    u, v = uniform_pair(stream, purpose, occurrence)
    return normal_quantile(u), normal_quantile(v)


@compiled
def normal(stream, purpose, occurrence):
    """One standard normal: the first of `normal_pair`."""
    return normal_quantile(uniform(stream, purpose, occurrence))


@compiled
def poisson_quantile(u, mean, largest):
    """Smallest n ≤ `largest` with P(N ≤ n) ≥ u for a Poisson N of this mean (below about 700)."""
    term = math.exp(-mean)
    total = term
    n = 0
    while u > total and n < largest:
        n += 1
        term *= mean / n
        total += term
    return n
