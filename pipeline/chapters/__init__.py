"""What the notebooks show of a study: an object a notebook, and each of its tables, charts and sentences a cell.

Those on the corpus and on interviews need nothing but frames, and so stand in `pipeline.analyze`.
"""
