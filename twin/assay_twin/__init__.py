"""An independent implementation of docs/exact.md (spec id 1) in Python and numpy.

Written from that page alone. It is slow, plain and exact: every value is an integer, and where numpy's float64 is
used, it is because the page proves that every partial sum is an integer below 2^53.
"""
