"""The topology language: what a person writes, read and checked."""
