"""Simulated time: a topology in, columns of spans out."""
