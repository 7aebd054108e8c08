"""Figures: one module a chapter; arrays in, picture out, and nothing computed but averages and axes' limits.

The exception is `miniature`, the drawing beside the chapter's title, which computes the little that it shows.
"""
