"""The database of Run:ai's control plane, as a lab has it: a real PostgreSQL with generated tables.

The tables are no copy of the vendor's (which are not published): they have what a dump and a restore may stumble
over: sequences, keys and constraints, indexes, views, functions, types, large values, comments, roles and grants.
"""
