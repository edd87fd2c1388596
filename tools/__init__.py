"""Checks that take long or need more than the everyday tests: long runs, all architectures, mutants."""
