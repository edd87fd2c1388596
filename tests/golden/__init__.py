"""What version 1.0.0 computed, kept to compare later versions with: see ``make.py``."""
