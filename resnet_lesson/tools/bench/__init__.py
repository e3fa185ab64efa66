"""Measure what the lesson says about speed."""
