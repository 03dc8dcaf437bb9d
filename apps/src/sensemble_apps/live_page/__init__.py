"""The live page: a running session on a web server of this process, with buttons, and browsers as sensors.

The command owns the session. One thread shows its stream to the outputs; one of them, the `SessionState`,
keeps the newest state, which the viewers are sent: a slow or hostile viewer delays nothing.

Doors: `session_page`, a session with its buttons; `demonstration`, which presses some by itself;
`session_state`, its newest state; `examples`, one of each class; `api`, its page and interface for programs;
`gallery`, the page of the bundles at hand.
"""
