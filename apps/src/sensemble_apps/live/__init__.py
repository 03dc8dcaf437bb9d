"""Running bundles and recordings for the command line: their sensors, their streams and their views.

Its doors are `real_time`, `virtual_time` and `capture`, which run; `sources`, `device_factory` and
`plug_schedule`, which give the sensors; `views`, `terminal`, `view_events` and the summaries, which show.
"""
