"""Long runs, many threads, many clients, other processes: ``python -m tools.soak``."""
