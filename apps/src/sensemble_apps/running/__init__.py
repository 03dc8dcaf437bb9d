"""Run bundles and recordings for the command line: their sensors, streams and outputs.

Doors: `real_time` and `virtual_time` run a session; `capture`, `recorder` and `take_recorder` record;
`inputs` gives the sensors; `outputs`, `terminal`, `view_events` and `run_summary` show.
"""
