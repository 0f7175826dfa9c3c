"""Decisions as pure values: no clock, no I/O, no randomness; standard library plus orjson.

Start at `exchange`: it is the record that every other module fills or reads.
"""
