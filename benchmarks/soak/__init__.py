"""Does it hold? Long runs, many threads, many clients, other processes: ``python -m benchmarks.soak``."""
