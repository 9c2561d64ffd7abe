"""What the tumour and the liver do: clones, growth, response, liver volume and injury, death.

Pure compiled functions on one patient record. They make no clinical decision and know no clock
but the minute they are given. Every number comes from the parameter record of `evidence/`.
"""
