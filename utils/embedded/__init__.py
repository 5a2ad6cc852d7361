"""Servers that live only as long as the process that started them, and sample data for them.

The demonstration and the tests run against these: a PostgreSQL to migrate from and an AWS to
migrate to, both from wheels. Nothing here is used in a migration of a real S9.
"""
