"""The live page: a running session on a web server of this process, with buttons, and browsers as sensors.

The command owns the session. One thread reads its stream and keeps the newest state on a `Board`, which
everything else reads: a slow or hostile viewer delays nothing.

Doors: `board` and `controls`, which watch and steer a session, and `tour`, which does so by itself; `api`,
its page and interface for programs; `mqtt`, which publishes it.
"""
