"""Figures: one module a chapter; arrays in, picture out, and nothing computed but averages and axes' limits.

Two exceptions, what a chapter has only for its pictures: `miniature`, the drawing beside its title, and
`explorer_state`, the compute function of its explorer where that is too long for a cell.
"""
