"""Checks that take longer or need more than the everyday tests: long runs, many architectures, mutants."""
