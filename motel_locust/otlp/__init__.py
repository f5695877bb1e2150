"""Columns to OTLP bytes, and what becomes of them."""
