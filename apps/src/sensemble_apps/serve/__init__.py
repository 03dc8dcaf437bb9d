"""The live page: a running session on a web server of this process, with buttons, and browsers as sensors.

The session belongs to the command, and its stream is read by one thread, which keeps the newest state on a
`Board`. Everything else looks at that: a viewer that is slow or hostile gets less, and delays nothing.

Doors: `board` and `controls`, which watch and steer a session; `api`, its page and interface for programs;
`mqtt`, which publishes it.
"""
