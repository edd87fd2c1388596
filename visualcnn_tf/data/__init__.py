"""A data set and a network to try the package on."""
