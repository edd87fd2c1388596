"""Masks as what is explained: outputs with scores of classes at each position."""
