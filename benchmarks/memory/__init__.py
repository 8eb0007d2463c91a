"""Prediction of memory: the step simulated without weights, and what is fitted to it."""
