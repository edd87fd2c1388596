"""The same results as the plain functions of ``ops``, sooner."""
