"""The same results as the plain functions of ``ops``, sooner. Each file holds one trick, and says what it buys."""
