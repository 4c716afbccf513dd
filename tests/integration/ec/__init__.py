"""A second, independent implementation of docs/PROTOCOL.md, for testing the first.

Written from that page alone. Nothing in here reads or calls the C code.
"""
