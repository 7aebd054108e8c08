"""Figures: one module a chapter; arrays in, picture out, and nothing computed but averages and axes' limits."""
