"""Hearing: clips played on a loudspeaker, heard on a microphone, and judged by a bundle.

Only that one experiment belongs here, which says whether a microphone gets what the audit was measured on.

Doors: `experiment` (the whole), `track` (what is played, and its clips in what was heard), `loudspeaker`
(play and hear), `findings` (the judgement).
"""
