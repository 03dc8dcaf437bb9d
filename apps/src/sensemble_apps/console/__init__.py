"""Console output: results, progress bars, and the words for modalities, methods and scores.

Nothing here knows a command, a page or a session.

Doors: `columns`, `conditions`, `estimates`, `kinds`, `output`, `progress`, `wording`.
"""
