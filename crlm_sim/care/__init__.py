"""What the clinic does: imaging, meetings, drugs, operations, follow-up, and the next step.

Pure compiled functions on the patient record. Decisions are made from what has been seen, never
from the true state; the minute is given, there is no clock here. `pathway` is the one place where
the next step is decided.
"""
